"""The first steps of a training: its losses and weights, to compare devices by, then the time and memory of a step."""
import statistics
import time

import mindspore as ms
import numpy as np

from benchmarks.measure import peak_memory
from src.cli.command_line import parse
from src.cli.options import REQUIRED, TRAIN, Option
from src.cli.program import run_program
from src.devices import device
from src.devices.shares import share_out
from src.training.from_options import load_split, make_episodes, make_meta
from src.training.optimizer import outer_optimizer
from src.training.step import TrainingStep

EXTRA = (
    Option("compare", 20, "steps whose losses are written, and the weights after them", int, low=1),
    Option("repeats", 0, "steps after these, to time them", int, low=0),
    Option("out", REQUIRED, "file for the figures, as numpy.savez writes it"),
)


def main() -> None:
    """Write `loss` [step], `weights`, `first_s`, `median_ms` and `peak_mb`. --epoch is for the schedule alone."""
    options = parse(TRAIN, __doc__, extra=EXTRA)
    workers = device.set_up_for(options)
    images, _ = load_split(options)
    meta = make_meta(options)
    runner = share_out(meta, workers)
    step = TrainingStep(runner, outer_optimizer(meta.trainable_params(), options), options.clip_norm)
    losses, seconds, weights = [], [], np.empty(0)
    for epoch, batch in enumerate(make_episodes(images, options, options.compare + options.repeats), 1):
        start = time.perf_counter()
        losses.append(step(batch, epoch)[0])
        seconds.append(time.perf_counter() - start)
        if epoch == options.compare:
            weights = _weights_of(meta)
    np.savez(options.out, loss=losses[:options.compare], weights=weights, first_s=seconds[0],
             median_ms=1000 * statistics.median(seconds[-options.repeats:]), peak_mb=_peak_mb())


def _weights_of(meta):
    """As one vector, without what may drift unseen, such as a bias before a normalisation."""
    return np.concatenate([parameter.asnumpy().reshape(-1) for parameter in meta.trainable_params()
                           if parameter.name.endswith(".weight")])


def _peak_mb():
    """MiB that the tensors took at most, on the device; on the CPU what the processes took."""
    return peak_memory() if device.is_cpu() else ms.runtime.max_memory_allocated() / 2**20


if __name__ == "__main__":
    run_program(main)
