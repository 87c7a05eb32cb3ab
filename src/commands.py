"""The commands: each runs one program of the package, and ends the process with its status.

The files at the top of the checkout call them, and so do `maml-train`, `maml-eval` and the others that pip installs.
"""
import sys
from typing import NoReturn

from mindspore_maml.cli.program import run_module


def train() -> NoReturn:
    """Train MAML on Omniglot."""
    run_module("mindspore_maml.programs.train")


def evaluate() -> NoReturn:
    """Evaluate a trained MAML."""
    run_module("mindspore_maml.programs.evaluate")


def predict() -> NoReturn:
    """Classify your own images."""
    run_module("mindspore_maml.programs.predict")


def export() -> NoReturn:
    """Write an adapted classifier as MindIR or ONNX."""
    run_module("mindspore_maml.programs.export")


def plot() -> NoReturn:
    """Draw trainings together."""
    run_module("mindspore_maml.programs.plot")


def demo() -> NoReturn:
    """Serve a page to draw on."""
    run_module("mindspore_maml.programs.demo")


def data() -> NoReturn:
    """Prepare the data set."""
    run_module("mindspore_maml.data_preprocess")


if __name__ == "__main__":   # python -m mindspore_maml.commands train FLAGS
    {"train": train, "evaluate": evaluate}[sys.argv.pop(1)]()
