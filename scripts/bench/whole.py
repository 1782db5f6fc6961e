#!/usr/bin/env python3
"""Measures how long ticks take with every store on: PostgreSQL as the history, Redis and InfluxDB.

    whole.py BINARY WORK CORES SECONDS

Starts the servers (scripts/services.sh) and prints one object of JSON, or nothing where one of them is not to be had. `run.py`
calls it, and prints the figures beside what the system that Tickwire replaces was built for.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import live

ROOT = Path(__file__).resolve().parent.parent.parent
RATE = 10_000
DATABASE = "bench_whole"
ADDRESSES = ("TICKWIRE_TEST_POSTGRES", "TICKWIRE_TEST_REDIS", "TICKWIRE_TEST_INFLUXDB")


def measure(binary, work, cores, seconds):
    """Returns what `live.latency` does, with the servers that are started for it; None where one is missing."""
    command = [ROOT / "scripts" / "services.sh", sys.executable, "-B", __file__, binary, work, str(cores), str(seconds)]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if ran.returncode != 0:
        raise SystemExit("bench: ticks with every store on could not be measured")
    return json.loads(ran.stdout) if ran.stdout.strip() else None


def measure_here(binary, work, cores, seconds):
    """Measures with the servers that the environment names."""
    missing = [name for name in ADDRESSES if name not in os.environ]
    if missing:
        print(f"bench: {', '.join(missing)} not set, ticks with every store on are not measured", file=sys.stderr)
        return
    server = os.environ["TICKWIRE_TEST_POSTGRES"]
    database = f"{server.rsplit('/', 1)[0]}/{DATABASE}"
    for sql in (f"DROP DATABASE IF EXISTS {DATABASE}", f"CREATE DATABASE {DATABASE} TEMPLATE template0"):
        subprocess.run(["psql", "-X", "-q", "-c", sql, server], check=True)
    stores = {
        "DATABASE_URL": database,
        "TICKWIRE__REDIS__URL": os.environ["TICKWIRE_TEST_REDIS"],
        "TICKWIRE__INFLUXDB__URL": os.environ["TICKWIRE_TEST_INFLUXDB"],
        "TICKWIRE__INFLUXDB__TOKEN": os.environ["TICKWIRE_TEST_INFLUXDB_TOKEN"],
        "TICKWIRE__INFLUXDB__ORG": "tickwire",
        "TICKWIRE__INFLUXDB__BUCKET": DATABASE,
    }
    migrate = [str(binary), "migrate"]
    subprocess.run(migrate, check=True, env=os.environ | stores, cwd=work, stdout=sys.stderr)
    print(json.dumps(live.latency(binary, work, cores, RATE, seconds, stores=stores)))


if __name__ == "__main__":
    measure_here(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
