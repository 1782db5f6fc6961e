"""The whole way of a live venue: one socket of Polygon on this machine at 50,000 trades a second, into bars.

The venue is made up here: it shakes hands, confirms what is subscribed to, and then sends trades in the venue's own
bytes, made anew for each frame, since their times must be those of now. What it costs is its own; only what Tickwire uses
is counted. Over REST it has nothing.
"""

import base64
import contextlib
import hashlib
import json
import os
import socket
import struct
import sys
import threading
import time

import live

RATE = 50_000
TRADES_PER_FRAME = 100
# Longest time that is made up for at once when this process did not get its turn.
LATE_MAX = 0.5
KINDS = ("memory", "sqlite")
SYMBOLS = [f"{a}{b}" for a in "ABCDEFGHIJ" for b in "KLMNOPQRST"]
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# As the venue's documentation shows a trade on an exchange, and one off the exchanges.
ON_EXCHANGE = '{"ev":"T","sym":"%s","i":"%d","x":11,"p":%d.%02d,"s":%d,"c":[14,41],"t":%d,"q":%d,"z":3}'
OFF_EXCHANGE = (
    '{"ev":"T","sym":"%s","x":4,"i":"%d","z":3,"p":%d.%02d,"s":%d,"ds":"%d.0","c":[37],"t":%d,"q":%d,'
    '"trfi":202,"trft":%d}'
)


def frame(number):
    """Returns a message with the next trades, whose first one has this number."""
    now = time.time_ns() // 1_000_000
    trades = []
    for n in range(number, number + TRADES_PER_FRAME):
        # 7 and 100 have no common divisor, so each symbol has its turn.
        symbol, cents, size = SYMBOLS[n * 7 % 100], n * 7_919 % 100, 1 + n * 31 % 999
        dollars = 100 + n * 7 % 100 + n // 1_000_000 % 3
        if n % 3:
            trades.append(ON_EXCHANGE % (symbol, n, dollars, cents, size, now, n))
        else:
            trades.append(OFF_EXCHANGE % (symbol, n, dollars, cents, size, size, now, n, now))
    return message(f"[{','.join(trades)}]".encode())


def message(payload, kind=1):
    """Returns a WebSocket message in one frame, as servers send it."""
    head = bytes([0x80 | kind])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    form, mark = ("!BH", 126) if len(payload) < 65_536 else ("!BQ", 127)
    return head + struct.pack(form, mark, len(payload)) + payload


def status(word, text):
    return json.dumps({"ev": "status", "status": word, "message": text}, separators=(",", ":"))


class Socket:
    """The one connection of a client."""

    def __init__(self, stream):
        self.stream, self.reader, self.lock = stream, stream.makefile("rb"), threading.Lock()

    def send(self, data):
        with self.lock:
            self.stream.sendall(data)

    def say(self, *statuses):
        self.send(message(f"[{','.join(statuses)}]".encode()))

    def shake_hands(self):
        """Answers the upgrade."""
        headers = {}
        self.reader.readline()
        while line := self.reader.readline().strip():
            name, value = line.decode().split(":", 1)
            headers[name.lower()] = value.strip()
        digest = hashlib.sha1((headers["sec-websocket-key"] + MAGIC).encode()).digest()
        accept = base64.b64encode(digest).decode()
        self.send(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )

    def hear(self):
        """Returns the kind and the payload of the client's next message."""
        first, second = self.reader.read(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self.reader.read(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self.reader.read(8))
        mask, payload = self.reader.read(4), self.reader.read(length)
        return first & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))

    def answer_pings(self):
        """Reads on as long as the client is there."""
        with contextlib.suppress(OSError, ValueError):
            while True:
                kind, payload = self.hear()
                if kind == 9:
                    self.send(message(payload, kind=10))
                elif kind == 8:
                    return


class Venue:
    """The made-up venue. `frame` makes the message with the trades from a number on."""

    def __init__(self, rate, frame=frame):
        self.rate, self.frame, self.is_over = rate, frame, False
        self.streams, self.rest = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.stream, self.answer)]

    def address(self, scheme, server):
        return f"{scheme}://127.0.0.1:{server.getsockname()[1]}"

    def settings(self):
        """Returns the environment that leads Tickwire here."""
        return {
            "TICKWIRE__VENUES__POLYGON__KEY": "made-up-key",
            "TICKWIRE__VENUES__POLYGON__STREAM_URL": self.address("ws", self.streams),
            "TICKWIRE__VENUES__POLYGON__REST_URL": self.address("http", self.rest),
        }

    def stream(self):
        """Serves one client after the other."""
        with contextlib.suppress(OSError):
            while not self.is_over:
                stream, _ = self.streams.accept()
                with stream, contextlib.suppress(OSError, ValueError):
                    self.serve(Socket(stream))

    def serve(self, client):
        client.shake_hands()
        client.say(status("connected", "Connected Successfully"))
        client.hear()
        client.say(status("auth_success", "authenticated"))
        asked = json.loads(client.hear()[1])["params"].split(",")
        client.say(*[status("success", f"subscribed to: {topic}") for topic in asked])
        threading.Thread(target=client.answer_pings, daemon=True).start()
        begun, number = time.monotonic(), 0
        while not self.is_over:
            due = (time.monotonic() - begun) * self.rate
            if number + self.rate * LATE_MAX < due:
                begun, due = time.monotonic() - number / self.rate, number
            while number + TRADES_PER_FRAME <= due:
                client.send(self.frame(number))
                number += TRADES_PER_FRAME
            time.sleep(TRADES_PER_FRAME / self.rate / 2)

    def answer(self):
        """Has nothing over REST."""
        body = json.dumps({"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."})
        said = f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        with contextlib.suppress(OSError):
            while not self.is_over:
                client, _ = self.rest.accept()
                with client, contextlib.suppress(OSError):
                    client.recv(65_536)
                    client.sendall(said.encode())


@contextlib.contextmanager
def venue(rate, frame=frame):
    """Runs the venue until the block ends."""
    served = Venue(rate, frame)
    for thread in served.threads:
        thread.start()
    try:
        yield served
    finally:
        served.is_over = True
        for server in (served.streams, served.rest):
            # Wakes the thread that waits for a client.
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()


def measure(binary, work, cores, seconds):
    """Returns what Tickwire uses for the trades of one socket, and how long one takes, for each kind of log."""
    return [case(binary, work, cores, seconds, kind) for kind in KINDS]


def case(binary, work, cores, seconds, kind):
    flags = ["--provider", "polygon", "--symbols", ",".join(SYMBOLS)]
    with venue(RATE) as served:
        settings = served.settings() | {"TICKWIRE__LOG__KIND": kind, "TICKWIRE__PROVIDER__WARM_UP": "0s"}
        with live.running(binary, work, f"venue-{kind}", cores, flags, **settings) as instance:
            deadline = time.monotonic() + live.START_SECONDS
            while not instance.read().total("tickwire_venue_entries_total") and time.monotonic() < deadline:
                time.sleep(0.2)
            time.sleep(live.SETTLE_SECONDS)
            before = instance.read()
            time.sleep(seconds)
            after = instance.read()
    took = after.at - before.at
    applied = after.total("tickwire_venue_entries_total") - before.total("tickwire_venue_entries_total")
    failed = after.total("tickwire_venue_faults_total") + after.total("tickwire_venue_failures_total")
    if applied <= 0 or failed > 0:
        raise SystemExit(f"bench: {applied} trades came and {failed} failures, see {work}/venue-{kind}.log")
    figures = {
        "kind": kind,
        "offered": RATE,
        "symbols": len(SYMBOLS),
        "trades_per_frame": TRADES_PER_FRAME,
        "seconds": took,
        "applied_per_second": applied / took,
        "cpu_per_million": (after.cpu - before.cpu) / applied * 1e6,
        "cores_used": (after.cpu - before.cpu) / took,
        "p50": live.quantile(before, after, "received_to_bar", 0.5),
        "p99": live.quantile(before, after, "received_to_bar", 0.99),
        "rss_mb": after.rss_mb,
        "load": os.getloadavg()[0],
    }
    print(f"bench: one socket of Polygon, {kind} log: {figures}", file=sys.stderr)
    return figures
