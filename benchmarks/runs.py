"""Runs of a benchmark's program, each in a process of its own and in turn, and what they ran on."""
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mindspore_maml.cli.command_line import as_arguments
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import Option

FOLDER = Path(__file__).resolve().parent
HERE = {"PYTHONPATH": str(FOLDER.parent), "GLOG_v": "3"}   # where a program finds its imports; MindSpore: errors only
OURS, PEER = "meta_step.py", "torch_meta_step.py"
COMMON = {"task_num": 32, "n_way": 5, "k_spt": 1, "k_qry": 5, "update_step": 5, "warmup": 20, "repeats": 10}
ROUNDS = Option("rounds", 3, "how often each point is measured, all points in turn", int, low=1)


def run(program: str, flags: dict) -> dict:
    """The figures one program prints for one case."""
    command = [sys.executable, str(FOLDER / program), "--json", "-", *as_arguments(flags)]
    done = subprocess.run(command, env=os.environ | HERE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{program} ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_to_end(program: str, flags: dict, shown: bool = False) -> None:
    """Run a program of the project, by its path in it, to its end; its lines are shown or not, its errors always.

    Raises
    ------
    InputError
        Where its exit status is not 0.
    """
    arguments = as_arguments(flags)
    done = subprocess.run([sys.executable, str(FOLDER.parent / program), *arguments], check=False,
                          env=os.environ | HERE,
                          stdout=None if shown else subprocess.DEVNULL)
    if done.returncode:
        raise InputError(f"{program} {' '.join(arguments)}: it ended with {done.returncode}; expected 0")


def in_turn(runs: Mapping[Any, Callable[[], dict]], rounds: int) -> dict[Any, dict]:
    """Medians over the rounds.

    Parameters
    ----------
    runs : dict
        By any name, a function without arguments that returns the figures of one run.
    rounds : int
        How often each is called, all in turn: what disturbs the machine for a while then meets all of them.

    Returns
    -------
    dict
        By the same names: the median of each figure, and `rounds_ms`, the median step of every round.
    """
    figures: dict[Any, list[dict]] = {name: [] for name in runs}
    for name in tqdm(rounds * list(runs), unit="run", leave=False, disable=None):
        figures[name].append(runs[name]())
    return {name: {key: statistics.median(figure[key] for figure in measured)
                   for key in ("compile_s", "median_ms", "min_ms", "growth_mb")}
            | {"rounds_ms": [figure["median_ms"] for figure in measured]} for name, measured in figures.items()}


def machine(*packages: str) -> dict:
    """What the figures were measured on, with the versions of `packages`."""
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return {"processor": model, "cores": len(os.sched_getaffinity(0)), "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in packages}}
