#!/usr/bin/env python3
"""Measures how fast REST answers from a history of a year in PostgreSQL while ticks come in.

    queries.py --binary target/release/tickwire [--ticks 20000000] [--quick]

Starts a PostgreSQL of its own, has `tickwire migrate` make the tables, and fills them with a year of 100 symbols: ticks of
each trading day, with the bars and indicators of every window. Then it runs Tickwire on them with 10,000 ticks a second
coming in, asks 200 times a second for windows and ticks of random days, and after that for what is in memory, and prints
the times as a table. What is read for the first time, from a disk and by connections that are new, has a row of its own. A
request's time counts from when it was due, so that one that waits for another one is seen.
"""

import argparse
import asyncio
import http.client
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import live

DAYS = 365
SYMBOLS = 100
# Minutes of a trading day.
SESSION_MINUTES = 390
RATE = 10_000
REQUESTS = 200.0

# Symbols are spread over the day's ticks in turn, so that each has as many; bars are made of the ticks themselves, and
# indicators beside each bar hold what matters here: a row of the same width.
FILL_TICKS = """
INSERT INTO tick_data (time, symbol, price, volume, tick_type, trade_id, seq, updates, provider, received_at, ts_ns, log_pos)
SELECT at, 'H' || lpad((n % {symbols})::text, 3, '0'), 100 + (n % 977) / 100.0, 1 + n % 7, 'trade', n::text, n / {symbols}, 'hcv',
    'history', at, extract(epoch FROM at)::bigint * 1000000000, {first} + n
FROM generate_series(1, {count}) AS n,
    LATERAL (SELECT '{day} 14:30+00'::timestamptz + n * interval '{session} minutes' / {count} AS at) AS timed
"""
FILL_BARS = """
INSERT INTO aggregated_data (time, symbol, window_start, window_end, window_duration, open, high, low, close, volume, vwap,
    trade_count, state, revision, coverage, log_pos, late, duplicates, cancelled, origin, seq)
SELECT ends, symbol, ends - interval '{minutes} minutes', ends, '{minutes}min', min(price), max(price), min(price), max(price),
    sum(volume), avg(price), count(*), 'closed', 0, 1, max(log_pos), 0, 0, 0, 'trades', 1
FROM (
    SELECT symbol, price, volume, log_pos,
        date_bin('{minutes} minutes', time, '{day}'::timestamptz) + interval '{minutes} minutes' AS ends
    FROM tick_data WHERE time >= '{day} 00:00+00' AND time < '{day} 00:00+00'::timestamptz + interval '1 day'
) AS ticks GROUP BY ends, symbol
"""
FILL_INDICATORS = """
INSERT INTO technical_indicators (time, symbol, sma_20, sma_50, sma_200, ema_12, ema_26, rsi, macd, macd_signal, macd_histogram,
    bb_upper, bb_middle, bb_lower, window_duration, vwap, close, log_pos)
SELECT time, symbol, close, close, close, close, close, 50, 0, 0, 0, high, close, low, window_duration, vwap, close, log_pos
FROM aggregated_data WHERE time >= '{day} 00:00+00' AND time < '{day} 00:00+00'::timestamptz + interval '1 day'
"""


def say(text):
    print(f"bench: {text}", file=sys.stderr)


class Postgres:
    """A server of our own, which lasts as long as the bench."""

    def __init__(self, work):
        versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not versions:
            raise SystemExit("bench: PostgreSQL is missing: install it")
        self.programs, self.data = versions[-1], work / "postgres"
        self.as_owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        self.data.mkdir()
        if self.as_owner:
            shutil.chown(self.data, "postgres", "postgres")
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self.port = 20_000 + os.getpid() % 12_000
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.data} -c shared_buffers=512MB "
            "-c max_wal_size=8GB -c synchronous_commit=off -c maintenance_work_mem=256MB"
        )
        self.run("pg_ctl", "-D", self.data, "-o", options, "-l", self.data / "log", "-w", "start")
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/bench"
        self.sql("CREATE DATABASE bench", "postgres")

    def run(self, program, *args):
        command = [*self.as_owner, str(self.programs / program), *map(str, args)]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL)

    def sql(self, text, database="bench"):
        command = [
            str(self.programs / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
            f"postgres://postgres@127.0.0.1:{self.port}/{database}",
        ]
        ran = subprocess.run(command, input=text, check=True, capture_output=True, text=True)
        return ran.stdout.strip()

    def stop(self):
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")


def fill(postgres, ticks, days):
    """Fills the tables day by day. Returns the days, newest first."""
    today = postgres.sql("SELECT (now() AT TIME ZONE 'UTC')::date")
    dates = postgres.sql(
        f"SELECT ('{today}'::date - n)::text FROM generate_series(1, {days - 1}) AS n"
    ).splitlines()
    listed = ",".join(f"'{day}'" for day in dates)
    postgres.sql(f"SELECT tickwire_partitions(ARRAY[{listed}]::date[])")
    count = ticks // len(dates)
    for number, day in enumerate(reversed(dates)):
        given = {"day": day, "count": count, "first": number * count, "session": SESSION_MINUTES, "symbols": SYMBOLS}
        bars = [FILL_BARS.format(minutes=minutes, **given) for minutes in (1, 5, 15)]
        postgres.sql(";".join([FILL_TICKS.format(**given), *bars, FILL_INDICATORS.format(**given)]))
        if number % 50 == 0:
            say(f"filled up to {day}")
    postgres.sql(
        f"INSERT INTO symbols SELECT 'H' || lpad(n::text, 3, '0'), 9, 8, 'unknown' FROM generate_series(0, {SYMBOLS - 1}) AS n"
        " ON CONFLICT DO NOTHING"
    )
    # What the service has done each night of a year.
    while postgres.sql("SELECT tickwire_order()"):
        pass
    postgres.sql("VACUUM (ANALYZE)")
    return dates


def of_the_past(days):
    """Returns a request about a random day, and what kind it is."""
    symbol, day = f"H{random.randrange(SYMBOLS):03}", random.choice(days)
    window = random.choice(["1min", "5min", "15min"])
    session = f"start_time={day}T14:30:00Z&end_time={day}T21:00:00Z"
    hour = f"start_time={day}T{random.randrange(15, 20)}:00:00Z"
    kinds = {
        "bars of a day": f"aggregated/{symbol}?window={window}&{session}",
        "indicators of a day": f"indicators/{symbol}?window={window}&{session}",
        "ticks from a time on": f"ticks/{symbol}?{hour}&end_time={day}T21:00:00Z&limit=100",
        "bars before a day": f"aggregated/{symbol}?window={window}&end_time={day}T21:00:00Z&limit=100",
    }
    kind = random.choice(list(kinds))
    return kind, kinds[kind]


def of_now(symbols):
    """Returns a request that is answered from memory, and what kind it is."""
    symbol = random.choice(symbols)
    kinds = {"newest price": f"latest/{symbol}", "newest bars": f"aggregated/{symbol}?limit=100&empty=ok"}
    kind = random.choice(list(kinds))
    return kind, kinds[kind]


async def answer(reader, writer, host, port, path):
    """Asks for one thing over a connection. Returns the status; None where the server has closed the connection meanwhile."""
    try:
        writer.write(f"GET /api/v1/{path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError) as fault:
        if getattr(fault, "partial", b""):
            raise
        return None
    size = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    if size is None:
        raise SystemExit(f"bench: the answer to {path} does not say its length")
    await reader.readexactly(int(size[1]))
    return int(head.split(b" ", 2)[1])


async def ask_one(connections, host, port, path):
    """Asks for one thing over a connection that is free, or a new one. Returns the status."""
    while connections:
        # The server closes connections that nobody has used for some seconds.
        connection = connections.pop()
        status = await answer(*connection, host, port, path)
        if status is not None:
            connections.append(connection)
            return status
        connection[1].close()
    connection = await asyncio.open_connection(host, port, limit=1 << 20)
    status = await answer(*connection, host, port, path)
    if status is None:
        raise SystemExit(f"bench: the server closed a new connection instead of answering {path}")
    connections.append(connection)
    return status


async def ask_all(address, request_of, rate, seconds):
    """Asks in one thread: several would wait for the interpreter's lock, and those times would count as the server's."""
    host, port = address.rsplit(":", 1)
    connections, times, failed, asking = [], {}, [], []

    async def take(at, kind, path):
        status = await asyncio.wait_for(ask_one(connections, host, int(port), path), 30)
        times.setdefault(kind, []).append((time.perf_counter() - at) * 1e3)
        if status != 200:
            failed.append((status, path))

    begun = time.perf_counter()
    for number in range(int(rate * seconds)):
        at = begun + number / rate
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        asking.append(asyncio.create_task(take(at, *request_of())))
    await asyncio.gather(*asking)
    for _, writer in connections:
        writer.close()
    return times, failed


def ask(address, request_of, rate, seconds):
    """Asks at a steady rate, whatever the answers take. Returns the milliseconds of each kind, and how many failed."""
    times, failed = asyncio.run(ask_all(address, request_of, rate, seconds))
    say(" | ".join(list(rows(times))[-1]))
    if failed:
        say(f"{len(failed)} requests failed, the first with {failed[0]}")
    return times, len(failed)


def first_rows(found):
    """Returns the row of the table for what was read for the first time."""
    listed = list(rows(found["first"]))
    return [["of the past, after the start", *listed[-1][1:]]]


def rows(times):
    """Returns the rows of the table for what was measured."""
    every = [took for kind in times.values() for took in kind]
    for kind, found in [*sorted(times.items()), ("**all**", every)]:
        cuts = statistics.quantiles(found, n=100)
        yield [kind, f"{len(found):,}", f"{cuts[49]:.2f}", f"{cuts[98]:.2f}", f"{max(found):.1f}"]


HEADER = ["request", "times asked", "median ms", "99 % ms", "longest ms"]


def measure(binary, work, cores, ticks, seconds, days=DAYS, rate=REQUESTS):
    """Returns the milliseconds of each kind of request, of the past and of now; None where PostgreSQL is missing."""
    if not sorted(Path("/usr/lib/postgresql").glob("*/bin")):
        say("PostgreSQL is missing, requests to a year of it are not measured")
        return None
    binary = binary.resolve()
    folder = Path(tempfile.mkdtemp(prefix="tickwire-queries-"))
    # Its server is another user.
    folder.chmod(0o711)
    postgres = Postgres(folder)
    try:
        settings = {"DATABASE_URL": postgres.url}
        subprocess.run([binary, "migrate"], check=True, env=os.environ | settings, cwd=folder, stdout=sys.stderr)
        begun = time.monotonic()
        dates = fill(postgres, ticks, days)
        size = postgres.sql("SELECT pg_size_pretty(pg_database_size('bench'))")
        say(f"filled in {time.monotonic() - begun:.0f} s, {size}")
        flags = ["--provider", "simulated", "--symbol-count", str(SYMBOLS), "--rate", str(RATE)]
        with live.running(binary, work, "queries", cores, flags, **settings) as instance:
            said = instance.log.read_text(errors="replace")
            address = urlsplit(re.search(r"REST listens on (http://\S+)", said)[1]).netloc
            time.sleep(live.SETTLE_SECONDS)
            connection = http.client.HTTPConnection(address, timeout=30)
            connection.request("GET", "/api/v1/symbols")
            listed = json.load(connection.getresponse())["symbols"]
            symbols = [name for name in listed if not re.match(r"H\d{3}$", name)]
            before = instance.read()
            # What a server's disk and its connections meet for the first time takes longer.
            first, first_failed = ask(address, lambda: of_the_past(dates), rate, 2 * seconds)
            past, past_failed = ask(address, lambda: of_the_past(dates), rate, seconds)
            # The server has closed a connection that nobody used so long.
            connection.close()
            for symbol in symbols:
                # The first reader of a symbol's newest bars brings them into memory.
                connection.request("GET", f"/api/v1/aggregated/{symbol}?limit=100&empty=ok")
                connection.getresponse().read()
            now, now_failed = ask(address, lambda: of_now(symbols), rate, seconds)
            took, applied = instance.read().since(before)
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "ticks": ticks,
        "days": days,
        "size": size,
        "applied_per_second": applied / took,
        "rate": rate,
        "failed": past_failed + now_failed,
        "first": first,
        "first_failed": first_failed,
        "past": past,
        "now": now,
    }


def main():
    """Prints the table."""
    options = argparse.ArgumentParser(description="How fast REST answers from a year in PostgreSQL.")
    options.add_argument("--binary", default="target/release/tickwire", type=Path)
    options.add_argument("--ticks", type=int, default=20_000_000)
    options.add_argument("--days", type=int, default=DAYS)
    options.add_argument("--rate", type=float, default=REQUESTS, help="requests a second")
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--quick", action="store_true", help="a hundredth of the ticks, for ten seconds")
    asked = options.parse_args()
    if asked.quick:
        asked.ticks, asked.seconds = asked.ticks // 100, 10
    with tempfile.TemporaryDirectory() as work:
        cores = os.cpu_count() or 2
        found = measure(asked.binary, Path(work), cores, asked.ticks, asked.seconds, asked.days, asked.rate)
    if found is None:
        raise SystemExit(1)
    print(f"{found['ticks']:,} ticks over {found['days']} days, {found['size']}; {found['applied_per_second']:,.0f} ticks/s "
          f"came in meanwhile; {found['rate']:.0f} requests/s; {found['failed']} failed, "
          f"{found['first_failed']} after the start.\n")
    print("| " + " | ".join(HEADER) + " |\n| --- | ---: | ---: | ---: | ---: |")
    for row in [*first_rows(found), *rows(found["past"]), *rows(found["now"])]:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
