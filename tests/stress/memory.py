"""Watch the memory of a training and of an evaluation, and draw it.

    python -m tests.stress.memory --data_path D [--steps 2000] [--batches 200] [--out memory.png]
"""
import argparse
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tests.stress.programs import SMALL, command, training

WARM_UP = 0.1   # the share of a program's samples before its memory counts
STEP, BATCH = r"^(\d+) of \d+ epochs", r"^\[[01]\.\d*\]$"


def watch(arguments, line):
    """The memory in MB of a program each time it prints such a `line`: an array [sample]."""
    samples = []
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        for printed in process.stdout:
            if re.search(line, printed):
                status = Path(f"/proc/{process.pid}/status").read_text()
                samples.append(int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)[1]) / 1024)
    assert process.returncode == 0
    return np.array(samples)


def growth(samples):
    """How much more the last tenth of the samples holds than the tenth after the warm-up, as a part of it."""
    part = max(1, len(samples) // 10)
    first = round(WARM_UP * len(samples))
    return samples[-part:].mean() / samples[first:first + part].mean() - 1


def of_training(data_path, folder, steps, *flags):
    """Memory over a training of so many steps."""
    return watch(training(data_path, folder, "--epoch", steps, "--log_every", max(1, steps // 100), *flags), STEP)


def of_evaluation(data_path, folder, batches):
    """Memory over an evaluation of so many batches."""
    return watch(command("eval.py", "--data_path", data_path, "--ckpt", folder, *SMALL, "--test_batches", batches),
                 BATCH)


def draw(curves, path):
    """Each program's memory over its samples."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    for axes, (name, samples) in zip(figure.subplots(1, len(curves)), curves.items(), strict=True):
        axes.plot(np.linspace(0, 100, len(samples)), samples)
        axes.set(xlabel=f"% of {name}", ylabel="memory (MB)", ylim=(0, None),
                 title=f"{100 * growth(samples):+.1f} % after the warm-up")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--out", default="memory.png")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        curves = {f"{options.steps} steps": of_training(options.data_path, folder, options.steps),
                  f"{options.batches} evaluation batches": of_evaluation(options.data_path, folder, options.batches)}
    draw(curves, options.out)
    for name, samples in curves.items():
        print(f"{name}: {samples[-1]:.0f} MB, growth {100 * growth(samples):+.2f} %")
    print(options.out)


if __name__ == "__main__":
    main()
