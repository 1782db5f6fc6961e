"""Every example in the description of the API is what its schema says: type, words, form, format."""

import sys

import jsonschema_rs
import requests


def examples(node, place=""):
    """Finds (place, schema, example), whether they stand beside each other or the one within the other."""
    if isinstance(node, dict):
        found = [node[name] for name in ("example",) if name in node] + list(node.get("examples", []))
        for example in found:
            yield place, node.get("schema", node), example
        for name, child in node.items():
            if name not in ("example", "examples"):
                yield from examples(child, f"{place}/{name}")
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from examples(child, f"{place}/{number}")


def main(base):
    document = requests.get(f"{base}/openapi.json", timeout=10).json()
    count = 0
    for place, schema, example in examples(document):
        schema = {**schema, "components": document["components"]}
        validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        faults = [error.message for error in validator.iter_errors(example)]
        assert not faults, f"{place}: {example!r}: {faults}"
        count += 1
    assert count > 50, f"only {count} examples"
    print(f"examples: {count} are as their schemas say")


main(sys.argv[1])
