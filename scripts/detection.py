#!/usr/bin/env python3
"""How well detection finds what it is to find: recall over seeded spikes, and false alarms on untouched days.

    scripts/detection.py TICKWIRE DATA [price_spike] [volume_spike]

TICKWIRE is the program, DATA a folder with recorded trades (`*_trades.csv.gz` with ts_ns, symbol, price, size, trade_id). Each
symbol and UTC day with at least MIN_BARS minutes is replayed untouched, and again with spikes. A seeded price spike is one
trade beyond the baseline by 1.5 to 4 times the threshold, up and down in turn; a seeded volume spike multiplies the sizes of a
minute so that it has 1.5 to 4 times the limit. Both stand apart by GAP minutes, so that no spike is in the baseline of another
one, and none follows a bar that is a volume spike by itself, whose excursion it would be a part of. A spike is found where an
anomaly of its type stands on its own bar. Baselines and limits are worked
out here once more, and not taken from the program. Prints a table in Markdown.
"""

import csv
import datetime
import gzip
import json
import pathlib
import sqlite3
import statistics
import subprocess
import sys
import tempfile

MINUTE = 60_000_000_000
DAY = 86_400_000_000_000
BARS = 20
MIN_BARS = 40
GAP = 23
TIMES = (1.5, 2.0, 3.0, 4.0)


def read_days(folder):
    """Returns the trades of each file, symbol and UTC day: [ts, price, size] in order."""
    days = {}
    for path in sorted(pathlib.Path(folder).glob("*_trades.csv.gz")):
        with gzip.open(path, "rt") as lines:
            for row in csv.DictReader(lines):
                size = float(row["size"])
                if size <= 0:
                    continue
                ts = int(row["ts_ns"])
                key = (path.name.removesuffix("_trades.csv.gz"), row["symbol"], ts // DAY)
                days.setdefault(key, []).append([ts, float(row["price"]), size])
    for trades in days.values():
        trades.sort(key=lambda trade: trade[0])
    return {key: trades for key, trades in days.items() if len(minutes(trades)) >= MIN_BARS}


def minutes(trades):
    """Returns the places of the trades of each minute, in order."""
    found = {}
    for at, trade in enumerate(trades):
        found.setdefault(trade[0] // MINUTE, []).append(at)
    return found


def price_limits(closes, method):
    """Returns the baseline, and how far from it is unusual."""
    if method == "mean":
        middle = sum(closes) / len(closes)
        return middle, middle * 0.05
    middle = statistics.median(closes)
    spread = 1.4826 * statistics.median(abs(close - middle) for close in closes)
    return middle, max(middle * 0.05, 4 * spread)


def volume_limit(volumes, method):
    """Returns the volume above which a bar is unusual."""
    if method == "mean":
        return 3 * sum(volumes) / len(volumes)
    middle = statistics.median(volumes)
    factor = max(1.5, statistics.median(max(volume / middle, middle / volume) for volume in volumes))
    return 3 * middle * factor**6


def seed(trades, kind, method):
    """Returns the trades with spikes in them, and the minutes in which these are."""
    made = [list(trade) for trade in trades]
    seeded = []
    bars = list(minutes(made).items())
    for nth, at in enumerate(range(BARS, len(bars), GAP)):
        minute, places = bars[at]
        before = [places for _, places in bars[at - BARS : at]]
        times = TIMES[nth % len(TIMES)] * 1.000001
        if kind == "price_spike":
            closes = [made[places[-1]][1] for places in before]
            middle, distance = price_limits(closes, method)
            sign = 1 if nth % 2 == 0 else -1
            # The first of several trades, so that the close stays what it was where there is another one.
            made[places[0]][1] = round(middle + sign * times * distance, 9)
            if made[places[0]][1] <= 0:
                made[places[0]][1] = round(middle + times * distance, 9)
        else:
            volumes = [sum(made[place][2] for place in places) for _, places in bars[max(0, at - BARS - 1) : at]]
            if len(volumes) > BARS and volumes[-1] > volume_limit(volumes[:-1], method):
                continue
            limit = volume_limit(volumes[-BARS:], method)
            factor = times * limit / sum(made[place][2] for place in places)
            if factor <= 1:
                continue
            for place in places:
                made[place][2] = round(made[place][2] * factor + 1e-8, 8)
        seeded.append(minute)
    return made, seeded


def anomalies(program, trades, method, kind):
    """Replays trades, and returns the minutes in which anomalies of a type stand."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        with open(folder / "trades.csv", "w", encoding="utf-8") as out:
            out.write("ts_ns,symbol,price,size,trade_id\n")
            for at, (ts, price, size) in enumerate(trades):
                out.write(f"{ts},TEST,{price:.9f},{size:.8f},{at + 1}\n")
        (folder / "tickwire.toml").write_text(
            f'[detection.price_spike]\nmethod = "{method}"\n[detection.volume_spike]\nmethod = "{method}"\n',
            encoding="utf-8",
        )
        data = folder / "data"
        subprocess.run(
            [program, "replay", "--config", folder / "tickwire.toml", "--data-dir", data, folder / "trades.csv"],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with sqlite3.connect(data / "history.db") as history:
            rows = history.execute(
                "SELECT metadata FROM anomalies WHERE anomaly_type = ? AND state != 'withdrawn'", (kind,)
            ).fetchall()
    return [json.loads(metadata)["window_start"] for (metadata,) in rows]


def minute_name(minute):
    """Returns the start of a minute as metadata have it."""
    start = datetime.datetime.fromtimestamp(minute * 60, datetime.timezone.utc)
    return start.strftime("%Y-%m-%dT%H:%M:%SZ")


def main():
    program, folder, *kinds = sys.argv[1:]
    days = read_days(folder)
    if not days:
        sys.exit(f"no recorded days in {folder}")
    print("| detector | method | seeded | found | recall | other finds | false alarms a day, mean | the most | precision |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    worst = 1.0
    for kind in kinds or ("price_spike", "volume_spike"):
        for method in ("mean", "median"):
            num_seeded = num_found = num_other = 0
            false_alarms = []
            for key, trades in days.items():
                untouched = anomalies(program, trades, method, kind)
                false_alarms.append(len(untouched))
                made, seeded = seed(trades, kind, method)
                wanted = {minute_name(minute) for minute in seeded}
                found = anomalies(program, made, method, kind)
                num_seeded += len(wanted)
                num_found += len(wanted & set(found))
                num_other += len([start for start in found if start not in wanted])
                if wanted - set(found):
                    print(f"{key} {kind} {method}: missed {sorted(wanted - set(found))}", file=sys.stderr)
            recall = num_found / num_seeded
            worst = min(worst, recall)
            precision = num_found / (num_found + num_other)
            mean = statistics.mean(false_alarms)
            print(
                f"| `{kind}` | {method} | {num_seeded} | {num_found} | {recall:.4f} | {num_other} | {mean:.2f} "
                f"| {max(false_alarms)} | {precision:.2f} |"
            )
    print(f"\n{len(days)} days of symbols.")
    if worst < 0.99:
        sys.exit(f"recall is {worst:.4f}, less than 0.99")


if __name__ == "__main__":
    main()
