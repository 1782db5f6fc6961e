"""Measures a peer's job without the start of its interpreter, and prints it as the last line."""

import resource
import time


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Meter:
    """Measures from its making on."""

    def __init__(self):
        self.begun, self.cpu_before = time.perf_counter(), cpu()

    def report(self, peer, ticks, bars):
        """Prints what the job took; call it as soon as the job is done."""
        wall, used = time.perf_counter() - self.begun, cpu() - self.cpu_before
        print(f"ticks_per_s={ticks / wall:.0f} cpu_s_per_mtick={used / ticks * 1e6:.4f} bars={bars} peer={peer}")
