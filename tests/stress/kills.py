"""Kill a training at random moments, again and again, and compare what it ends with to a run never killed.

    python -m tests.stress.kills --data_path D [--kills 100] [--epochs 60] [--seed 1]

Each training is omniglot_train.py in a process forked from this one, which has imported it: the kills fall into its
work, and not into its imports.
"""
import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import mindspore.multiprocessing as processes
import numpy as np

from mindspore_maml.cli.program import run_program
from mindspore_maml.programs import train
from mindspore_maml.training.checkpoint import load, numbered
from tests.stress.programs import COMPILED_SOON, training_flags


def attack(data_path, folder, kills, epochs, seed=1):
    """Kill `kills` times; returns what was seen: a Counter.

    Raises
    ------
    AssertionError
        Where a run does not go on, or differs in the end from one never killed in a bit of its weights, optimizer or
        figures.
    """
    flags = (*COMPILED_SOON, "--epoch", epochs, "--save_every", 1, "--keep", 3, "--log_every", 3,
             "--eval_every", epochs // 2, "--eval_batches", 1)
    takes = run(training_flags(data_path, folder / "whole", *flags))
    rare = (*COMPILED_SOON, "--epoch", epochs, "--save_every", epochs, "--log_every", epochs, "--per_step")
    run(training_flags(data_path, folder / "quiet", *rare))
    compare_states(folder / "quiet", folder / "whole")
    draws, seen = random.Random(seed), Counter()
    while seen["kills"] < kills or not seen["runs"]:
        under_attack = folder / f"killed-{seen['runs']}"
        finished = False
        while not finished:
            saved = under_attack.is_dir() and numbered(under_attack)
            start = ("--ckpt", under_attack) if saved else ("--overwrite",)
            seen["starts without a checkpoint"] += not saved
            after = draws.uniform(0.2, 1.0) * takes if seen["kills"] < kills else None
            took = run(training_flags(data_path, under_attack, *flags, *start), after)
            if took:
                takes = min(takes, took)   # the machine may have been busy
                assert not list(under_attack.glob(".*"))
            seen["kills"] += not took
            seen["half-written files"] += len([name for name in left_over(under_attack) if name != ".lock"])
            finished = took or epochs in numbered(under_attack)   # killed while it drew its last picture
        compare_states(under_attack, folder / "whole")
        assert figures(under_attack) == figures(folder / "whole")
        seen["runs"] += 1
    return seen


def left_over(folder):
    """The hidden files of a folder, which may not be there yet."""
    return [path.name for path in folder.glob(".*")] if folder.is_dir() else []


def run(arguments, after=None):
    """Run a training, killed `after` seconds where it lasts so long; returns how long it lasted, 0 if it was."""
    with tempfile.NamedTemporaryFile("r") as log:
        begun = time.monotonic()
        process = processes.Process(target=_train, args=(arguments, log.name))
        process.start()
        process.join(after)
        if process.exitcode is None:
            process.kill()
            process.join()
            return 0
        assert process.exitcode == 0, (process.exitcode, log.read())
        return time.monotonic() - begun


def _train(arguments, log):
    for stream in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND), stream)
    sys.argv = ["omniglot_train.py", *arguments]
    run_program(train.main)


def compare_states(found, expected):
    """Whether two runs ended the same, in every bit of weights and optimizer."""
    here, there = load(found), load(expected)
    assert (here.epoch, here.episodes, here.tensors.keys()) == (there.epoch, there.episodes, there.tensors.keys())
    for name, value in there.tensors.items():
        np.testing.assert_array_equal(here.tensors[name], value, err_msg=name)


def figures(folder):
    """What metrics.jsonl holds of each step, but for the time it took; no step is there twice."""
    _, *lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "milliseconds"} for line in lines]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", required=True)
    for name, default in (("kills", 100), ("epochs", 60), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seen = attack(options.data_path, Path(folder), options.kills, options.epochs, options.seed)
    print(f"{seen['kills']} kills: {seen['runs']} runs of {options.epochs} epochs ended bit-equal to one never killed; "
          f"{seen['starts without a checkpoint']} starts had no checkpoint to go on from, and "
          f"{seen['half-written files']} half-written files were left and removed")


if __name__ == "__main__":
    main()
