"""Kill a training at random moments, again and again, and compare what it ends with to a run never killed.

    python -m tests.stress.kills --data_path D [--kills 100] [--epochs 200]
"""
import argparse
import json
import random
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from src.training.checkpoint import load, numbered
from tests.stress.programs import training

SAVE_EVERY = 5


def attack(data_path, folder, kills, epochs, seed=1):
    """Kill `kills` times; returns how often there was nothing to go on from, and how many runs were compared.

    Raises
    ------
    AssertionError
        Where a run does not go on, or its weights in the end differ in a single bit.
    """
    flags = ("--epoch", epochs, "--save_every", SAVE_EVERY, "--log_every", 3, "--eval_every", 20, "--eval_batches", 1)
    begun = time.monotonic()
    run(training(data_path, folder / "whole", *flags))
    takes = time.monotonic() - begun
    draws, fresh, compared, killed = random.Random(seed), 0, 0, 0
    while killed < kills or not compared:
        under_attack = folder / f"killed-{compared}"
        finished = False
        while not finished:
            saved = under_attack.is_dir() and numbered(under_attack)
            start = ("--ckpt", under_attack) if saved else ("--overwrite",)
            fresh += not saved
            after = draws.uniform(0.3, 1.0) * takes if killed < kills else None
            begun = time.monotonic()
            ended = not run(training(data_path, under_attack, *flags, *start), after)
            takes = min(takes, time.monotonic() - begun) if ended else takes   # the machine may have been busy
            killed += not ended
            assert not ended or not list(under_attack.glob(".*"))
            finished = ended or epochs in numbered(under_attack)   # killed while it drew its last picture
        compare(under_attack, folder / "whole")
        compared += 1
    return fresh, compared


def run(command, after=None):
    """Run a training, killed `after` seconds where it lasts so long; returns whether it was."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        printed, _ = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    assert process.returncode == 0, printed
    return False


def compare(found, expected):
    """Whether two runs ended the same, in every bit of weights and optimizer, and in the figures of every step."""
    here, there = load(found), load(expected)
    assert (here.epoch, here.episodes, here.tensors.keys()) == (there.epoch, there.episodes, there.tensors.keys())
    for name, value in there.tensors.items():
        np.testing.assert_array_equal(here.tensors[name].asnumpy(), value.asnumpy(), err_msg=name)
    for record, other in zip(figures(found), figures(expected), strict=True):
        # MindSpore tries numbers of threads in a process's first steps, and sums a loss in as many parts.
        assert record == pytest.approx(other, rel=1e-6)


def figures(folder):
    """What metrics.jsonl holds of each step, but for the time it took; no step is there twice."""
    _, *lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "milliseconds"} for line in lines]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", required=True)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fresh, compared = attack(options.data_path, Path(folder), options.kills, options.epochs)
    print(f"{options.kills} kills: {compared} runs of {options.epochs} epochs ended bit-equal to one never killed; "
          f"{fresh} starts had no checkpoint to go on from")


if __name__ == "__main__":
    main()
