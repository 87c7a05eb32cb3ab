"""The options of a benchmark and its batch: random images, for the time does not depend on what they show."""
from typing import Any

import numpy as np

from mindspore_maml.cli.atomic_files import refuse_unwritable
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.options import BENCH, Option

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
