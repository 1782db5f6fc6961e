#!/usr/bin/env python3
"""Measures what an outage of a backend costs everything else.

    outage.py [--binary FILE] [--rate N] [--seconds N] [--way WAY]... [BACKEND...]

For each backend and each way of being away, a run at 10,000 ticks a second is read before, during and after: how long ticks
take to bars and to the log, what is served, what memory is held, what was dropped, and how long the backend takes to catch
up. The backend stands behind a proxy of this script, which closes connections (`away`), passes nothing (`hangs`), or passes
every piece 2 s late (`slow`). `scripts/services.sh` starts the servers, but for Kafka, whose broker must know the proxy's
address; what is not to be had is left out. At the end the topic of ticks is compared with the log, where this is run by a Python
that has confluent_kafka and duckdb. Prints a table. Everything is bounded in time. `run.py` calls it.
"""

import argparse
import glob
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import live

ROOT = Path(__file__).resolve().parent.parent.parent
WAYS = ("away", "hangs", "slow")
SLOW_SECONDS = 2.0
SPANS = ("received_to_bar", "received_to_committed")
CATCH_UP_SECONDS = 300


class Proxy:
    """Passes TCP connections on to a server, as far as its mode lets it."""

    def __init__(self, host, port):
        self.target = (host, port)
        self.mode = "pass"
        self.changed = threading.Condition()
        self.pairs = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def set(self, mode):
        """Changes the mode of open and of new connections."""
        with self.changed:
            self.mode = mode
            self.changed.notify_all()
            pairs = list(self.pairs) if mode == "away" else []
        for pair in pairs:
            self.end(pair)

    def accept(self):
        """Takes connections until the script ends."""
        while True:
            client, _ = self.listener.accept()
            if self.mode == "away":
                client.close()
                continue
            try:
                server = socket.create_connection(self.target)
            except OSError:
                client.close()
                continue
            pair = (client, server)
            with self.changed:
                self.pairs.add(pair)
            for source, sink, is_up in ((client, server, True), (server, client, False)):
                threading.Thread(target=self.pump, args=(pair, source, sink, is_up), daemon=True).start()

    def pump(self, pair, source, sink, is_up):
        """Passes on what comes from one side."""
        try:
            while piece := source.recv(65_536):
                with self.changed:
                    if self.mode == "slow" and is_up:
                        self.changed.wait_for(lambda: self.mode != "slow", SLOW_SECONDS)
                    self.changed.wait_for(lambda: self.mode != "hangs")
                sink.sendall(piece)
        except OSError:
            pass
        self.end(pair)

    def end(self, pair):
        """Closes both sides of a connection."""
        with self.changed:
            self.pairs.discard(pair)
        for side in pair:
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            side.close()


def through(url, proxy):
    """Returns an address with the proxy in place of its host and port."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{proxy.port}" if user else f"127.0.0.1:{proxy.port}"))


def health(instance, component):
    """Returns the status of a component, and of everything else the worst."""
    said = instance.log.read_text(errors="replace")
    address = next(line.rsplit(" ", 1)[1] for line in said.splitlines() if "REST listens on" in line)
    with urllib.request.urlopen(f"{address}/health", timeout=30) as answer:
        components = json.load(answer)["components"]
    rest = {status for name, status in components.items() if name != component} - {"disabled"}
    return components.get(component), max(rest, key=("healthy", "degraded", "unhealthy").index)


def served(instance):
    """Returns how long answers of REST took at the worst of a hundred, in milliseconds."""
    said = instance.log.read_text(errors="replace")
    address = next(line.rsplit(" ", 1)[1] for line in said.splitlines() if "REST listens on" in line)
    times = []
    for _ in range(100):
        begun = time.perf_counter()
        urllib.request.urlopen(f"{address}/api/v1/latest?symbols=*", timeout=30).read()
        times.append((time.perf_counter() - begun) * 1e3)
    return sorted(times)[98]


def phase(instance, name, seconds, component):
    """Reads a stretch of time."""
    before = instance.read()
    held, deadline = before.rss_mb, time.monotonic() + seconds
    answers = []
    while time.monotonic() < deadline:
        answers.append(served(instance))
        time.sleep(min(2.0, max(0.0, deadline - time.monotonic())))
        held = max(held, instance.read().rss_mb)
    after = instance.read()
    took, applied = after.since(before)
    own, others = health(instance, component)
    dropped = "tickwire_sink_dropped_total"
    spans = [live.quantile(before, after, span, 0.99) for span in SPANS]
    return {
        "phase": name,
        "ticks_per_second": applied / took,
        "p99_ms": [span["about"] * 1e3 if span else None for span in spans],
        "rest_p99_ms": max(answers),
        "rss_mb": held,
        "component": own,
        "others": others,
        "dropped": after.total(dropped, component) - before.total(dropped, component),
    }


def caught_up(instance, component):
    """Returns the seconds until the backend is healthy and nothing waits for it; None where it does not come to that."""
    begun = time.monotonic()
    while time.monotonic() < begun + CATCH_UP_SECONDS:
        waiting = instance.read().total("tickwire_sink_queue_length", component)
        behind = instance.read().total("tickwire_sink_behind_positions", component)
        if health(instance, component)[0] == "healthy" and waiting < 2_000 and behind == 0:
            return time.monotonic() - begun
        time.sleep(0.2)
    return None


def before(url):
    """Starts a proxy before a server."""
    parts = urlsplit(url)
    return Proxy(parts.hostname, parts.port)


def redis(binary, work, stack):
    """Returns a proxy before Redis, how Redis is called in health, and the settings that use it."""
    url = os.environ.get("TICKWIRE_TEST_REDIS")
    if not url:
        server = stack.enter_context(live.redis(work))
        if not server:
            return None
        url = server.url
    proxy = before(url)
    return proxy, "redis", {"TICKWIRE__REDIS__URL": through(url, proxy)}


def postgres(binary, work, stack):
    """As `redis`, for a history in a database of PostgreSQL that is made for the run."""
    server = os.environ.get("TICKWIRE_TEST_POSTGRES")
    psql = shutil.which("psql") or max(glob.glob("/usr/lib/postgresql/*/bin/psql"), default=None)
    if not server or not psql:
        return None
    name = f"outage_{os.getpid()}_{time.monotonic_ns()}"

    def ask(sql):
        subprocess.run([psql, "-q", "-d", server, "-c", sql], check=True)

    ask(f"CREATE DATABASE {name}")
    stack.callback(ask, f"DROP DATABASE {name} WITH (FORCE)")
    url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    # Tables are made by this command alone.
    migrate = [str(binary), "migrate", "--data-dir", str(work / name)]
    subprocess.run(migrate, env=os.environ | {"DATABASE_URL": url}, cwd=work, check=True, stdout=subprocess.DEVNULL)
    proxy = before(url)
    return proxy, "history", {"DATABASE_URL": through(url, proxy)}


def influxdb(binary, work, stack):
    """As `redis`, for InfluxDB."""
    url, token = os.environ.get("TICKWIRE_TEST_INFLUXDB"), os.environ.get("TICKWIRE_TEST_INFLUXDB_TOKEN")
    if not url:
        return None
    proxy = before(url)
    bucket = f"outage-{os.getpid()}-{time.monotonic_ns()}"
    settings = {"INFLUXDB_URL": through(url, proxy), "INFLUXDB_ORG": "tickwire", "INFLUXDB_BUCKET": bucket}
    return proxy, "influxdb", settings | {"INFLUXDB_TOKEN": token}


def free_port():
    """Returns a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def kafka(binary, work, stack):
    """As `redis`, for a broker of its own, which tells its clients to come through the proxy; and what compares its topic."""
    script = ROOT / "scripts" / "kafka.sh"
    if subprocess.run([script, "--cached"], stdout=subprocess.DEVNULL).returncode != 0:
        return None
    home, port = Path(tempfile.mkdtemp(prefix="kafka-", dir=work)), free_port()
    proxy = Proxy("127.0.0.1", port)
    further = work / f"{home.name}.properties"
    further.write_text(f"advertised.listeners=PLAINTEXT://127.0.0.1:{proxy.port}\n")
    broker = subprocess.Popen([script, "run", home, str(port), str(free_port()), further])
    stack.callback(broker.wait)
    stack.callback(broker.kill)
    deadline, log = time.monotonic() + live.START_SECONDS, home / "server.log"
    while not log.exists() or "Kafka Server started" not in log.read_text():
        if broker.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"bench: the broker did not start, see {home}")
        time.sleep(0.2)
    servers = f"127.0.0.1:{proxy.port}"
    settings = {"KAFKA_BOOTSTRAP_SERVERS": servers, "TICKWIRE__KAFKA__PARTITIONS": "6"}
    return proxy, "kafka", settings, lambda data: compare_topic(binary, work, data, servers)


def compare_topic(binary, work, data, servers):
    """Returns how many reports of the log the topic of ticks lacks, how many are left for the next start, and how many it has
    more than once."""
    try:
        import confluent_kafka as client
        import duckdb
    except ImportError as error:
        print(f"outage: {error.name} is missing, so the topic is not compared with the log", file=sys.stderr)
        return None
    out = work / f"{Path(data).name}-export"
    subprocess.run([binary, "export", "--data-dir", data, "--out", out], check=True, stdout=subprocess.DEVNULL)
    # Ready-made bars, of which the simulator's past consists, are no reports.
    wanted = "tick_type IN ('trade', 'cancel', 'correction')"
    rows = duckdb.sql(f"SELECT log_pos FROM '{out}/ticks/*/*/*.parquet' WHERE {wanted}").fetchall()
    in_log = {position for (position,) in rows}
    consumer = client.Consumer({"bootstrap.servers": servers, "group.id": "bench", "enable.auto.commit": False})
    topic = "tick_data"
    open_ends = {}
    for partition in consumer.list_topics(topic, timeout=20).topics[topic].partitions:
        first, end = consumer.get_watermark_offsets(client.TopicPartition(topic, partition), timeout=20)
        if first < end:
            open_ends[partition] = end
    consumer.assign([client.TopicPartition(topic, partition, 0) for partition in open_ends])
    number = re.compile(rb'"log_pos":\s*"(\d+)"')
    count, in_topic = 0, set()
    while open_ends:
        messages = consumer.consume(10_000, 10)
        if not messages:
            raise SystemExit("bench: the topic cannot be read to its end")
        for message in messages:
            count += 1
            in_topic.add(int(number.search(message.value())[1]))
            if message.offset() + 1 >= open_ends.get(message.partition(), 0):
                open_ends.pop(message.partition(), None)
    consumer.close()
    shutil.rmtree(out)
    missing = in_log - in_topic
    # What the topics had not got at the stop is brought by the next start.
    reached = json.loads((Path(data) / "topics.json").read_text())["positions"]["0"]
    return {
        "in_log": len(in_log),
        "missing": sum(position <= reached for position in missing),
        "left": sum(position > reached for position in missing),
        "unknown": len(in_topic - in_log),
        "repeated": count - len(in_topic),
    }


BACKENDS = {"redis": redis, "postgres": postgres, "influxdb": influxdb, "kafka": kafka}


HEADER = [
    "backend", "is", "", "ticks/s", "p99 to bar, ms", "p99 to log, ms", "p99 of REST, ms", "MB", "it is", "the rest is",
    "dropped", "caught up in, s", "missing / repeated in the topic",
]


def rows(cases):
    """Returns the rows of the table."""
    def number(value, digits=1):
        return "–" if value is None else f"{value:,.{digits}f}"

    made = []
    for case in cases:
        for found in case["phases"]:
            bar, committed = found["p99_ms"]
            is_last = found["phase"] == "after"
            took = case["caught_up_seconds"] if is_last else None
            topic = case.get("topic") if is_last else None
            made.append([
                case["backend"], case["way"], found["phase"], number(found["ticks_per_second"], 0), number(bar, 2),
                number(committed), number(found["rest_p99_ms"]), number(found["rss_mb"], 0), found["component"],
                found["others"], number(found["dropped"], 0), number(took),
                f"{topic['missing']:,} / {topic['repeated']:,} of {topic['in_log']:,}" if topic else "–",
            ])
    return made


def case(binary, work, cores, rate, seconds, backend, way):
    """Returns what one outage did; None where there is no server."""
    with ExitStack() as stack:
        made = BACKENDS[backend](binary, work, stack)
        if not made:
            print(f"outage: there is no server of {backend}, so it is left out", file=sys.stderr)
            return None
        proxy, component, settings, *compare = made
        name, flags = f"outage-{backend}", ["--rate", str(rate)]
        compared = []

        def at_end(data):
            compared.extend(one(data) for one in compare)

        with live.running(binary, work, name, cores, flags, at_end, **settings) as instance:
            time.sleep(live.SETTLE_SECONDS)
            phases = [phase(instance, "before", min(20, seconds), component)]
            proxy.set(way)
            phases.append(phase(instance, "during", seconds, component))
            proxy.set("pass")
            took = caught_up(instance, component)
            phases.append(phase(instance, "after", min(20, seconds), component))
    topic = compared[0] if compared else None
    return {"backend": backend, "way": way, "phases": phases, "caught_up_seconds": took, "topic": topic}


def measure_here(binary, work, cores, rate, seconds, backends, ways):
    """Returns what each outage did, with the servers that the environment names."""
    wanted = [(backend, way) for backend in backends for way in ways]
    found = [case(binary, work, cores, rate, seconds, backend, way) for backend, way in wanted]
    return [one for one in found if one]


def measure(binary, cores, seconds, python=sys.executable, flags=()):
    """Starts the servers, and returns what each outage did, as found out by a Python."""
    command = [ROOT / "scripts" / "services.sh", python, "-B", __file__, "--json", "--binary", str(binary)]
    command += ["--cores", str(cores), "--seconds", str(seconds), *flags]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if ran.returncode != 0:
        raise SystemExit("bench: the outages could not be measured")
    return json.loads(ran.stdout.strip().splitlines()[-1])


def main():
    """Prints the table."""
    options = argparse.ArgumentParser(description="What an outage of a backend costs everything else.")
    options.add_argument("--binary", type=Path, default=ROOT / "target/release/tickwire")
    options.add_argument("--cores", type=int, default=2)
    options.add_argument("--rate", type=int, default=10_000)
    options.add_argument("--seconds", type=int, default=60)
    options.add_argument("--way", choices=WAYS, action="append")
    options.add_argument("--json", action="store_true", help="measure with the servers of the environment, print JSON")
    options.add_argument("backends", nargs="*", metavar="BACKEND", help=f"of {', '.join(BACKENDS)}; all by default")
    asked = options.parse_args()
    if asked.json:
        with tempfile.TemporaryDirectory(prefix="outage-") as work:
            found = measure_here(
                asked.binary.resolve(), Path(work), asked.cores, asked.rate, asked.seconds,
                asked.backends or list(BACKENDS), asked.way or WAYS,
            )
        print(json.dumps(found))
        return
    flags = ["--rate", str(asked.rate), *asked.backends]
    for way in asked.way or ():
        flags += ["--way", way]
    print("| " + " | ".join(HEADER) + " |\n|" + " --- |" * len(HEADER))
    for row in rows(measure(asked.binary.resolve(), asked.cores, asked.seconds, flags=flags)):
        print("| " + " | ".join(map(str, row)) + " |")


if __name__ == "__main__":
    main()
