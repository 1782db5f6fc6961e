#!/usr/bin/env python3
"""Measures how long a venue of a feed takes to take over from another one.

    failover.py [--rounds N] [--profile PROFILE]

Runs the tests of failover, in which exchanges on this machine trade 10,000 times a second and are taken away, frozen and
brought back, and prints the times from the fault to the hand-over in the log as a table. In the tests a venue is silent
after 3 s and taken back after 0.7 s of good health; these are taken off.
"""

import argparse
import re
import statistics
import subprocess
import sys

LINE = re.compile(r"hand-over, (\w+): ([0-9.]+) s")
NAMES = {"broken": ("its connection is cut", 0.0), "silent": ("it falls silent: `stale_after` and", 3.0)}


def measure(rounds, profile):
    """Returns the times of each kind of hand-over."""
    found = {name: [] for name in NAMES}
    command = ["cargo", "test", "--locked", "--profile", profile, "--test", "it", "failover::", "--", "--nocapture"]
    for _ in range(rounds):
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if run.returncode != 0:
            sys.exit("the tests failed:\n" + run.stdout)
        for what, seconds in LINE.findall(run.stdout):
            if what in found:
                found[what].append(float(seconds) - NAMES[what][1])
    return found


def main():
    """Prints the table."""
    options = argparse.ArgumentParser(description="How long takeovers take.")
    options.add_argument("--rounds", type=int, default=10)
    options.add_argument("--profile", default="release")
    asked = options.parse_args()
    print("| what happens to the venue in charge | median | longest |")
    print("| --- | ---: | ---: |")
    for name, times in measure(asked.rounds, asked.profile).items():
        print(f"| {NAMES[name][0]} | {statistics.median(times):.2f} s | {max(times):.2f} s |")


if __name__ == "__main__":
    main()
