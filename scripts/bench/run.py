#!/usr/bin/env python3
"""Measures whole processes of Tickwire beside its peers, and writes docs/benchmarks.md. `make bench` calls it.

Needs Python 3.11 and nothing else. Peers are installed into a virtual environment under the build folder, and requests
come from wrk; where one of these is not to be had it is left out, and the page says so.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import kafka
import live
import outage
import queries
import replay
import report
import served
import sinks
import storm
import symbols
import venue
import whole

ROOT = Path(__file__).resolve().parent.parent.parent
PEERS = ("duckdb", "polars")
SECTIONS = ("replay", "symbols", "live", "venue", "fanout", "rest", "sinks", "topic", "whole", "queries", "outage", "storm")

# More than two cores take, and less than what makes the venue fall behind all the time.
OFFERED = {"memory": 1_500_000, "sqlite": 600_000}


def say(text):
    print(f"bench: {text}", file=sys.stderr)


def install_peers(folder, wanted):
    """Returns the Python that has a peer, by the peer's name, for those that can be had."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    found = {}
    for peer in wanted:
        has_it = [python, "-c", f"import {peer}"]
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", peer]
        if subprocess.run(has_it, capture_output=True).returncode != 0:
            say(f"installing {peer}")
            subprocess.run(install, capture_output=True)
        if subprocess.run(has_it, capture_output=True).returncode == 0:
            found[peer] = python
        else:
            say(f"{peer} cannot be installed, so it is left out")
    return found


def versions(peers):
    """Returns what each program is called in the tables."""
    known = {}
    for peer, python in peers.items():
        asked = subprocess.run(
            [python, "-c", f"import {peer}; print({peer}.__version__)"], capture_output=True, text=True, check=True
        )
        known[peer] = f"{peer} {asked.stdout.strip()}"
    return known


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter runs, which say less")
    parser.add_argument("--rounds", type=int, help="runs of each program over the file")
    parser.add_argument("--cores", type=int, default=2, help="cores that each program may use")
    parser.add_argument("--seconds", type=float, help="length of a live run after it has settled")
    parser.add_argument("--memory-seconds", type=float, help="length of the run with many symbols")
    parser.add_argument("--no-peers", action="store_true", help="measure Tickwire alone")
    parser.add_argument("--only", choices=SECTIONS, help="measure this, and keep what was measured of the rest")
    args = parser.parse_args()
    rounds = args.rounds or (3 if args.quick else 7)
    seconds = args.seconds or (5 if args.quick else 10)
    memory_seconds = args.memory_seconds or (30 if args.quick else 480)

    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    binary = target / "release" / "tickwire"
    if not binary.exists():
        raise SystemExit("bench: there is no release build: run `make build` first")
    work = target / "bench"
    work.mkdir(parents=True, exist_ok=True)
    wanted = [args.only] if args.only else SECTIONS
    kept = work / "measured.json"
    measured = json.loads(kept.read_text()) if args.only and kept.exists() else {}
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    measured |= {"date": today, "version": version, "cores": min(args.cores, os.cpu_count() or args.cores)}

    def keep(**sections):
        measured.update(sections)
        kept.write_text(json.dumps(measured, indent=2))

    if "replay" in wanted:
        peers = {} if args.no_peers else install_peers(target / "bench-venv", PEERS)
        replayed = replay.measure(binary, peers, work, rounds, args.cores)
        replayed["skipped"] = [peer for peer in PEERS if peer not in peers]
        for name, called in (versions(peers) | {"tickwire": version}).items():
            replayed["programs"][name]["version"] = called
        keep(replay=replayed)
    if "symbols" in wanted:
        peers = {} if args.no_peers else install_peers(target / "bench-venv", ("duckdb",))
        keep(symbols=symbols.measure(binary, peers, work, rounds, args.cores))
    if "live" in wanted:
        lived = {
            "capacity": [
                live.capacity(binary, work, args.cores, kind, 1_000, rate, seconds) for kind, rate in OFFERED.items()
            ],
            "latency": live.latency(binary, work, args.cores, 10_000, seconds),
            "latency_beside_stopped_redis": live.latency_beside_stopped_redis(
                binary, work, args.cores, 10_000, 10 if args.quick else 60
            ),
            "memory": live.memory(binary, work, args.cores, 10_000, 10_000, memory_seconds),
        }
        keep(live=lived)
    if "venue" in wanted:
        keep(venue=venue.measure(binary, work, args.cores, seconds))
    if "fanout" in wanted:
        folder = target / "bench-venv"
        peers = {} if args.no_peers else install_peers(folder, served.PEER_PACKAGES)
        cases = served.fanout(ROOT, args.quick)
        keep(fanout={"cases": cases, "peers": served.peers(folder / "bin" / "python") if peers else {}})
    if "rest" in wanted:
        keep(rest=served.rest(binary, work, args.cores, seconds))
    if "sinks" in wanted:
        keep(sinks=sinks.measure(1 if args.quick else 3))
    if "topic" in wanted:
        python = install_peers(target / "bench-venv", ("confluent_kafka",)).get("confluent_kafka")
        keep(topic=kafka.measure(binary, python, 10 if args.quick else 30) if python else None)
    if "whole" in wanted:
        keep(whole=whole.measure(binary, work, args.cores, 10 if args.quick else 60))
    if "queries" in wanted:
        ticks, asked = (200_000, 10) if args.quick else (20_000_000, 60)
        keep(queries=queries.measure(binary, work, args.cores, ticks, asked))
    if "outage" in wanted:
        pythons = install_peers(target / "bench-venv", ("confluent_kafka", "duckdb"))
        python = pythons.get("duckdb") or sys.executable
        keep(outage=outage.measure(binary, args.cores, 10 if args.quick else 60, python))
    if "storm" in wanted:
        keep(storm=storm.measure(binary, work, args.cores, seconds))
    report.write(measured, target)
    say("wrote docs/benchmarks.md")


if __name__ == "__main__":
    main()
