"""A storm: a thousand symbols spike in one second, on a socket of Polygon that is made up on this machine.

What is measured: how long trades take to bars before, meanwhile and after; what memory is held; how many messages a webhook gets,
and about how many symbols. Bars of a second are judged, so that a baseline of twenty is there soon.
"""

import contextlib
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import live
import venue

RATE = 10_000
SYMBOLS = [f"S{number:04d}" for number in range(1_000)]
# Two bars of lateness more than a baseline takes.
BASELINE_SECONDS = 25
STORM_SECONDS = 1.0
SPIKE = 12
# All of them are of one type, within one `alerts.group_wait`, and rest for the cooldown.
MESSAGES_MAX = 1


class Market:
    """Makes the trades: prices are even, but for one second."""

    def __init__(self):
        self.spikes_until = 0.0

    def begin_storm(self):
        self.spikes_until = time.monotonic() + STORM_SECONDS

    def frame(self, number):
        """Returns a message with the next trades, whose first one has this number."""
        now = time.time_ns() // 1_000_000
        dollars = 100 + SPIKE if time.monotonic() < self.spikes_until else 100
        trades = [
            # 7 and 1,000 have no common divisor, so each symbol has its turn.
            venue.ON_EXCHANGE % (SYMBOLS[n * 7 % 1_000], n, dollars, n * 7_919 % 10, 1 + n * 31 % 9, now, n)
            for n in range(number, number + venue.TRADES_PER_FRAME)
        ]
        return venue.message(f"[{','.join(trades)}]".encode())


class Inbox:
    """Takes what a webhook is sent."""

    def __init__(self):
        self.messages = []
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                inbox.messages.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def about_prices(self):
        return [message for message in self.messages if message["type"] == "price_spike"]


@contextlib.contextmanager
def inbox():
    """Listens until the block ends."""
    taken = Inbox()
    try:
        yield taken
    finally:
        taken.server.shutdown()
        taken.server.server_close()


def phase(instance, seconds):
    """Reads a stretch of time: how long trades took to bars, and the most memory that was held."""
    before, deadline, held = instance.read(), time.monotonic() + seconds, 0.0
    while time.monotonic() < deadline:
        time.sleep(0.2)
        held = max(held, instance.read().rss_mb)
    after = instance.read()
    spans = {f"p{share * 100:.0f}": live.quantile(before, after, "received_to_bar", share) for share in (0.5, 0.99)}
    return spans | {"rss_mb": held, "trades": after.since(before)[1]}


def measure(binary, work, cores, seconds):
    """Returns what the storm costs, and what was sent about it."""
    flags = ["--provider", "polygon", "--symbols", ",".join(SYMBOLS)]
    market = Market()
    with inbox() as taken, venue.venue(RATE, market.frame) as served:
        settings = served.settings() | {
            "TICKWIRE__PROVIDER__WARM_UP": "0s",
            "TICKWIRE__CORE__WINDOWS": "1s,1min",
            "TICKWIRE__DETECTION__WINDOW": "1s",
            "TICKWIRE__ALERTS__WEBHOOK__URL": f"http://127.0.0.1:{taken.server.server_address[1]}/",
        }
        with live.running(binary, work, "storm", cores, flags, **settings) as instance:
            deadline = time.monotonic() + live.START_SECONDS
            while not instance.read().total("tickwire_venue_entries_total") and time.monotonic() < deadline:
                time.sleep(0.2)
            time.sleep(BASELINE_SECONDS)
            calm = phase(instance, seconds)
            known = instance.read().total("tickwire_anomalies_total", "price_spike")
            market.begin_storm()
            storm = phase(instance, seconds)
            after = phase(instance, seconds)
            found = instance.read().total("tickwire_anomalies_total", "price_spike") - known
    sent = taken.about_prices()
    figures = {
        "offered": RATE,
        "symbols": len(SYMBOLS),
        "seconds": seconds,
        "before": calm,
        "storm": storm,
        "after": after,
        "anomalies": int(found),
        "anomalous_symbols": len({symbol for message in sent for symbol in message["symbols"]}),
        "messages": len(sent),
        "messages_max": MESSAGES_MAX,
        "largest": max((len(message["symbols"]) for message in sent), default=0),
        "load": os.getloadavg()[0],
    }
    print(f"bench: storm of {len(SYMBOLS)} symbols: {figures}", file=sys.stderr)
    return figures
