"""Reads topics with a foreign client, and holds every message against the schemas.

    topics.py SERVERS SCHEMAS PREFIX

Prints one object: by topic, without the prefix, its partitions, settings, number of messages, and the highest `log_pos` of
each key (symbol, window and start, or the message's own place). Ends with an error at the first message that is wrong.
"""

import json
import sys
from pathlib import Path

import jsonschema_rs
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

servers, schemas, prefix = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
SETTINGS = ("retention.ms", "compression.type", "min.insync.replicas")


def murmur2(data):
    """The hash by which Java clients choose partitions."""
    m, length = 0x5BD1E995, len(data)
    h = 0x9747B28C ^ length
    for at in range(0, length - length % 4, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & 0xFFFFFFFF
        k = (k ^ k >> 24) * m & 0xFFFFFFFF
        h = (h * m & 0xFFFFFFFF) ^ k
    rest = data[length - length % 4 :]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & 0xFFFFFFFF
    h = (h ^ h >> 13) * m & 0xFFFFFFFF
    return h ^ h >> 15


def validator(topic):
    """Returns what judges the values of a topic."""
    name = "aggregated_data" if topic.startswith("aggregated_data_") else topic
    schema = json.loads((schemas / f"{name}.json").read_text())
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def key_of(value):
    """Returns what a message is about."""
    if "window" in value:
        return "|".join([value["symbol"], value["window"], value.get("window_start") or value["timestamp"]])
    return "|".join([value.get("symbol", ""), value.get("log_pos", "")])


admin = AdminClient({"bootstrap.servers": servers})
# At the end of a partition the broker would hold the next question back for half a second.
brief = {"fetch.wait.max.ms": 20}
consumer = Consumer({"bootstrap.servers": servers, "group.id": f"{prefix}foreign", "enable.auto.commit": False, **brief})
found = {}
for name, metadata in sorted(admin.list_topics(timeout=20).topics.items()):
    if not name.startswith(prefix):
        continue
    topic = name.removeprefix(prefix)
    described = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name)])
    settings = {entry: next(iter(described.values())).result(20)[entry].value for entry in SETTINGS}
    judge, highest, count, num_partitions = validator(topic), {}, 0, len(metadata.partitions)
    for partition in metadata.partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=20)
        if low == high:
            continue
        consumer.assign([TopicPartition(name, partition, OFFSET_BEGINNING)])
        while True:
            message = consumer.poll(20)
            assert message is not None and message.error() is None, message and message.error()
            value = json.loads(message.value())
            judge.validate(value)
            assert value["v"] == 1, value
            key = message.key()
            assert key == (value["symbol"].encode() if "symbol" in value else None), (key, value)
            if key is not None:
                wanted = (murmur2(key) & 0x7FFFFFFF) % num_partitions
                assert message.partition() == wanted, (key, message.partition(), wanted)
            position = int(value.get("log_pos", 0))
            highest[key_of(value)] = max(position, highest.get(key_of(value), -1))
            count += 1
            if message.offset() >= high - 1:
                break
    found[topic] = {"partitions": num_partitions, "settings": settings, "messages": count, "highest": highest}
consumer.close()
print(json.dumps(found))
