"""Runs of a benchmark's program, each in a process of its own and in turn, and what they ran on."""
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

from mindspore_maml.cli.command_line import as_arguments
from mindspore_maml.cli.errors import InputError

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
HERE = {"PYTHONPATH": str(ROOT), "GLOG_v": "3"}   # where a program finds its imports; MindSpore: errors only


def run_to_end(program: str, flags: dict, shown: bool = False) -> None:
    """Run a program of the project, by its path in it, to its end; its lines are shown or not, its errors always.

    Raises
    ------
    InputError
        Where its exit status is not 0.
    """
    arguments = as_arguments(flags)
    done = subprocess.run([sys.executable, str(ROOT / program), *arguments], check=False,
                          env=os.environ | HERE,
                          stdout=None if shown else subprocess.DEVNULL)
    if done.returncode:
        raise InputError(f"{program} {' '.join(arguments)}: it ended with {done.returncode}; expected 0")


def machine(*packages: str) -> dict:
    """What the figures were measured on, with the versions of `packages`."""
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return {"processor": model, "cores": len(os.sched_getaffinity(0)), "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in packages}}
