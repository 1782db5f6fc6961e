"""The live feed as a user of the old system would follow it: names, types and order of every field."""

import asyncio
import json
import sys
from pathlib import Path

import websockets

SAMPLES = Path(__file__).parents[1] / "fixtures" / "wire" / "live"

NUMBER = (int, float)
OPTIONAL = (int, float, type(None))

CONNECTION = {
    "type": str, "status": str, "timestamp": str, "message": str, "epoch": str, "run": str,
    "data": str, "provider": str,
}
TICK = {
    "type": str, "symbol": str, "price": NUMBER, "volume": NUMBER, "timestamp": str, "tick_type": str, "seq": int,
}
SUBSCRIPTION = {"type": str, "status": str, "symbols": list, "unknown": list, "epoch": str, "run": str, "action": str}
SNAPSHOT = {"type": str, "epoch": str, "ticks": list, "bars": list, "indicators": list}
BAR = {
    "type": str, "time": str, "symbol": str, "window": str, "window_start": str, "window_end": str, "open": NUMBER,
    "high": NUMBER, "low": NUMBER, "close": NUMBER, "volume": NUMBER, "vwap": OPTIONAL, "trade_count": int,
    "state": str, "revision": int, "coverage": NUMBER, "late": int, "duplicates": int, "cancelled": int, "origin": str, "seq": int,
}
INDICATORS = {
    "type": str, "symbol": str, "window": str, "timestamp": str, "sma_20": OPTIONAL, "sma_50": OPTIONAL,
    "sma_200": OPTIONAL, "ema_12": OPTIONAL, "ema_26": OPTIONAL, "rsi_14": OPTIONAL, "rsi": OPTIONAL,
    "macd": OPTIONAL, "macd_signal": OPTIONAL, "macd_histogram": OPTIONAL, "bb_upper": OPTIONAL,
    "bb_middle": OPTIONAL, "bb_lower": OPTIONAL, "vwap": OPTIONAL, "seq": int,
}
METRICS = {
    "type": str, "timestamp": str, "ticks_per_second": OPTIONAL, "latency_p50_ms": OPTIONAL,
    "latency_p99_ms": OPTIONAL, "residue": int,
}
ERROR = {"type": str, "code": str, "detail": str}
ANOMALY = {
    "type": str, "time": str, "symbol": str, "anomaly_type": str, "severity": str, "description": str, "current_value": (int, float),
    "expected_value": (int, float), "threshold": (int, float), "metadata": dict, "id": str, "state": str, "seq": int,
}
FEED = {"type": str, "symbol": str, "feed": str}
LEDGER = {"type": str, "symbol": str, "feed": str, "ledger": dict}
PONG = {"type": str, "timestamp": str}
RESYNC = {"type": str, "epoch": str, "topics": list}
SKIPPED = {"type": str, "channel": str, "symbol": str, "count": int}
SYSTEM = {
    "type": str, "timestamp": str, "messages_per_second": (int, float), "bars_per_second": (int, float), "latency": dict,
    "ledger": dict, "dead_letters": dict, "feeds": dict, "components": list,
}


def check(found, fields):
    assert list(found) == list(fields), found
    for name, kind in fields.items():
        assert isinstance(found[name], kind) and not isinstance(found[name], bool), (name, found)


def samples():
    """The samples of frames, which the server's tests write, are what this client expects."""
    kinds = {
        "anomaly": ANOMALY, "bar": BAR, "connection": CONNECTION, "error": ERROR, "feed": FEED, "indicators": INDICATORS,
        "ledger": LEDGER, "metrics": METRICS, "pong": PONG, "resync": RESYNC, "skipped": SKIPPED, "snapshot": SNAPSHOT, "subscription": SUBSCRIPTION,
        "system": SYSTEM, "tick": TICK,
    }
    seen = set()
    for path in sorted(SAMPLES.glob("*.json")):
        found = json.loads(path.read_text())
        seen.add(found["type"])
        if path.stem == "indicators_forming":
            assert found.pop("forming") is True
        extra = {"metrics_past": {"past": dict}, "snapshot_ledgers": {"ledgers": list}}.get(path.stem, {})
        check(found, kinds[found["type"]] | extra)
        for tick in found.get("ticks", []):
            check(tick, TICK | {"feed": str})
        for bar in found.get("bars", []):
            check(bar, BAR)
        for point in found.get("indicators", []):
            check(point, INDICATORS)
    assert seen == set(kinds), seen


async def main(address):
    async with websockets.connect(address, max_size=None) as socket:
        async def frame():
            return json.loads(await asyncio.wait_for(socket.recv(), 20))

        async def until(kind):
            while (found := await frame())["type"] != kind:
                pass
            return found

        check(await frame(), CONNECTION)
        # Broadcast: everything, unasked.
        symbols = {(await until("tick"))["symbol"] for _ in range(200)}
        assert len(symbols) > 1, symbols
        check(await until("tick"), TICK)

        await socket.send(json.dumps({"type": "subscribe", "symbols": ["aapl", "NOPE"]}))
        answer = await until("subscription")
        check(answer, SUBSCRIPTION)
        assert (answer["status"], answer["symbols"], answer["unknown"]) == ("success", ["AAPL"], ["NOPE"])
        snapshot = await frame()
        check(snapshot, SNAPSHOT)
        last = snapshot["ticks"][0]
        check(last, TICK | {"feed": str})
        for _ in range(20):
            tick = await until("tick")
            assert (tick["symbol"], tick["seq"]) == ("AAPL", last["seq"] + 1), (last, tick)
            last = tick

        request = {"channels": ["bars", "indicators", "metrics"], "windows": ["1min"]}
        await socket.send(json.dumps({"type": "subscribe", "symbols": ["AAPL"], **request}))
        check(await until("subscription"), SUBSCRIPTION)
        snapshot = await until("snapshot")
        states = [bar["state"] for bar in snapshot["bars"]]
        assert "forming" in states or "closed" in states, states
        for bar in snapshot["bars"]:
            check(bar, BAR)
        for point in snapshot["indicators"]:
            check(point, INDICATORS)
        check(await until("bar"), BAR)
        preview = await until("indicators")
        if preview.pop("forming", None) is not None:
            assert preview["symbol"] == "AAPL"
        check(preview, INDICATORS)
        check(await until("metrics"), METRICS)

        await socket.send("nonsense")
        error = await until("error")
        check(error, ERROR)
        assert error["code"] == "bad_json", error
        await socket.send(json.dumps({"type": "unsubscribe", "symbols": ["*"], "channels": ["ticks"]}))
        await until("subscription")
        await socket.send(json.dumps({"type": "ping"}))
        while (found := await frame())["type"] != "pong":
            assert found["type"] != "tick", "it asked for no more ticks"
        check(found, PONG)
    print("live: everything as promised")


samples()
asyncio.run(main(sys.argv[1]))
