#!/usr/bin/env python3
"""Measures how fast the stores take what Tickwire writes, and how fast it reads from Kafka, beside psql's COPY, InfluxDB's client
for Rust, redis-benchmark and plain loops of rdkafka.

    sinks.py [--rounds N] [--only NAME]... [--json]

Starts the servers (scripts/services.sh), which have nothing else to do meanwhile, and prints a table of medians, with --json
one object. What is not to be had is left out. `run.py` calls it.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlparse

ROOT = Path(__file__).resolve().parent.parent.parent
CALLED = {
    "sqlite": "Tickwire into SQLite: ticks",
    "postgres": "Tickwire into PostgreSQL: ticks, 10,000 a batch",
    "postgres-small": "Tickwire into PostgreSQL: ticks, 1,000 a batch",
    "copy": "psql into PostgreSQL: the same rows in one COPY",
    "influxdb": "Tickwire into InfluxDB",
    "influxdb2": "the crate influxdb2 into InfluxDB",
    "kafka": "Tickwire into Kafka: ticks",
    "rdkafka": "a plain loop of rdkafka into Kafka: the same messages",
    "kafka-venue": "Kafka into bars of Tickwire: ticks of another program",
    "kafka-venue-sqlite": "the same, with the log in SQLite",
    "rdkafka-consumer": "a plain loop of rdkafka that reads the same messages",
    "redis": "Tickwire into Redis: prices, counts, bars",
    "redis-benchmark": "redis-benchmark -P 64: values of 200 bytes",
}


STORES = ("sqlite", "postgres", "influxdb", "redis", "kafka")


def ours(only):
    """Returns what the program measured, an object a case."""
    command = ["cargo", "bench", "--quiet", "--locked", "--bench", "sinks", "--", "--json", *only]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if ran.returncode != 0:
        sys.exit(f"bench: the sinks failed: {ran.stderr[-2000:]}")
    return [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]


def redis_benchmark():
    """Returns what redis-benchmark reaches over one connection, as the sink has one; nothing where it is missing."""
    url = os.environ.get("TICKWIRE_TEST_REDIS")
    program = shutil.which("redis-benchmark")
    if url is None or program is None:
        return []
    flags = "-c 1 -P 64 -n 500000 -r 100000 -d 200 -t set --csv".split()
    ran = subprocess.run([program, "-p", str(urlparse(url).port), *flags], capture_output=True, text=True, check=True)
    per_second = float(ran.stdout.strip().splitlines()[-1].split(",")[1].strip('"'))
    return [{"what": "redis-benchmark", "unit": "keys", "per_second": per_second}]


def copy():
    """Returns how fast psql takes the ticks that were just written to PostgreSQL back into the same table."""
    url, psql = os.environ.get("TICKWIRE_TEST_POSTGRES"), shutil.which("psql")
    if url is None or psql is None:
        return []
    database = url.rsplit("/", 1)[0] + "/bench_ticks"

    def run(sql):
        command = [psql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, database]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    with tempfile.NamedTemporaryFile(suffix=".copy") as rows:
        run(f"\\copy (SELECT * FROM tick_data ORDER BY log_pos) TO '{rows.name}'")
        num_rows = int(run("SELECT count(*) FROM tick_data"))
        run("TRUNCATE tick_data")
        begun = time.monotonic()
        run(f"\\copy tick_data FROM '{rows.name}'")
        took = time.monotonic() - begun
    return [{"what": "copy", "unit": "rows", "per_second": num_rows / took}]


def measure(rounds, only=()):
    """Starts the servers and returns the medians, by what writes; empty where no server is to be had."""
    command = [ROOT / "scripts" / "services.sh", sys.executable, "-B", __file__, "--json", "--rounds", str(rounds)]
    for name in only:
        command += ["--only", name]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if ran.returncode != 0:
        raise SystemExit("bench: the sinks could not be measured")
    return json.loads(ran.stdout.strip().splitlines()[-1])


def measure_here(rounds, only):
    """Returns the medians with the servers that the environment names."""
    cases = {}
    peers = {"postgres": copy, "redis": redis_benchmark}
    for _ in range(rounds):
        # Beside each other in every round, so that both see the same machine.
        found = ours(only)
        for peer in (peers[name] for name in peers if not only or name in only):
            found += peer()
        for case in found:
            cases.setdefault(case["what"], []).append(case)

    def median(found, key):
        values = [case[key] for case in found if key in case]
        return statistics.median(values) if values else None

    figures = ("per_second", "cpu_seconds_per_million")
    return {
        what: {"unit": found[0]["unit"]} | {key: median(found, key) for key in figures}
        for what, found in cases.items()
    }


def rows(found):
    """Returns the rows of the table."""
    return [
        [
            CALLED[what],
            f"{case['per_second']:,.0f} {case['unit']}",
            "" if case["cpu_seconds_per_million"] is None else f"{case['cpu_seconds_per_million']:.2f}",
        ]
        for what, case in found.items()
    ]


HEADER = ["", "a second", "CPU seconds a million"]


def main():
    """Prints the figures."""
    options = argparse.ArgumentParser(description="How fast the stores take what Tickwire writes.")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", choices=STORES, action="append", default=[], help="measure this store")
    options.add_argument("--json", action="store_true", help="measure with the servers of the environment, print JSON")
    asked = options.parse_args()
    if asked.json:
        print(json.dumps(measure_here(asked.rounds, asked.only)))
        return
    print("| " + " | ".join(HEADER) + " |\n| --- | ---: | ---: |")
    for row in rows(measure(asked.rounds, asked.only)):
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
