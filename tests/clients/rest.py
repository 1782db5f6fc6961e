"""REST as a user of the old system would call it: names, types and order of every field."""

import csv
import io
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

import requests

SAMPLES = Path(__file__).parents[1] / "fixtures" / "wire" / "rest"
# Windows that are served unless the settings say otherwise, and their minutes.
WINDOWS = {"1min": 1, "5min": 5, "15min": 15, "1h": 60, "1d": 1440}
NUMBER = (int, float)
OPTIONAL = (int, float, type(None))
MAYBE = (str, type(None))

SERVICE = {"service": str, "version": str, "status": str, "data": str, "provider": str}
HEALTH = {"status": str, "timestamp": str, "data": str, "provider": str, "components": dict, "details": dict}
SYMBOLS = {"symbols": list, "count": int, "details": dict, "windows": list}
SYMBOL = {
    "symbol": str, "provider": str, "data": str, "asset_class": str, "last_tick": str, "venue_symbol": str,
    "is_followed": bool,
}

LATEST = {
    "symbol": str, "price": NUMBER, "volume": NUMBER, "timestamp": str, "tick_type": str, "age_ms": int,
    "feed": str, "change": OPTIONAL, "change_percent": OPTIONAL,
}
BAR = {
    "time": str, "symbol": str, "window": str, "window_start": str, "window_end": str, "open": NUMBER, "high": NUMBER,
    "low": NUMBER, "close": NUMBER, "volume": NUMBER, "vwap": OPTIONAL, "trade_count": int, "state": str,
    "revision": int, "coverage": NUMBER, "late": int, "duplicates": int, "cancelled": int, "origin": str,
}
INDICATORS = {
    "symbol": str, "window": str, "timestamp": str, "sma_20": OPTIONAL, "sma_50": OPTIONAL, "sma_200": OPTIONAL,
    "ema_12": OPTIONAL, "ema_26": OPTIONAL, "rsi_14": OPTIONAL, "rsi": OPTIONAL, "macd": OPTIONAL,
    "macd_signal": OPTIONAL, "macd_histogram": OPTIONAL, "bb_upper": OPTIONAL, "bb_middle": OPTIONAL,
    "bb_lower": OPTIONAL, "vwap": OPTIONAL,
}

TICK = {
    "symbol": str, "price": OPTIONAL, "volume": OPTIONAL, "timestamp": str, "ts_ns": str, "tick_type": str,
    "provider": str, "trade_id": MAYBE, "seq": OPTIONAL, "updates": MAYBE, "ref_trade_id": MAYBE, "bid": OPTIONAL,
    "ask": OPTIONAL, "bid_size": OPTIONAL, "ask_size": OPTIONAL, "received_at": str, "log_pos": int,
}
DEAD_LETTER = {
    "reason": str, "symbol": MAYBE, "provider": str, "received_at": str, "payload": str, "log_pos": (int, type(None)),
    "origin": str,
}
ANOMALY = {
    "time": str, "symbol": str, "anomaly_type": str, "severity": str, "description": str, "current_value": OPTIONAL,
    "expected_value": OPTIONAL, "threshold": OPTIONAL, "metadata": dict, "id": str, "state": str,
}
PREDICTION = {
    "time": str, "symbol": str, "current_price": NUMBER, "predicted_price": OPTIONAL, "confidence": OPTIONAL,
    "time_horizon_minutes": int, "model_version": str, "lower": OPTIONAL, "upper": OPTIONAL, "abstained": bool,
    "actual_price": OPTIONAL, "skill": OPTIONAL,
}
ALERT = {
    "id": str, "time": str, "symbol": str, "anomaly_type": str, "severity": str, "channel": str, "status": str,
    "reason": MAYBE, "attempts": int, "anomaly_id": MAYBE,
}
METRIC = {"time": str, "symbol": str, "field": str, "value": NUMBER}
PROBLEM = {"type": str, "title": str, "status": int, "detail": str, "code": str}
OUTCOMES = ["received", "in_bars", "filtered", "late", "duplicate", "rejected", "cancelled", "residue"]


def check(what, found, fields):
    assert list(found) == list(fields), f"{what}: {list(found)}"
    for name, kind in fields.items():
        # Of Python's types a truth value is an integer too.
        is_right = isinstance(found[name], kind) and (kind is bool or not isinstance(found[name], bool))
        assert is_right, f"{what}: {name}={found[name]!r}"


def time_of(text):
    assert text.endswith("Z"), text
    return datetime.fromisoformat(text)


class Client:
    def __init__(self, base):
        self.base = base

    def ask(self, path, status=200, **headers):
        answer = requests.get(f"{self.base}{path}", headers=headers, timeout=10)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text}"
        return answer

    def get(self, path):
        return self.ask(path).json()

    def rows(self, what, path, fields):
        """Reads a list twice, as JSON and as a table: both have the same fields in the same order."""
        found = self.get(path)
        assert found, f"{what}: nothing at {path}"
        for row in found:
            check(what, row, fields)
        table = self.ask(path, Accept="text/csv")
        assert table.headers["content-type"].startswith("text/csv")
        assert next(csv.reader(io.StringIO(table.text))) == list(fields), f"{what}: {table.text[:200]}"
        return found

    def problem(self, path, status, code, param=None):
        answer = self.ask(path, status)
        assert answer.headers["content-type"] == "application/problem+json"
        found = answer.json()
        check("problem", found, PROBLEM | ({"param": str} if param else {}))
        assert (found["status"], found["code"], found.get("param")) == (status, code, param), found


def samples():
    """The samples of answers, which the server's tests write, are what this client expects."""
    kinds = {
        "alerts": ALERT, "anomalies": ANOMALY, "predictions": PREDICTION,
        "bars": BAR, "dead_letters": DEAD_LETTER, "health": HEALTH, "indicators": INDICATORS, "indicators_list": INDICATORS,
        "latest": LATEST, "latest_list": LATEST, "metrics_kafka": METRIC, "metrics_ledger": METRIC, "problem": PROBLEM,
        "problem_parameter": PROBLEM | {"param": str}, "service": SERVICE, "symbols": SYMBOLS,
        # A report in a file has no time of receipt.
        "ticks": TICK | {"received_at": MAYBE},
    }
    for path in sorted(SAMPLES.glob("*.json")):
        found = json.loads(path.read_text())
        rows = found["metrics"] if path.stem.startswith("metrics_") else found if isinstance(found, list) else [found]
        fields = kinds.pop(path.stem)
        for row in rows:
            check(path.stem, row, fields)
    assert not kinds, f"no sample of {list(kinds)}"


def service(client):
    check("service", client.get("/"), SERVICE)
    health = client.get("/health")
    check("health", health, HEALTH)
    assert health["status"] in ("healthy", "degraded", "unhealthy")
    assert set(health["components"].values()) <= {"healthy", "degraded", "unhealthy", "disabled"}, health
    client.ask("/health/live")
    client.ask("/health/ready")


def symbols(client):
    found = client.get("/api/v1/symbols")
    check("symbols", found, SYMBOLS)
    assert found["symbols"] == sorted(found["symbols"]) == list(found["details"])
    assert found["count"] == len(found["symbols"]) and found["windows"] == list(WINDOWS)
    for details in found["details"].values():
        check("symbol", details, SYMBOL)
    return found["symbols"]


def latest(client, names):
    check("latest", client.get(f"/api/v1/latest/{names[0].lower()}"), LATEST)
    rows = client.rows("latest", "/api/v1/latest?symbols=*", LATEST)
    assert [row["symbol"] for row in rows] == names
    assert all(row["feed"] in ("live", "quiet", "stale", "dead") for row in rows)
    rows = client.get(f"/api/v1/latest?symbols={names[1]},{names[0]}")
    assert [row["symbol"] for row in rows] == [names[1], names[0]]


def bars(client, symbol):
    for window, minutes in WINDOWS.items():
        path = f"/api/v1/aggregated/{symbol}?window={window}"
        for bar in client.rows("bar", f"{path}&limit=4", BAR):
            width = time_of(bar["window_end"]) - time_of(bar["window_start"])
            assert (bar["time"], width) == (bar["window_end"], timedelta(minutes=minutes))
            assert bar["low"] <= min(bar["open"], bar["close"]) <= max(bar["open"], bar["close"]) <= bar["high"]
            assert (bar["symbol"], bar["window"]) == (symbol, window) and bar["state"] in ("closed", "amended")
    # Page after page gives what one request gives.
    until = client.get(f"/api/v1/aggregated/{symbol}?limit=1")[0]["time"]
    path, walked = f"/api/v1/aggregated/{symbol}?end_time={until}&limit=7", []
    for _ in range(3):
        answer = client.ask(path)
        walked += answer.json()
        path = answer.links["next"]["url"].removeprefix(client.base)
    whole = client.get(f"/api/v1/aggregated/{symbol}?end_time={until}&limit=21")
    assert [bar["time"] for bar in walked] == [bar["time"] for bar in whole]
    assert [bar["time"] for bar in whole] == sorted((bar["time"] for bar in whole), reverse=True)
    forming = client.get(f"/api/v1/aggregated/{symbol}?include_forming=true&limit=1")[0]
    check("bar", forming, BAR)


def indicators(client, symbol):
    check("indicators", client.get(f"/api/v1/indicators/{symbol}"), INDICATORS)
    series = client.rows("indicators", f"/api/v1/indicators/{symbol}?window=5min&limit=3", INDICATORS)
    assert all(point["window"] == "5min" and point["rsi"] == point["rsi_14"] for point in series)


def ticks(client, symbol):
    found = client.rows("tick", f"/api/v1/ticks/{symbol}?limit=50", TICK)
    assert {tick["tick_type"] for tick in found} == {"trade", "quote"}
    times = [int(tick["ts_ns"]) for tick in found]
    assert times == sorted(times, reverse=True)
    for tick in found:
        is_trade = tick["tick_type"] == "trade"
        assert (tick["volume"] is not None, tick["bid"] is None) == (is_trade, is_trade), tick


def letters(client):
    found = client.rows("dead letter", "/api/v1/dead-letters?limit=5", DEAD_LETTER)
    reason = found[0]["reason"]
    same = client.get(f"/api/v1/dead-letters?reason={reason}&start_time=-1h&limit=5")
    assert {letter["reason"] for letter in same} == {reason}


def metrics(client):
    ledger = client.get("/api/v1/metrics/ledger")["metrics"]
    assert [row["field"] for row in ledger[:8]] == OUTCOMES
    whole = {row["field"]: row["value"] for row in ledger if row["symbol"] == "*"}
    assert whole["residue"] == 0 and whole["received"] > 0, whole
    for name in ["latency", "throughput", "ledger"]:
        for row in client.get(f"/api/v1/metrics/{name}?time_range=-1h")["metrics"]:
            check(name, row, METRIC)
    assert client.get("/api/v1/metrics/kafka") == {"metrics": []}


def problems(client, symbol):
    client.problem("/api/v1/latest/NOPE", 404, "unknown_symbol")
    client.problem(f"/api/v1/ticks/{symbol}?start_time=2001-01-01&end_time=2001-01-02", 404, "no_data")
    assert client.get(f"/api/v1/ticks/{symbol}?start_time=2001-01-01&end_time=2001-01-02&empty=ok") == []
    client.problem(f"/api/v1/ticks/{symbol}?limit=1001", 422, "bad_parameter", "limit")
    client.problem(f"/api/v1/aggregated/{symbol}?window=7min", 422, "bad_parameter", "window")
    client.problem("/nowhere", 404, "not_found")


def unchanged(client, symbol):
    path = f"/api/v1/aggregated/{symbol}?end_time=-30m&limit=5&start_time=-50m"
    tag = client.ask("/").headers["etag"]
    client.ask("/", 304, **{"If-None-Match": tag})
    assert client.ask(path, Origin="http://localhost:1").headers["access-control-allow-origin"] == "http://localhost:1"


def main(base):
    samples()
    client = Client(base)
    service(client)
    names = symbols(client)
    symbol = names[0]
    latest(client, names)
    bars(client, symbol)
    indicators(client, symbol)
    ticks(client, symbol)
    letters(client)
    metrics(client)
    problems(client, symbol)
    unchanged(client, symbol)
    print("rest: everything as promised")


main(sys.argv[1])
