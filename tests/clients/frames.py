"""Reads an export with DuckDB and pandas, and compares every number with the source.

    frames.py EXPORT TICKS.jsonl BARS.csv
"""

import csv
import json
import sys
from collections import defaultdict
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import duckdb
import pandas

export, ticks_file, bars_file = map(Path, sys.argv[1:])


def date(nanos):
    """Returns the day of a time."""
    return datetime.fromtimestamp(nanos // 10**9, timezone.utc).strftime("%Y-%m-%d")


def same(what, found, expected):
    """Compares, and shows the first that differ."""
    assert expected, f"{what}: nothing was compared"
    if found != expected:
        keys = sorted(set(found) | set(expected), key=str)
        differing = [(key, found.get(key), expected.get(key)) for key in keys if found.get(key) != expected.get(key)]
        sys.exit(f"{what}: {len(differing)} differ (found, expected): {differing[:5]}")


# The source: counts, and exact sums of what was reported, by day, symbol and kind.
expected = defaultdict(lambda: [0, Decimal(0), Decimal(0), 0])
for line in ticks_file.read_text().splitlines():
    tick = json.loads(line, parse_float=Decimal, parse_int=Decimal)
    key = (date(int(tick["ts_ns"])), tick["symbol"].replace("/", "-"), tick["tick_type"])
    row = expected[key]
    row[0] += 1
    price = tick.get("close") if tick["tick_type"] == "bar" else tick.get("price")
    if tick["tick_type"] != "quote":
        row[1] += price or 0
        row[2] += tick.get("volume") or 0
    row[3] += int(tick["ts_ns"])
expected = {key: tuple(row) for key, row in expected.items()}

ticks = duckdb.sql(f"""
    SELECT CAST(date AS VARCHAR), symbol, tick_type, count(*), coalesce(sum(price), 0), coalesce(sum(volume), 0),
           CAST(sum(ts_ns) AS VARCHAR)
    FROM read_parquet('{export}/ticks/*/*/*.parquet', hive_partitioning = true, hive_types = {{'symbol': VARCHAR}})
    GROUP BY ALL
""").fetchall()
same("ticks in DuckDB", {row[:3]: (row[3], row[4], row[5], int(row[6])) for row in ticks}, expected)

frame = pandas.read_parquet(export / "ticks")
assert str(frame["time"].dtype) == "datetime64[ns, UTC]", frame["time"].dtype
assert (frame["time"].astype("int64") == frame["ts_ns"]).all()
found = {}
for key, rows in frame.groupby([frame["date"].astype(str), frame["symbol"].astype(str), "tick_type"]):
    total = [sum((value for value in rows[name] if value is not None), Decimal(0)) for name in ("price", "volume")]
    found[key] = (len(rows), *total, sum(map(int, rows["ts_ns"])))
same("ticks in pandas", found, expected)

# The bars, against the file that a replay writes.
expected = {}
with bars_file.open() as lines:
    for row in csv.DictReader(lines):
        key = (row["symbol"], row["window"], int(row["window_start_ns"]))
        numbers = [Decimal(row[name]) for name in ("open", "high", "low", "close", "volume")]
        expected[key] = (*numbers, Decimal(row["vwap"]) if row["vwap"] else None, int(row["trade_count"]), row["state"])
bars = duckdb.sql(f"""
    SELECT symbol, "window", epoch_ns(window_start), open, high, low, close, volume, vwap, trade_count, state
    FROM read_parquet('{export}/bars/*/*/*.parquet', hive_partitioning = true, hive_types = {{'symbol': VARCHAR}})
""").fetchall()
same("bars in DuckDB", {row[:3]: row[3:] for row in bars}, expected)
frame = pandas.read_parquet(export / "bars")
names = ["open", "high", "low", "close", "volume", "vwap", "trade_count", "state"]
starts = frame["window_start"].astype("int64")
keys = zip(frame["symbol"].astype(str), frame["window"], starts, strict=True)
same("bars in pandas", dict(zip(keys, frame[names].itertuples(index=False, name=None), strict=True)), expected)

# A symbol's folder is called so that nothing in its name is taken for something else.
for symbol in {key[0] for key in expected}:
    assert list(export.glob(f"bars/*/symbol={quote(symbol, safe='')}")), symbol
