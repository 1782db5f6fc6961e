"""What is served: live clients over WebSocket beside other servers, and requests over REST while data flows.

The live clients are the program `benches/fanout`. The other servers are the scripts that they were measured with
before, where these are at hand. Requests come from wrk, where it is installed.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import live
import replay

# What each peer is made of, by the word its script knows it by.
PEERS = {"picows": ["picows"], "websockets": ["websockets"], "fastapi": ["fastapi", "uvicorn"]}
PEER_PACKAGES = ["picows", "websockets", "fastapi", "uvicorn", "uvloop"]
PEER_MESSAGES = 5_000

# A little more than the 10,000 a second that are to flow.
RATE = 10_200
# More of them only wait for two cores that are busy already.
CONNECTIONS = 3
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def fanout(root, is_quick):
    """Returns what the clients found, an object a case and phase."""
    command = ["cargo", "bench", "--quiet", "--locked", "--bench", "fanout", "--", "--json"]
    ran = subprocess.run(command + ["--quick"] * is_quick, cwd=root, capture_output=True, text=True)
    if ran.returncode != 0:
        raise SystemExit(f"bench: the live clients failed: {ran.stderr[-2000:]}")
    found = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    for case in found:
        print(
            f"bench: {case['case']}, {case['clients']} clients, {case['stopped']} stopped: "
            f"{case['deliveries_per_second']:,.0f} deliveries/s, sent {case['sent_ms']}, bars {case['bar_sent_ms']}",
            file=sys.stderr,
        )
    return found


def peers(python):
    """Returns deliveries a second, server CPU for each and version of other servers, by name."""
    shared = replay.shared_peers()
    script = shared / "peer_fanout.py" if shared else None
    if script is None or not script.exists():
        return {}
    found = {}
    for name, packages in PEERS.items():
        ask = f"import importlib.metadata as m; print(' on '.join(f'{{p}} {{m.version(p)}}' for p in {packages}))"
        asked = subprocess.run([python, "-c", ask], capture_output=True, text=True)
        if asked.returncode != 0:
            continue
        command = [python, "-B", script, name, "--clients", "100", "--msgs", str(PEER_MESSAGES)]
        ran = subprocess.run(command, capture_output=True, text=True)
        if ran.returncode != 0:
            print(f"bench: {name} failed: {ran.stderr[-500:]}", file=sys.stderr)
            continue
        said = dict(re.findall(r"(\w+)=(\S+)", ran.stdout.strip().splitlines()[-1]))
        found[name] = {
            "called": asked.stdout.strip(),
            "deliveries_per_second": float(said["deliveries_per_s"]),
            "us_per_delivery": float(said["server_cpu_s_per_mdelivery"]),
        }
        print(f"bench: {name}: {found[name]}", file=sys.stderr)
    return found


def read_wrk(output):
    """Returns requests a second and latencies in milliseconds, as wrk says them."""
    def quantile(share):
        value, unit = re.search(rf"^\s+{share}%\s+([\d.]+)(us|ms|s)$", output, re.MULTILINE).groups()
        return float(value) * UNITS[unit]

    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    return {
        "per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]),
        "p50_ms": quantile(50),
        "p99_ms": quantile(99),
        "failed": int(failed[1]) if failed else 0,
    }


def rest(binary, work, cores, seconds):
    """Asks for the same again and again while ticks flow. Returns the figures by request; empty without wrk."""
    if shutil.which("wrk") is None:
        return []
    found = []
    with live.running(binary, work, "rest", cores, ["--rate", str(RATE)]) as instance:
        address = re.search(r"REST listens on (http://\S+)", instance.log.read_text(errors="replace"))[1]
        with urllib.request.urlopen(f"{address}/api/v1/symbols", timeout=30) as answer:
            symbol = urllib.parse.quote(json.load(answer)["symbols"][0], safe="")
        paths = [f"latest/{symbol}", f"aggregated/{symbol}?limit=10", f"aggregated/{symbol}"]
        time.sleep(live.SETTLE_SECONDS)
        for path in paths:
            url = f"{address}/api/v1/{path}"
            with urllib.request.urlopen(url, timeout=30) as answer:
                size = len(answer.read())
            before = instance.read()
            ran = subprocess.run(
                ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds:.0f}s",
                 "--latency", url],
                capture_output=True, text=True, check=True,
            )
            after = instance.read()
            took, applied = after.since(before)
            figures = read_wrk(ran.stdout) | {
                "request": path.replace(symbol, "{symbol}"),
                "bytes": size,
                "ticks_per_second": applied / took,
                "server_cores": (after.cpu - before.cpu) / took,
                "load": os.getloadavg()[0],
            }
            print(f"bench: {figures}", file=sys.stderr)
            found.append(figures)
    return found
