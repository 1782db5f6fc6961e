"""The live feed as a user of the old system would follow it: names, types and order of every field."""

import asyncio
import json
import sys

import websockets

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
    "state": str, "revision": int, "coverage": NUMBER, "late": int, "duplicates": int, "cancelled": int, "seq": int,
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


def check(found, fields):
    assert list(found) == list(fields), found
    for name, kind in fields.items():
        assert isinstance(found[name], kind) and not isinstance(found[name], bool), (name, found)


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

        wish = {"channels": ["bars", "indicators", "metrics"], "windows": ["1min"]}
        await socket.send(json.dumps({"type": "subscribe", "symbols": ["AAPL"], **wish}))
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
        assert (list(error), error["code"]) == (["type", "code", "detail"], "bad_json")
        await socket.send(json.dumps({"type": "unsubscribe", "symbols": ["*"], "channels": ["ticks"]}))
        await until("subscription")
        await socket.send(json.dumps({"type": "ping"}))
        while (found := await frame())["type"] != "pong":
            assert found["type"] != "tick", "it asked for no more ticks"
        assert list(found) == ["type", "timestamp"]
    print("live: everything as promised")


asyncio.run(main(sys.argv[1]))
