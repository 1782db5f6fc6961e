"""Runs programs and reads what they used, from the kernel's own accounts."""

import os
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Ended:
    """A program that has ended: what it printed, and what it and the children it waited for used."""

    output: str
    code: int
    wall: float
    cpu: float
    rss_mb: float


def pin(cores):
    """Returns what makes a child run on the first `cores` cores, or None where there are no more."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) <= cores:
        return None
    return lambda: os.sched_setaffinity(0, allowed[:cores])


def run(command, cores, log):
    """Runs a program to its end. What it says on standard error goes to the file `log`."""
    begun = time.perf_counter()
    with open(log, "wb") as errors:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, preexec_fn=pin(cores))
        output = child.stdout.read().decode()
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return Ended(
        output,
        child.returncode,
        wall=time.perf_counter() - begun,
        cpu=used.ru_utime + used.ru_stime,
        rss_mb=used.ru_maxrss / 1024,
    )


def cpu_seconds(pid):
    """Returns the CPU time that a running process has used, all threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def rss_mb(pid):
    """Returns the memory that a running process holds now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES / 2**20


def peak_rss_mb(pid):
    """Returns the most memory that a running process has held at any moment."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024


def spread(values):
    """Returns the median of the values, and the smallest and the largest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}
