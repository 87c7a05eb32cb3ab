"""What every benchmark measures, the same way on both sides: first call, steady steps, memory."""
import re
import statistics
import time
from pathlib import Path


def peak_memory():
    """Peak resident memory of this program so far, in MiB.

    Not `ru_maxrss`: that one a program inherits from whoever started it.
    """
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


def measure(step, warmup, repeats, memory_before):
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
