"""Time one meta-gradient (or, with --order none, one evaluation): no optimizer, no sampling.

Here is too what benchmarks/torch_meta_step.py takes and measures likewise: options, a batch of random images (the time
does not depend on what they show), first call, steady steps, memory. It imports this file, so MindSpore is left to
`main`.
"""
import os
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mindspore_maml.cli.atomic_files import refuse_unwritable, write_json
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.options import BENCH, Option
from mindspore_maml.cli.program import run_program

EXTRA = (
    Option("order", "second", "meta-gradient of first or second order; none: evaluation",
           choices=("first", "second", "none")),
    Option("warmup", 20, "steps before timing; MindSpore tunes its threads in the first 15", int, low=0),
    Option("repeats", 10, "steps timed", int, low=1),
    Option("threads", 0, "threads of each process; 0: as many as it has cores", int, low=0),
)


def read_options(description: str) -> Any:
    """The options of one benchmark; `--update_step` counts the inner steps, for evaluation too."""
    options = parse(BENCH, description, extra=EXTRA)
    refuse_unwritable(options.json, "--json")
    return options.but(update_step_test=options.update_step)


def random_batch(options: Any) -> list[np.ndarray]:
    """x_spt, y_spt, x_qry, y_qry as `OmniglotIter` yields them."""
    draws = np.random.default_rng(options.seed)
    batch = []
    for k in (options.k_spt, options.k_qry):
        shape = (options.task_num, options.n_way * k, options.imgc, options.imgsz, options.imgsz)
        labels = np.tile(np.arange(options.n_way).repeat(k), (options.task_num, 1))
        batch += [draws.random(shape, dtype=np.float32), labels.astype(np.int32)]
    return batch


def result(options: Any, figures: dict) -> dict:
    """What was measured beside what it was measured on."""
    names = ("preset", "order", "task_num", "n_way", "k_spt", "k_qry", "update_step", "warmup", "repeats")
    return {name: getattr(options, name) for name in names} | figures


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


def main() -> None:
    from mindspore_maml.devices import device  # noqa: PLC0415
    from mindspore_maml.devices.shares import share_out  # noqa: PLC0415
    from mindspore_maml.training.from_options import make_meta  # noqa: PLC0415
    options = read_options(__doc__)
    workers = device.set_up_for(options)
    memory_before = peak_memory()
    batch, meta = random_batch(options), share_out(make_meta(options), workers)
    steps = meta.inner.steps_test

    def step():
        results = meta.meta_gradient(*batch) if options.order != "none" else \
            next(meta.evaluate_each_step(*batch, steps, first=steps))
        for value in (results[0], *results[2]) if isinstance(results[2], tuple) else results:
            value.asnumpy()

    write_json(options.json or "-", result(options, measure(step, options.warmup, options.repeats, memory_before)))


if __name__ == "__main__":
    run_program(main)
