"""A storm: a thousand symbols spike within a second, while trades go on and somebody is to be told.

A made-up venue sends trades at one price, then each symbol's next one 10 % higher, and then again the price before. A made-up
receiver of webhooks takes a second for each message. How long trades take into bars, and what is held in memory, is compared
before and in the storm.
"""

import contextlib
import http.server
import json
import os
import string
import sys
import threading
import time
import urllib.request

import live
import venue

RATE = 10_000
SYMBOLS = [f"{a}{b}{c}" for a in string.ascii_uppercase for b in string.ascii_uppercase for c in "PQ"][:1_000]
# Twenty bars of a second, and what it takes until the last one has closed.
WARM_UP_SECONDS = 30
ANSWER_SECONDS = 1.0
TRADE = '{"ev":"T","sym":"%s","i":"%d","x":11,"p":%s,"s":100,"c":[14,41],"t":%d,"q":%d,"z":3}'


class Trades:
    """One symbol after the other, at one price but in the storm."""

    def __init__(self):
        self.begins = None

    def __call__(self, number):
        now = time.time_ns() // 1_000_000
        numbers = range(number, number + venue.TRADES_PER_FRAME)
        trades = [TRADE % (SYMBOLS[n % len(SYMBOLS)], n, self.price(n), now, n) for n in numbers]
        return venue.message(f"[{','.join(trades)}]".encode())

    def price(self, number):
        if self.begins == "next":
            self.begins = number
        is_storm = isinstance(self.begins, int) and self.begins <= number < self.begins + len(SYMBOLS)
        return "110.0" if is_storm else "100.0"


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what it is told, slowly."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.told = []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.told.append(json.loads(body))
        time.sleep(ANSWER_SECONDS)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def receiver():
    served = Receiver()
    threading.Thread(target=served.serve_forever, daemon=True).start()
    try:
        yield served
    finally:
        served.shutdown()
        served.server_close()


def ask(instance, path):
    """Returns the rows of a request to REST; none where there is nothing."""
    said = instance.log.read_text(errors="replace")
    base = said.split("REST listens on ")[1].split()[0]
    try:
        with urllib.request.urlopen(f"{base}{path}", timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return []
        raise


def phase(instance, seconds):
    """Returns how long trades take into bars meanwhile in milliseconds, and the largest memory."""
    before = instance.read()
    largest, until = before.rss_mb, time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.5)
        largest = max(largest, instance.read().rss_mb)
    after = instance.read()
    median, p99 = (live.quantile(before, after, "received_to_bar", share) for share in (0.5, 0.99))
    return {"p50_ms": median["about"] * 1e3, "p99_ms": p99["about"] * 1e3, "rss_mb": largest}


def measure(binary, work, cores, seconds):
    """Returns the figures before and in a storm, the messages, and what became of each spike."""
    trades = Trades()
    flags = ["--provider", "polygon", "--symbols", ",".join(SYMBOLS)]
    with venue.venue(RATE, trades) as served, receiver() as told:
        settings = served.settings() | {
            "TICKWIRE__PROVIDER__WARM_UP": "0s",
            "TICKWIRE__CORE__WINDOWS": "1s,1min",
            "TICKWIRE__DETECTION__WINDOW": "1s",
            "TICKWIRE__ALERTS__WEBHOOK__URL": f"http://127.0.0.1:{told.server_port}/",
        }
        with live.running(binary, work, "storm", cores, flags, **settings) as instance:
            deadline = time.monotonic() + live.START_SECONDS
            while not instance.read().total("tickwire_venue_entries_total") and time.monotonic() < deadline:
                time.sleep(0.2)
            time.sleep(WARM_UP_SECONDS)
            before = phase(instance, seconds)
            num_before = len(told.told)
            trades.begins = "next"
            storm = phase(instance, seconds)
            spikes = ask(instance, "/api/v1/anomalies?type=price_spike&limit=10000")
            sent = ask(instance, "/api/v1/alerts?type=price_spike&status=sent&limit=10000")
    messages = [message for message in told.told[num_before:] if message["type"] == "price_spike"]
    figures = {
        "symbols": len(SYMBOLS),
        "rate": RATE,
        "seconds": seconds,
        "before": before,
        "storm": storm,
        "anomalies": len(spikes),
        "sent": len(sent),
        "messages": len(messages),
        "told": sum(len(message["symbols"]) for message in messages),
        "load": os.getloadavg()[0],
    }
    if figures["anomalies"] < len(SYMBOLS):
        raise SystemExit(f"bench: {figures['anomalies']} spikes were found of {len(SYMBOLS)}, see {work}/storm.log")
    print(f"bench: a storm of {len(SYMBOLS)} symbols: {figures}", file=sys.stderr)
    return figures
