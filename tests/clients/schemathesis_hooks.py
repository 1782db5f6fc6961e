"""What the description of the API cannot say, so that Schemathesis does not take it for a fault."""

import re

import schemathesis

ALLOWED = re.compile(r"[A-Za-z0-9._:/=^-]{1,32}")
PLAIN = re.compile(r"[A-Za-z0-9]+([.:/=^_-][A-Za-z0-9]+)*")


@schemathesis.hook
def filter_case(context, case):
    # A schema knows one parameter at a time: that `start_time` must not be after `end_time` is not in it.
    query = case.query or {}
    body = case.body if isinstance(case.body, dict) else {}
    if any("start_time" in asked and "end_time" in asked for asked in (query, body)):
        return False
    # What only answers have is in it, and examples for requests are made of it all the same.
    if "origin" in body:
        return False
    # Nor is which feeds there are.
    if isinstance(body.get("feed"), str):
        return False
    # Nor is what is over by now, or long after its begin.
    if any(isinstance(body.get(field), str) and body[field] not in ("+10min", "+2h") for field in ("start", "end")):
        return False
    # Nor is what is a condition, a window of the service, or right only beside other keys.
    known = {"when": ("rsi_14 < 25 on 5min",), "window": ("5min",) if "when" in body else ("1min", "5min")}
    if any(isinstance(body.get(field), str) and body[field] not in fit for field, fit in known.items()):
        return False
    if isinstance(body.get("severity"), dict) or isinstance(body.get("overrides"), list):
        return False
    # Signs do not count in an alias, so names of little else would make each other ambiguous, which is 422 as it should be.
    asked = body.get("symbols")
    asked = [name for name in asked if isinstance(name, str)] if isinstance(asked, list) else []
    if "when" in body and not all(ALLOWED.fullmatch(name) for name in asked):
        return False
    if any(ALLOWED.fullmatch(name) and not PLAIN.fullmatch(name) for name in asked):
        return False
    # A stateful run fills the path with names of the body before, bad ones too.
    name = str((case.path_parameters or {}).get("symbol", "A"))
    if ALLOWED.fullmatch(name) and not PLAIN.fullmatch(name):
        return False
    # Nor is which rules there are, and that the one of a trial is none.
    if "test" in (body.get("name"), (case.path_parameters or {}).get("name")):
        return False
    return ALLOWED.fullmatch(name) is not None or case.method != "DELETE"
