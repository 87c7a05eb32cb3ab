"""One rank's part in meta-steps, or a process alone: the time of a step and of its parts, bytes sent, and time waited.

Started by benchmarks/ranks.py. Images are random, for the time does not depend on what they show; all else is as in a
training: every batch is drawn, its gradient found and summed over the ranks, and Adam takes its step.
"""
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Tensor, nn, ops

from benchmarks.meta_step import EXTRA
from mindspore_maml.cli.atomic_files import write_json
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.options import BENCH, Option
from mindspore_maml.cli.program import run_program
from mindspore_maml.devices import cluster, device
from mindspore_maml.devices.batch_share import Shared
from mindspore_maml.devices.ranks import Ranks, SumOverRanks
from mindspore_maml.devices.shares import share_out
from mindspore_maml.meta import Meta
from mindspore_maml.OmniglotIter import OmniglotIter
from mindspore_maml.training.from_options import make_meta
from mindspore_maml.training.optimizer import OuterAdam
from mindspore_maml.training.step import TrainingStep

OPTIONS = (
    *(option for option in EXTRA if option.name != "order"),
    Option("order", "second", "order of the meta-gradient", choices=("first", "second")),
    Option("tasks", [8, 16, 32], "numbers of tasks in a batch, each measured", list, low=1, high=4096),
)
CHARACTERS, DRAWINGS = 200, 20
SIZES = [1 << 10, 1 << 14, 1 << 17, 1 << 20]   # numbers that are summed over the ranks and nothing else
SUMS = 30                                      # how often, of each size
SUM_SECONDS: list[float] = []                  # of every sum over the ranks in a step
SENT = Path("/sys/class/net/lo/statistics/tx_bytes")   # of all processes of this machine, to each other


class Echo(nn.Cell):
    """What a graph of one operation costs, to tell from what a sum over ranks adds."""

    def __init__(self):
        super().__init__()
        self.relu = ops.ReLU()

    def construct(self, value: Tensor) -> Tensor:
        return self.relu(value)


def _timed(method):
    def call(*arguments):
        begin = time.perf_counter()
        found = method(*arguments)
        SUM_SECONDS.append(time.perf_counter() - begin)
        return found
    return call


def measure_steps(meta: Meta, runner: Shared, tasks: int, options: Any) -> dict:
    """Take meta-steps with so many tasks in a batch.

    Returns
    -------
    dict
        Medians in milliseconds: step_ms, and of it draw_ms (the batch) and sum_ms (the sum over ranks, of the rank
        that came last); waited_ms, how long the first one waited for it; and gradient_bytes, what is summed, and
        sent_bytes, what all ranks of this machine sent in a step.
    """
    steps = 1 + options.warmup + options.repeats
    episodes = iter(OmniglotIter(_images(options), n_way=options.n_way, k_spt=options.k_spt, k_qry=options.k_qry,
                                 task_num=tasks, batches=steps, seed=options.seed, rotate=True))
    take_step = TrainingStep(runner, OuterAdam(meta.trainable_params(), [1e-3] * steps))
    drawn, whole, sent = [], [], 0
    SUM_SECONDS.clear()
    for number in range(steps):
        if number == steps - options.repeats:
            sent = _bytes_sent()
        begin = time.perf_counter()
        batch = next(episodes)
        drawn.append(time.perf_counter() - begin)
        take_step(batch, number + 1)
        whole.append(time.perf_counter() - begin)
    sent = (_bytes_sent() - sent) / options.repeats
    of_ranks = _of_all_ranks(runner, SUM_SECONDS[-options.repeats:] or [0.0] * options.repeats)   # [rank, step]
    return {"step_ms": _median_ms(whole[-options.repeats:]), "draw_ms": _median_ms(drawn[-options.repeats:]),
            "sum_ms": _median_ms(of_ranks.min(0)), "waited_ms": _median_ms(np.ptp(of_ranks, axis=0)),
            "gradient_bytes": 4 * (2 + sum(parameter.size for parameter in meta.trainable_params())),   # loss, accuracy
            "sent_bytes": round(sent)}


def _images(options):
    shape = (CHARACTERS, DRAWINGS, options.imgc, options.imgsz, options.imgsz)
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def _of_all_ranks(runner, seconds):
    """What each rank measured, on all of them."""
    table = np.zeros((cluster.rank_count(), len(seconds)), np.float32)
    table[cluster.rank()] = seconds
    return runner.sum_of_all(table.ravel()).reshape(table.shape) if isinstance(runner, Ranks) else table


def _bytes_sent():
    return int(SENT.read_text())


def measure_sums(sizes: list[int]) -> list[dict]:
    """Sum over the ranks and nothing else, for each size: bytes, sum_ms, and alone_ms, a graph without a sum."""
    return [{"bytes": 4 * size, "sum_ms": _time_of(SumOverRanks(), size), "alone_ms": _time_of(Echo(), size)}
            for size in sizes]


def _time_of(graph, size):
    numbers, seconds = np.ones(size, np.float32), []
    for _ in range(5 + SUMS):
        begin = time.perf_counter()
        graph(Tensor(numbers)).asnumpy()
        seconds.append(time.perf_counter() - begin)
    return _median_ms(seconds[5:])


def _median_ms(seconds):
    return round(1000 * statistics.median(map(float, seconds)), 3)


def main() -> None:
    options = parse(BENCH, __doc__, extra=OPTIONS)
    options = options.but(task_num=min(options.tasks))
    Ranks.sum_of_all = _timed(Ranks.sum_of_all)   # type: ignore[method-assign]
    workers = device.set_up_for(options)
    meta = make_meta(options)
    runner = share_out(meta, workers)
    points = {tasks: measure_steps(meta, runner, tasks, options) for tasks in options.tasks}
    sums = measure_sums(SIZES) if isinstance(runner, Ranks) else []
    if cluster.is_first():
        write_json(options.json or "-", {"ranks": cluster.rank_count(), "workers": workers, "points": points,
                                         "sums": sums})


if __name__ == "__main__":
    run_program(main)
