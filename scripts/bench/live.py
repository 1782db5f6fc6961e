"""The whole live tree of actors, fed by the simulated venue: how much it takes, how fast it answers, what it holds.

Each case starts `tickwire run` in a directory of its own on free ports, lets it settle, and compares two readings of its
metrics. Everything is bounded in time, and a process is asked to stop (SIGTERM) before it is made to.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager

import process

SETTLE_SECONDS = 3
START_SECONDS = 120
STOP_SECONDS = 10
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


class Instance:
    """A running Tickwire."""

    def __init__(self, child, log):
        self.child, self.log = child, log
        self.metrics = None

    def wait_until_ready(self):
        """Waits until it says that it is ready, and finds where its metrics are."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.child.poll() is None:
            said = self.log.read_text(errors="replace")
            found = re.search(r"metrics listens on (http://\S+)", said)
            if found and re.search(r"\bready\b", said):
                self.metrics = f"{found[1]}/metrics"
                return
            time.sleep(0.05)
        raise SystemExit(f"bench: tickwire did not become ready, see {self.log}")

    def read(self):
        """Returns a reading: the time, the CPU time used, the memory held, and every metric."""
        with urllib.request.urlopen(self.metrics, timeout=30) as answer:
            text = answer.read().decode()
        return Reading(time.monotonic(), process.cpu_seconds(self.child.pid), process.rss_mb(self.child.pid), text)


class Reading:
    """The metrics at one moment."""

    def __init__(self, at, cpu, rss_mb, text):
        self.at, self.cpu, self.rss_mb = at, cpu, rss_mb
        self.samples = [match.groups() for match in map(SAMPLE.match, text.splitlines()) if match]

    def total(self, name, label=""):
        """Returns the sum of a metric's series whose labels contain `label`."""
        return sum(float(value) for known, labels, value in self.samples if known == name and label in (labels or ""))

    def since(self, before):
        """Returns the seconds since an earlier reading, and the ticks applied in them."""
        name = "tick_messages_received_total"
        return self.at - before.at, self.total(name) - before.total(name)

    def buckets(self, span):
        """Returns the cumulative counts of a span's histogram by upper bound."""
        counts = {}
        for name, labels, value in self.samples:
            if name == "processing_latency_seconds_bucket" and f'component="{span}"' in labels:
                counts[float(re.search(r'le="([^"]+)"', labels)[1])] = float(value)
        return counts


def quantile(before, after, span, share):
    """Returns the upper and the interpolated value of a quantile between two readings, in seconds; None without any."""
    old = before.buckets(span)
    counts = {bound: count - old.get(bound, 0) for bound, count in sorted(after.buckets(span).items())}
    wanted = share * max(counts.values(), default=0)
    if wanted == 0:
        return None
    lower, under = 0.0, 0.0
    for bound, count in counts.items():
        if count >= wanted:
            inside = (wanted - under) / (count - under) if count > under else 1.0
            reached = lower + (bound - lower) * inside if bound != float("inf") else lower
            return {"at_most": bound, "about": reached}
        lower, under = bound, count
    return None


@contextmanager
def running(binary, work, name, cores, flags, at_end=None, **settings):
    """Runs Tickwire with the given flags and settings until the block ends; `at_end` then gets its data directory."""
    data = tempfile.mkdtemp(prefix=f"{name}-", dir=work)
    log = work / f"{name}.log"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TICKWIRE__")}
    for port in ("REST", "WEBSOCKET", "DASHBOARD", "METRICS"):
        environment[f"TICKWIRE__SERVER__{port}"] = "127.0.0.1:0"
    # The same pace at any hour.
    environment["TICKWIRE__PROVIDER__SIMULATED__SWING"] = "0"
    environment |= settings
    command = [str(binary), "run", "--data-dir", data, *flags]
    with open(log, "wb") as out:
        child = subprocess.Popen(
            # In a directory of its own, so that no `.env` has a say.
            command, stdout=out, stderr=out, env=environment, cwd=data, preexec_fn=process.pin(cores)
        )
    try:
        try:
            instance = Instance(child, log)
            instance.wait_until_ready()
            yield instance
            if child.poll() is not None:
                raise SystemExit(f"bench: tickwire ended before it was told to, see {log}")
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if at_end:
            at_end(data)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def capacity(binary, work, cores, kind, symbols, rate, seconds):
    """Offers more than it can take, and returns how much it takes."""
    flags = ["--symbol-count", str(symbols), "--rate", str(rate)]
    settings = {"TICKWIRE__LOG__KIND": kind, "TICKWIRE__PROVIDER__WARM_UP": "0s"}
    with running(binary, work, f"capacity-{kind}", cores, flags, **settings) as instance:
        time.sleep(SETTLE_SECONDS)
        before = instance.read()
        time.sleep(seconds)
        after = instance.read()
    took, applied = after.since(before)
    committed = after.total("tickwire_log_position") - before.total("tickwire_log_position")
    figures = {
        "kind": kind,
        "symbols": symbols,
        "offered": rate,
        "seconds": took,
        "applied_per_second": applied / took,
        "committed_per_second": committed / took if kind == "sqlite" else None,
        "cpu_per_million": (after.cpu - before.cpu) / max(applied, 1) * 1e6,
        "cores_used": (after.cpu - before.cpu) / took,
        "rss_mb": [before.rss_mb, after.rss_mb],
        "load": os.getloadavg()[0],
    }
    print(
        f"bench: {kind}, {symbols} symbols: {applied / took:,.0f} ticks/s applied of {rate:,} offered, "
        f"{figures['cpu_per_million']:.2f} CPU s per million, {after.rss_mb:.0f} MB",
        file=sys.stderr,
    )
    return figures


@contextmanager
def redis(work):
    """Runs a Redis without data until the block ends; gives None where none is installed."""
    if not shutil.which("redis-server"):
        yield None
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    server = subprocess.Popen([*command, "--dir", str(work)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server.url = f"redis://127.0.0.1:{port}/0"
    try:
        yield server
    finally:
        server.send_signal(signal.SIGCONT)
        server.kill()
        server.wait()


def latency_beside_stopped_redis(binary, work, cores, rate, seconds):
    """As `latency`, with a Redis that took everything and then answers nothing; None where there is no Redis."""
    with redis(work) as server:
        return latency(binary, work, cores, rate, seconds, server) if server else None


SPANS = ("received_to_logged", "received_to_bar", "received_to_committed", "received_to_history")


def latency(binary, work, cores, rate, seconds, stopped_redis=None, stores=None):
    """Runs at a rate that users have, with the settings they start with, and returns how long ticks take."""
    settings = {"TICKWIRE__REDIS__URL": stopped_redis.url} if stopped_redis else stores or {}
    with running(binary, work, "latency", cores, ["--rate", str(rate)], **settings) as instance:
        # Past the making of the past, which ends with the first live ticks.
        deadline = time.monotonic() + START_SECONDS
        while not instance.read().buckets("received_to_bar").get(float("inf")) and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(SETTLE_SECONDS)
        if stopped_redis:
            stopped_redis.send_signal(signal.SIGSTOP)
        before = instance.read()
        time.sleep(seconds)
        after = instance.read()
    took, applied = after.since(before)
    spans = {
        span: {"p50": quantile(before, after, span, 0.5), "p99": quantile(before, after, span, 0.99)}
        for span in SPANS
    }
    for span, found in spans.items():
        print(f"bench: {span} at {applied / took:,.0f} ticks/s: {found}", file=sys.stderr)
    return {
        "offered": rate,
        "seconds": took,
        "applied_per_second": applied / took,
        "cores_used": (after.cpu - before.cpu) / took,
        "spans": spans,
        "load": os.getloadavg()[0],
    }


def memory(binary, work, cores, symbols, rate, seconds):
    """Runs until the windows within the horizon are full, and returns the most memory held."""
    flags = ["--symbol-count", str(symbols), "--rate", str(rate)]
    with running(binary, work, "memory", cores, flags, TICKWIRE__PROVIDER__WARM_UP="0s") as instance:
        before = instance.read()
        held = [before.rss_mb]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(min(5, max(0.1, deadline - time.monotonic())))
            held.append(process.rss_mb(instance.child.pid))
        after = instance.read()
        peak = process.peak_rss_mb(instance.child.pid)
    took, applied = after.since(before)
    print(
        f"bench: {symbols} symbols, {applied / took:,.0f} ticks/s, {took:.0f} s: {max(held):.0f} MB, for moments {peak:.0f} MB",
        file=sys.stderr,
    )
    return {
        "symbols": symbols,
        "offered": rate,
        "seconds": took,
        "applied_per_second": applied / took,
        "cores_used": (after.cpu - before.cpu) / took,
        "held_rss_mb": max(held),
        "peak_rss_mb": peak,
        "rss_mb": held,
        "load": os.getloadavg()[0],
    }
