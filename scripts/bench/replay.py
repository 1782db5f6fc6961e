"""The job that Tickwire and its peers do alike: a file of trades into bars of three windows and their indicators.

Each round runs every program once, one after another, so that what else the machine does hits all of them. CPU, memory
and wall time are those of the whole process, parsing and the start of an interpreter included; beside it stands what
the peers say of their job alone.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import generate
import process

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NUM_TICKS = 2_000_000


def shared_peers():
    """Returns the folder of the peers' scripts that others were measured with, where there is one."""
    shared = Path(os.environ.get("TICKWIRE_SHARED", ROOT.parent / "shared"))
    return shared / "peers" if (shared / "peers" / "peer_duckdb.py").exists() else None


def input_file(work):
    """Returns the file of trades, made on first use."""
    shared = shared_peers()
    path = work / ("ticks-shared.jsonl" if shared else "ticks.jsonl")
    if not path.exists():
        print(f"bench: making {path.name}", file=sys.stderr)
        if shared:
            subprocess.run([sys.executable, shared / "gen_ticks.py", path], check=True, stdout=subprocess.DEVNULL)
        else:
            generate.write(path, NUM_TICKS)
    return path


def command(binary, path):
    """Returns Tickwire's command, which makes the windows that the peers make, and no wider ones."""
    return ["env", "TICKWIRE__CORE__WINDOWS=1min,5min,15min", binary, "replay", path, "--json"]


def programs(binary, peers, path, cores):
    """Returns the command of each program by its name."""
    known = {"tickwire": command(binary, path)}
    shared = shared_peers()
    scripts = shared or HERE / "peers"
    name = "peer_{}.py" if shared else "{}_bars.py"
    if "duckdb" in peers:
        known["duckdb"] = [peers["duckdb"], "-B", scripts / name.format("duckdb"), path, str(cores)]
    if "polars" in peers:
        known["polars"] = [peers["polars"], "-B", scripts / name.format("polars"), path]
    return known


def read_job(name, output):
    """Returns ticks per second, CPU seconds per million, and the number of bars, as the program itself says."""
    last = output.strip().splitlines()[-1]
    if name == "tickwire":
        said = json.loads(last)
        return {"ticks_per_second": said["ticks_per_second"], "cpu": None, "bars": sum(said["bars"].values())}
    said = dict(re.findall(r"(\w+)=(\S+)", last))
    return {
        "ticks_per_second": float(said["ticks_per_s"]),
        "cpu": float(said["cpu_s_per_mtick"]),
        "bars": int(said["bars"]),
    }


def measure(binary, peers, work, rounds, cores):
    """Runs all programs `rounds` times and returns their figures."""
    path = input_file(work)
    commands = programs(binary, peers, path, cores)
    runs = {name: [] for name in commands}
    for turn in range(rounds):
        for name, command in commands.items():
            ended = process.run([str(word) for word in command], cores, work / f"{name}.log")
            if ended.code != 0:
                raise SystemExit(f"bench: {name} failed, see {work / name}.log")
            job = read_job(name, ended.output)
            runs[name].append({
                "cpu": ended.cpu / NUM_TICKS * 1e6,
                "ticks_per_second": NUM_TICKS / ended.wall,
                "rss_mb": ended.rss_mb,
                "job": job,
                "load": os.getloadavg()[0],
            })
            print(
                f"bench: replay {turn + 1}/{rounds} {name}: {ended.cpu / NUM_TICKS * 1e6:.3f} CPU s per million, "
                f"{NUM_TICKS / ended.wall / 1e6:.2f} M ticks/s",
                file=sys.stderr,
            )
    counts = {name: {run["job"]["bars"] for run in done} for name, done in runs.items()}
    if len(set.union(*counts.values())) != 1:
        raise SystemExit(f"bench: the programs did not do the same job; bars: {counts}")
    return {"ticks": NUM_TICKS, "rounds": rounds, "bars": counts["tickwire"].pop(), "programs": summarize(runs)}


def summarize(runs):
    """Returns medians, and each peer's ratio to Tickwire in the same round."""
    ours = runs["tickwire"]
    summary = {}
    for name, done in runs.items():
        def spread_of(key, done=done):
            return process.spread([run[key] for run in done])

        def ratio_of(key, done=done):
            return process.spread([theirs[key] / our[key] for theirs, our in zip(done, ours)])

        job_cpu = [run["job"]["cpu"] for run in done if run["job"]["cpu"] is not None]
        summary[name] = {
            "cpu": spread_of("cpu"),
            "ticks_per_second": spread_of("ticks_per_second"),
            "rss_mb": spread_of("rss_mb"),
            "load": spread_of("load"),
            "cpu_ratio": ratio_of("cpu"),
            "speed_ratio": ratio_of("ticks_per_second"),
            "job_cpu": process.spread(job_cpu) if job_cpu else None,
            "job_ticks_per_second": process.spread([run["job"]["ticks_per_second"] for run in done]),
        }
    return summary
