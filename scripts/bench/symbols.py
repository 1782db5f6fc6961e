"""What a replay costs as the number of symbols grows, beside DuckDB in batch.

The same number of trades over the same two hours is spread evenly over more and more symbols, so that there are ever
more bars and ever fewer trades in each. Each round runs both programs once over every file, one after another.
"""

import os
import sys

import generate
import process
import replay

NUM_TICKS = 1_000_000
SIZES = (1, 100, 1_000, 10_000)


def input_file(work, symbols):
    """Returns the file of trades of so many symbols, made on first use."""
    path = work / f"ticks-{symbols}-symbols.jsonl"
    if not path.exists():
        print(f"bench: making {path.name}", file=sys.stderr)
        generate.write(path, NUM_TICKS, symbols, even=True)
    return path


def commands(binary, peers, path, cores):
    """Returns the command of each program by its name."""
    known = {"tickwire": replay.command(binary, path)}
    if "duckdb" in peers:
        script = replay.HERE / "peers" / "duckdb_bars.py"
        known["duckdb"] = [peers["duckdb"], "-B", script, path, str(cores)]
    return known


def measure(binary, peers, work, rounds, cores):
    """Runs the programs `rounds` times over each file and returns their figures."""
    cases = [{"symbols": symbols, "runs": {}, "bars": set(), "load": []} for symbols in SIZES]
    for turn in range(rounds):
        for case in cases:
            path = input_file(work, case["symbols"])
            for name, command in commands(binary, peers, path, cores).items():
                ended = process.run([str(word) for word in command], cores, work / f"{name}.log")
                if ended.code != 0:
                    raise SystemExit(f"bench: {name} failed, see {work / name}.log")
                case["runs"].setdefault(name, []).append(ended)
                case["bars"].add(replay.read_job(name, ended.output)["bars"])
                case["load"].append(os.getloadavg()[0])
                print(
                    f"bench: {case['symbols']:,} symbols {turn + 1}/{rounds} {name}: {ended.cpu:.2f} CPU s, "
                    f"{ended.rss_mb:.0f} MB",
                    file=sys.stderr,
                )
    return {"ticks": NUM_TICKS, "rounds": rounds, "cases": [summary(case) for case in cases]}


def summary(case):
    """Returns the figures of one number of symbols."""
    if len(case["bars"]) != 1:
        raise SystemExit(f"bench: the programs did not do the same job; bars: {case['bars']}")
    figures = {
        name: {
            "cpu": process.spread([run.cpu for run in runs]),
            "rss_mb": process.spread([run.rss_mb for run in runs]),
            "wall": process.spread([run.wall for run in runs]),
        }
        for name, runs in case["runs"].items()
    }
    return {
        "symbols": case["symbols"],
        "bars": case["bars"].pop(),
        "load": process.spread(case["load"]),
        "programs": figures,
    }
