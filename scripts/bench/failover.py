#!/usr/bin/env python3
"""Measures how long a venue of a feed takes to take over from another one.

    failover.py [--rounds N] [--profile PROFILE]

Runs the tests of failover one after the other, in which exchanges on this machine trade 10,000 times a second and are cut,
frozen, brought back and, for a minute, cut again as soon as they are there, and prints the times from the fault to the
hand-over in the log as a table. The tests hold the bars of each run to those of the plain replay: the table comes only of runs
in which no trade was lost and none counted twice, and in which what nobody could bring again showed in the coverage. In the
tests a venue is silent after 3 s and taken back after 0.7 s of good health; these are taken off.
"""

import argparse
import re
import statistics
import subprocess
import sys

HAND_OVER = re.compile(r"hand-over, (\w+): ([0-9.]+) s")
FLAPS = re.compile(r"flaps: ([0-9]+) in ([0-9]+) s")
PASSED = re.compile(r"test result: ok\. ([0-9]+) passed")
NAMES = {
    "broken": ("its connection is cut", 0.0),
    "silent": ("it falls silent: `stale_after` and", 3.0),
    "flaps": ("its connection is cut and cut again for a minute: the only hand-over", 0.0),
    "recovered": ("it is there again: `failback_after` and", 0.7),
}


def measure(rounds, profile):
    """Returns the times of each kind of hand-over, and the number of flaps."""
    found, num_flaps = {name: [] for name in NAMES}, []
    command = ["cargo", "test", "--locked", "--profile", profile, "--test", "it", "failover::"]
    for _ in range(rounds):
        run = subprocess.run(
            command + ["--", "--nocapture", "--test-threads", "1"], stdout=subprocess.PIPE, text=True, check=False
        )
        passed = PASSED.search(run.stdout)
        if run.returncode != 0 or not passed or int(passed.group(1)) == 0:
            sys.exit("the tests failed:\n" + run.stdout)
        for what, seconds in HAND_OVER.findall(run.stdout):
            if what in found:
                found[what].append(float(seconds) - NAMES[what][1])
        num_flaps += [int(flaps) for flaps, _ in FLAPS.findall(run.stdout)]
    return found, num_flaps


def main():
    """Prints the table."""
    options = argparse.ArgumentParser(description="How long takeovers take.")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--profile", default="release")
    asked = options.parse_args()
    found, num_flaps = measure(asked.rounds, asked.profile)
    print("| what happens to the venue in charge | times | median | longest |")
    print("| --- | ---: | ---: | ---: |")
    for name, times in found.items():
        if times:
            median, longest = statistics.median(times), max(times)
            print(f"| {NAMES[name][0]} | {len(times)} | {median:.2f} s | {longest:.2f} s |")
    print(f"\nFlaps in the minutes: {', '.join(map(str, num_flaps))}.")


if __name__ == "__main__":
    main()
