#!/usr/bin/env python3
"""Bars of 1, 5 and 15 minutes with their indicators, in Polars' streaming engine.

    polars_bars.py FILE
"""

import sys

import polars as pl
from meter import Meter

WINDOWS_MS = (60_000, 300_000, 900_000)
SCHEMA = {"symbol": pl.String, "price": pl.Float64, "size": pl.Int64, "ts": pl.Int64, "id": pl.String}


def bars(ticks, window_ms):
    price, size = pl.col("price"), pl.col("size")
    grouped = ticks.group_by("symbol", start=pl.col("ts") // window_ms).agg(
        open=price.sort_by("ts").first(),
        high=price.max(),
        low=price.min(),
        close=price.sort_by("ts").last(),
        volume=size.sum(),
        notional=(price * size).sum(),
        trade_count=pl.len(),
    )
    return grouped.with_columns(vwap=pl.col("notional") / pl.col("volume")).sort("symbol", "start")


def indicators(bars):
    close = pl.col("close")
    step = close.diff()
    wilder = {"alpha": 1 / 14, "adjust": False}
    gain = step.clip(lower_bound=0).ewm_mean(**wilder)
    loss = (-step).clip(lower_bound=0).ewm_mean(**wilder)
    ema_12, ema_26 = close.ewm_mean(span=12, adjust=False), close.ewm_mean(span=26, adjust=False)
    macd = ema_12 - ema_26
    signal = macd.ewm_mean(span=9, adjust=False)
    middle, deviation = close.rolling_mean(20), close.rolling_std(20, ddof=0)
    values = {
        "sma_20": middle,
        "sma_50": close.rolling_mean(50),
        "sma_200": close.rolling_mean(200),
        "ema_12": ema_12,
        "ema_26": ema_26,
        "rsi_14": 100 - 100 / (1 + gain / loss),
        "macd": macd,
        "macd_signal": signal,
        "macd_histogram": macd - signal,
        "bb_lower": middle - 2 * deviation,
        "bb_upper": middle + 2 * deviation,
    }
    return bars.with_columns(value.over("symbol").alias(name) for name, value in values.items())


def main():
    meter = Meter()
    ticks = pl.scan_ndjson(sys.argv[1], schema=SCHEMA)
    jobs = [indicators(bars(ticks, window_ms)) for window_ms in WINDOWS_MS]
    done = pl.collect_all(jobs, engine="streaming")
    meter.report(f"polars-{pl.__version__}", int(done[0]["trade_count"].sum()), sum(map(len, done)))


if __name__ == "__main__":
    main()
