#!/usr/bin/env python3
"""Writes trades as JSON lines, the same ones every time.

    generate.py OUT [--ticks N] [--symbols N] [--span SECONDS] [--seed N] [--even]

Half of the trades fall on a fifth of the symbols, or with `--even` on all alike. Lines stand in the order of arrival: four fifths of the trades arrive
at once, a fifth up to 2 s late, one in a thousand up to 8 s. The first trade falls on a quarter of an hour, so windows
of 1, 5 and 15 minutes begin with the file. Uses `random.random` alone, whose stream for a seed no version of Python
changes.
"""

import argparse
import random
from pathlib import Path

# On a quarter of an hour.
START_MS = 1_700_000_100_000
LATE_MS = 2_000
VERY_LATE_MS = 8_000
PRICE_UNITS = 10_000
LINES_AT_ONCE = 1 << 16


def names(count):
    """Returns `count` different symbols of three letters."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return [letters[n // 676] + letters[n // 26 % 26] + letters[n % 26] for n in range(count)]


def lines(ticks, symbols, span, seed, even):
    """Yields the lines of the file."""
    draw = random.Random(seed).random
    known = names(symbols)
    prices = [10 * PRICE_UNITS + int(draw() * 490 * PRICE_UNITS) for _ in known]
    busy = symbols if even else max(1, symbols // 5)
    for n in range(ticks):
        at = int(draw() * (busy if draw() < 0.5 else symbols))
        step = (draw() + draw() - 1) * prices[at] * 0.000_4
        prices[at] = max(PRICE_UNITS, prices[at] + int(step))
        size = 1 + int(draw() * draw() * 999)
        kind = draw()
        if kind < 0.001:
            behind = int(kind / 0.001 * VERY_LATE_MS)
        else:
            behind = int(draw() * LATE_MS) if kind < 0.2 else 0
        ts = START_MS + max(0, n * span * 1000 // ticks - behind)
        whole, part = divmod(prices[at], PRICE_UNITS)
        name = known[at]
        yield f'{{"symbol":"{name}","price":{whole}.{part:04},"size":{size},"ts":{ts},"id":"{name}-{n:09}"}}\n'


def write(path, ticks=2_000_000, symbols=100, span=7_200, seed=42, even=False):
    """Writes the file; it appears under its name only once it is whole."""
    path = Path(path)
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("w", encoding="ascii", newline="\n") as out:
        waiting = []
        for line in lines(ticks, symbols, span, seed, even):
            waiting.append(line)
            if len(waiting) == LINES_AT_ONCE:
                out.writelines(waiting)
                waiting.clear()
        out.writelines(waiting)
    unfinished.rename(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--ticks", type=int, default=2_000_000)
    parser.add_argument("--symbols", type=int, default=100)
    parser.add_argument("--span", type=int, default=7_200, help="seconds of event time")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--even", action="store_true", help="as many trades for each symbol")
    args = parser.parse_args()
    write(args.out, args.ticks, args.symbols, args.span, args.seed, args.even)


if __name__ == "__main__":
    main()
