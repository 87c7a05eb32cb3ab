"""The first steps of a training: losses and meta-gradients, to compare devices by, then the time of a step."""
import statistics
import time
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor

from benchmarks.meta_step import peak_memory
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.options import REQUIRED, TRAIN, Option
from mindspore_maml.cli.program import run_program
from mindspore_maml.devices import device
from mindspore_maml.devices.shares import share_out
from mindspore_maml.training.from_options import load_split, make_episodes, make_meta
from mindspore_maml.training.optimizer import outer_optimizer
from mindspore_maml.training.step import TrainingStep

EXTRA = (
    Option("compare", 20, "steps whose weights, losses and gradients are written", int, low=1),
    Option("path", "", "such a file: each of these steps starts from its weights"),
    Option("repeats", 0, "steps after these, to time them", int, low=0),
    Option("out", REQUIRED, "file for the figures, as numpy.savez writes it"),
)


def main() -> None:
    """Write `weights` and `gradient` [step, number], `loss` [step], `first_s`, `median_ms` and `peak_mb`."""
    options: Any = parse(TRAIN, __doc__, extra=EXTRA)
    workers = device.set_up_for(options)
    images, _, options = load_split(options)
    meta = make_meta(options)
    runner = share_out(meta, workers)
    optimizer = outer_optimizer(meta.trainable_params(), options)
    episodes = iter(make_episodes(images, options, options.compare + options.repeats))
    start = np.load(options.path)["weights"] if options.path else None
    compared, first_s = _compare(meta, runner, optimizer, episodes, options.compare, start)
    step, seconds = TrainingStep(runner, optimizer, options.clip_norm), [first_s]
    for epoch in range(options.compare + 1, options.compare + options.repeats + 1):
        batch = next(episodes)
        begin = time.perf_counter()
        step(batch, epoch)
        seconds.append(time.perf_counter() - begin)
    np.savez(options.out, **compared, first_s=first_s,
             median_ms=1000 * statistics.median(seconds[1:] or seconds), peak_mb=_peak_mb())


def _compare(meta, runner, optimizer, episodes, steps, start):
    """Take steps, each from its line of `start` where that is given; returns the first one's seconds too."""
    lines: dict[str, list] = {"weights": [], "gradient": [], "loss": []}
    first_s = 0.0
    for number in range(steps):
        batch = next(episodes)
        if start is not None:
            _put(start[number], meta.trainable_params())
        lines["weights"].append(_flat(meta.trainable_params()))
        begin = time.perf_counter()
        loss, _, gradients = runner.meta_gradient(*batch, epoch=number)
        optimizer(gradients)
        lines["loss"].append(float(loss.asnumpy()))
        first_s = first_s or time.perf_counter() - begin
        lines["gradient"].append(_flat(gradients))
    return {name: np.array(values) for name, values in lines.items()}, first_s


def _flat(tensors):
    return np.concatenate([tensor.asnumpy().reshape(-1) for tensor in tensors])


def _put(numbers, parameters):
    """The inverse of `_flat`."""
    parts = np.split(numbers, np.cumsum([parameter.size for parameter in parameters])[:-1])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.set_data(Tensor(part.reshape(parameter.shape)))


def _peak_mb():
    """MiB that the tensors took at most, on the device; on the CPU what the processes took."""
    return peak_memory() if device.is_cpu() else ms.runtime.max_memory_allocated() / 2**20


if __name__ == "__main__":
    run_program(main)
