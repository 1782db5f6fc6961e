"""A server of S3 with a bucket `market`, on a free port of this machine, as long as standard input is open.

    bucket.py EXPORT

Prints its address. On the line `compare` it compares what lies in the bucket with the export in a folder.
"""

import logging
import sys
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

# The server would write a line for each request.
logging.getLogger("werkzeug").setLevel(logging.ERROR)
local = Path(sys.argv[1])
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
address = f"http://{host}:{port}"
client = boto3.client(
    "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="a-key", aws_secret_access_key="a-secret"
)
client.create_bucket(Bucket="market")
print(address)

PREFIX = "some/where/"


def compare():
    """Says how many files are the same, or which differ."""
    found = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="market"):
        for item in page.get("Contents", []):
            assert item["Key"].startswith(PREFIX), item["Key"]
            name = item["Key"].removeprefix(PREFIX)
            if not name.startswith("_"):
                found[name] = client.get_object(Bucket="market", Key=item["Key"])["Body"].read()
    paths = [path for path in local.rglob("*.parquet") if "_tickwire" not in path.parts]
    expected = {str(path.relative_to(local)): path.read_bytes() for path in paths}
    assert expected, "nothing to compare"
    if found == expected:
        return f"{len(found)} files are the same"
    differing = [name for name in set(found) | set(expected) if found.get(name) != expected.get(name)]
    return f"{len(differing)} files differ: {sorted(differing)[:5]}"


for line in sys.stdin:
    if line.strip() == "compare":
        print(compare())
server.stop()
