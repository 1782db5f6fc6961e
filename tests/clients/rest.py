"""REST as a user of the old system would call it: names, types and order of every field."""

import sys

import requests

NUMBER = (int, float)
OPTIONAL = (int, float, type(None))

LATEST = {
    "symbol": str, "price": NUMBER, "volume": NUMBER, "timestamp": str, "tick_type": str, "age_ms": int,
    "feed": str, "change": OPTIONAL, "change_percent": OPTIONAL,
}
BAR = {
    "time": str, "symbol": str, "window": str, "window_start": str, "window_end": str, "open": NUMBER, "high": NUMBER,
    "low": NUMBER, "close": NUMBER, "volume": NUMBER, "vwap": OPTIONAL, "trade_count": int, "state": str,
    "revision": int, "coverage": NUMBER, "late": int, "duplicates": int, "cancelled": int,
}
INDICATORS = {
    "symbol": str, "window": str, "timestamp": str, "sma_20": OPTIONAL, "sma_50": OPTIONAL, "sma_200": OPTIONAL,
    "ema_12": OPTIONAL, "ema_26": OPTIONAL, "rsi_14": OPTIONAL, "rsi": OPTIONAL, "macd": OPTIONAL,
    "macd_signal": OPTIONAL, "macd_histogram": OPTIONAL, "bb_upper": OPTIONAL, "bb_middle": OPTIONAL,
    "bb_lower": OPTIONAL, "vwap": OPTIONAL,
}


def check(what, found, fields):
    assert list(found) == list(fields), f"{what}: {list(found)}"
    for name, kind in fields.items():
        assert isinstance(found[name], kind) and not isinstance(found[name], bool), f"{what}: {name}={found[name]!r}"


def main(base):
    def get(path, status=200):
        answer = requests.get(f"{base}{path}", timeout=10)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    assert list(get("/")) == ["service", "version", "status"]
    health = get("/health")
    assert list(health) == ["status", "timestamp", "components", "details"], list(health)
    symbols = get("/api/v1/symbols")
    assert symbols["symbols"] == sorted(symbols["symbols"]) and symbols["count"] == len(symbols["symbols"])
    assert symbols["windows"] == ["1min", "5min", "15min"]
    symbol = symbols["symbols"][0]
    check("latest", get(f"/api/v1/latest/{symbol}"), LATEST)
    latest = get("/api/v1/latest?symbols=*")
    assert [row["symbol"] for row in latest] == symbols["symbols"]
    bars = get(f"/api/v1/aggregated/{symbol}?window=1min&limit=5")
    assert len(bars) == 5 and bars == sorted(bars, key=lambda bar: bar["time"], reverse=True)
    for bar in bars:
        check("bar", bar, BAR)
        assert bar["low"] <= min(bar["open"], bar["close"]) <= max(bar["open"], bar["close"]) <= bar["high"]
    check("indicators", get(f"/api/v1/indicators/{symbol}?window=1min"), INDICATORS)
    ticks = get(f"/api/v1/ticks/{symbol}?limit=3")
    assert len(ticks) == 3 and all({"symbol", "price", "volume", "timestamp"} <= set(tick) for tick in ticks)
    problem = get("/api/v1/latest/NOPE", status=404)
    assert problem["code"] == "unknown_symbol" and isinstance(problem["detail"], str)
    print("rest: everything as promised")


main(sys.argv[1])
