#!/usr/bin/env python3
"""Measures how long a tick takes from its receipt into its topic, and to a reader.

    scripts/services.sh PYTHON scripts/bench/kafka.py [--binary FILE] [--rate N] [--seconds N] [--json]

Runs the program with a simulated market beside the broker that the environment names, reads `tick_data` with librdkafka's client
for Python, which PYTHON must have (confluent_kafka), and prints the median, the 99th percentile and the longest time in
milliseconds from `received_at` to the broker's own time of the message, and to its arrival here, so the reader's own share
is in the second. The first 5 seconds are left out. `run.py` calls it.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import live

ROOT = Path(__file__).resolve().parent.parent.parent
WARM_UP_SECONDS = 5
TOPIC_SECONDS_MAX = 60
RATE = 10_000
FROM_RECEIVED = '"received_at":"'


def settings(servers, prefix):
    """Returns the settings of the run: topics of its own, all else as users have it."""
    topics = {"TICKS": "ticks", "AGGREGATED": "bars", "INDICATORS": "indicators", "DLQ": "dlq"}
    own = {f"TICKWIRE__KAFKA__TOPICS__{key}": f"{prefix}-{name}" for key, name in topics.items()}
    return own | {"KAFKA_BOOTSTRAP_SERVERS": servers, "TICKWIRE__PROVIDER__WARM_UP": "0s"}


def reader(servers, topic):
    """Returns a client that reads a topic from now on, once that is there and notes when it gets a message."""
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    client = Consumer({
        "bootstrap.servers": servers, "group.id": topic, "enable.auto.commit": False, "fetch.wait.max.ms": 5,
    })
    until = time.monotonic() + TOPIC_SECONDS_MAX
    while True:
        places = [TopicPartition(topic, at) for at in client.list_topics(topic, timeout=10).topics[topic].partitions]
        try:
            for place in places:
                place.offset = client.get_watermark_offsets(place, timeout=10)[1]
        except KafkaException:
            # The partitions of a topic that was just made have no leader yet.
            places = []
        if places:
            break
        if time.monotonic() > until:
            sys.exit("bench: the topic is not made")
        time.sleep(0.2)
    note_appends(servers, topic)
    client.assign(places)
    return client


def note_appends(servers, topic):
    """Has the broker give messages the time at which it appends them, in place of the producer's."""
    from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

    entry = ConfigEntry("message.timestamp.type", "LogAppendTime", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": servers})
    for altered in admin.incremental_alter_configs([resource]).values():
        altered.result(10)


def received(value):
    """Returns when a tick was received, in seconds since 1970. As cheap as can be: what it costs is measured too."""
    text = value.decode()
    at = text.index(FROM_RECEIVED) + len(FROM_RECEIVED)
    return datetime.datetime.fromisoformat(text[at : text.index('"', at)]).timestamp()


def delays(client, seconds):
    """Returns how long each tick took into its topic and to this reader, in milliseconds, ascending, and how many came in a second."""
    from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME

    appended, read = [], []
    begin = time.time() + WARM_UP_SECONDS
    while (now := time.time()) < begin + seconds:
        # One at a time: a call for many waits until it has them.
        message = client.poll(0.1)
        now = time.time()
        if message is None or message.error() or now < begin:
            continue
        at, (kind, millis) = received(message.value()), message.timestamp()
        if kind != TIMESTAMP_LOG_APPEND_TIME:
            sys.exit("bench: the broker does not say when it appended a message")
        # It cuts off what is below a millisecond.
        appended.append(millis + 0.5 - at * 1_000)
        read.append((now - at) * 1_000)
    return sorted(appended), sorted(read), len(read) / seconds


def measure_here(binary, rate, seconds):
    """Measures with the broker that the environment names; returns None where it names none."""
    servers = os.environ.get("TICKWIRE_TEST_KAFKA")
    if not servers:
        return None
    prefix = f"bench-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="kafka-") as work:
        flags, own = ["--rate", str(rate)], settings(servers, prefix)
        with live.running(binary, Path(work), "topic", os.cpu_count(), flags, **own):
            appended, read, per_second = delays(reader(servers, f"{prefix}-ticks"), seconds)
    if not read:
        sys.exit("bench: no tick came")

    def figures(of, found):
        def at(share):
            return found[min(len(found) - 1, int(len(found) * share))]

        return {f"{of}p50_ms": at(0.5), f"{of}p99_ms": at(0.99), f"{of}longest_ms": found[-1]}

    return {
        "offered": rate, "per_second": per_second, "seconds": seconds,
        **figures("", appended), **figures("read_", read),
    }


def measure(binary, python, seconds):
    """Starts the servers and measures by a Python that has the client; returns None where there is no broker."""
    command = [ROOT / "scripts" / "services.sh", python, "-B", __file__, "--json", "--binary", str(binary)]
    ran = subprocess.run([*command, "--seconds", str(seconds)], stdout=subprocess.PIPE, text=True)
    if ran.returncode != 0:
        raise SystemExit("bench: the way of a tick to its topic could not be measured")
    return json.loads(ran.stdout.strip().splitlines()[-1])


def main():
    """Prints the figures."""
    options = argparse.ArgumentParser(description="How long a tick takes to a reader of its topic.")
    options.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "tickwire")
    options.add_argument("--rate", type=int, default=RATE)
    options.add_argument("--seconds", type=float, default=30)
    options.add_argument("--json", action="store_true", help="print one object")
    asked = options.parse_args()
    found = measure_here(asked.binary.resolve(), asked.rate, asked.seconds)
    if asked.json:
        print(json.dumps(found))
    elif not found:
        sys.exit("bench: TICKWIRE_TEST_KAFKA names no broker")
    else:
        print(
            f"{found['per_second']:,.0f} ticks a second; into the topic: median {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms, "
            f"longest {found['longest_ms']:.1f} ms; to the reader: median {found['read_p50_ms']:.1f} ms, "
            f"p99 {found['read_p99_ms']:.1f} ms, longest {found['read_longest_ms']:.1f} ms"
        )


if __name__ == "__main__":
    main()
