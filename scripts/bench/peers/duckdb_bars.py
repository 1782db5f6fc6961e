#!/usr/bin/env python3
"""Bars of 1, 5 and 15 minutes with their indicators, in DuckDB.

    duckdb_bars.py FILE THREADS

SQL has no recursive average as a window function, so each is written in closed form: the sum of what went in, weighted
by powers of its decay.
"""

import sys

import duckdb
from meter import Meter

WINDOWS_MS = (60_000, 300_000, 900_000)


def decayed(value, alpha, first=0):
    """SQL for the exponential average of `value`, which starts with the row `first`."""
    keep = 1 - alpha
    weight = f"case when nth < {first} then 0 when nth = {first} then 1 else {alpha!r} end"
    return f"pow({keep!r}, nth - {first}) * sum({weight} * coalesce({value}, 0) * pow({keep!r}, {first} - nth)) over so_far"


def average(value, length):
    return decayed(value, 2 / (length + 1))


def mean(length):
    return f"case when nth >= {length - 1} then avg(close) over (so_far rows {length - 1} preceding) end"


def query(window_ms):
    macd = f"({average('close', 12)}) - ({average('close', 26)})"
    gain, loss = decayed("greatest(step, 0)", 1 / 14, 1), decayed("greatest(-step, 0)", 1 / 14, 1)
    return f"""
        with bar as (
            select symbol, ts // {window_ms} as start, arg_min(price, ts) as open, max(price) as high,
                   min(price) as low, arg_max(price, ts) as close, sum(size) as volume,
                   sum(price * size) / sum(size) as vwap, count(*) as trade_count
            from tick group by all),
        numbered as (
            select *, row_number() over so_far - 1 as nth, close - lag(close) over so_far as step
            from bar window so_far as (partition by symbol order by start)),
        averaged as (
            select *, {mean(20)} as sma_20, {mean(50)} as sma_50, {mean(200)} as sma_200,
                   {average('close', 12)} as ema_12, {average('close', 26)} as ema_26, {macd} as macd,
                   case when nth >= 19 then stddev_pop(close) over (so_far rows 19 preceding) end as deviation,
                   100 - 100 / (1 + ({gain}) / nullif({loss}, 0)) as rsi_14
            from numbered window so_far as (partition by symbol order by start))
        select *, {average('macd', 9)} as macd_signal,
               sma_20 - 2 * deviation as bb_lower, sma_20 + 2 * deviation as bb_upper
        from averaged window so_far as (partition by symbol order by start)"""


def main():
    path, threads = sys.argv[1], int(sys.argv[2])
    db = duckdb.connect()
    db.execute(f"set threads = {threads}")
    meter = Meter()
    columns = "{symbol: 'VARCHAR', price: 'DOUBLE', size: 'BIGINT', ts: 'BIGINT', id: 'VARCHAR'}"
    db.execute(
        "create temp table tick as select symbol, price, size, ts "
        f"from read_json(?, format = 'newline_delimited', columns = {columns})",
        [path],
    )
    num_bars = 0
    for window_ms in WINDOWS_MS:
        db.execute(f"create temp table bars_{window_ms} as {query(window_ms)}")
        ticks, bars = db.execute(f"select sum(trade_count), count(*) from bars_{window_ms}").fetchone()
        num_bars += bars
    meter.report(f"duckdb-{duckdb.__version__}", ticks, num_bars)


if __name__ == "__main__":
    main()
