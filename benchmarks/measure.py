"""What every benchmark measures, the same way on both sides: first call, steady steps, memory."""
import functools
import os
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Stopwatch:
    """Adds up the time spent in a function it wraps, and notes when each call ended."""

    def __init__(self, function: Callable):
        self.function = function
        self.spent: list[float] = []
        self.ends: list[float] = []

    def __get__(self, owner: object, kind: type | None = None) -> Callable:
        return functools.partial(self, owner)   # as a method

    def __call__(self, *arguments: Any) -> Any:
        start = time.perf_counter()
        result = self.function(*arguments)
        self.ends.append(time.perf_counter())
        self.spent.append(self.ends[-1] - start)
        return result


def peak_memory() -> float:
    """Memory of this program so far, in MiB: its peak, or, of several processes, what they hold together.

    What processes share counts once. The peak is not `ru_maxrss`, which a program inherits from whoever started it.
    """
    processes = [os.getpid(), *_children()]
    if len(processes) == 1:
        return _kilobytes("/proc/self/status", "VmHWM") / 1024
    return sum(_kilobytes(f"/proc/{process}/smaps_rollup", "Pss") for process in processes) / 1024


def _children():
    return [int(child) for file in Path("/proc/self/task").glob("*/children") for child in file.read_text().split()]


def _kilobytes(file, name):
    return int(re.findall(rf"^{name}:\s+(\d+) kB", Path(file).read_text(), re.M)[0])


def measure(step: Callable[[], object], warmup: int, repeats: int, memory_before: float) -> dict[str, float]:
    """Time `step()`: the first call, then `repeats` calls after `warmup` more.

    Parameters
    ----------
    step : callable
        One meta-gradient or evaluation, its results read back.
    memory_before : float
        `peak_memory()` after the imports.

    Returns
    -------
    dict
        compile_s (the first call, seconds), median_ms, min_ms, rss_mb (peak), growth_mb (peak less imports).
    """
    times = []
    for _ in range(1 + warmup + repeats):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    steady = times[1 + warmup:]
    return {"compile_s": round(times[0], 3), "median_ms": round(1000 * statistics.median(steady), 2),
            "min_ms": round(1000 * min(steady), 2), "rss_mb": round(peak_memory()),
            "growth_mb": round(peak_memory() - memory_before)}
