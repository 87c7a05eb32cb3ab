"""The data set that the network for own drawings is trained on: Omniglot's drawings as `fit_drawing` makes them.

    python -m benchmarks drawn_set --data_path D --out E
    python -m benchmarks results run drawings --data_path E

Sixty images of each character: its twenty drawings fitted; the same fitted again, after they were drawn with another
pen, cut or made small; and as they are.
"""
import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.drawn_tasks import SIDE, all_drawings, in_processes
from benchmarks.photographs import bitmap
from mindspore_maml.cli.atomic_files import make_folder
from mindspore_maml.cli.program import run_program
from mindspore_maml.data.drawings import NoInkError, fit_drawing
from mindspore_maml.data_preprocess import load_images, write
from mindspore_maml.Omniglot import FILE_NAME


def fitted_twice(numbered: tuple[int, np.ndarray]) -> np.ndarray:
    """Drawings [drawing, 105, 105] of the character of a number: fitted, then fitted once more as bitmaps,
    uint8 [2 x drawing, 28, 28], ink 255."""
    number, drawings = numbered
    rng = np.random.default_rng(number)
    clean, again = [], []
    for drawing in drawings:
        clean.append(fit_drawing(Image.fromarray(np.where(drawing, 0, 255).astype(np.uint8)), SIDE))
        try:
            again.append(fit_drawing(bitmap(drawing, rng), SIDE))
        except NoInkError:   # so small that nothing is left
            again.append(clean[-1])
    return np.stack(clean + again)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", required=True, help="folder with Omniglot's drawings")
    parser.add_argument("--out", required=True, help="folder for omniglot.npy")
    options = parser.parse_args()
    folder = make_folder(options.out, "--out")
    fitted = np.stack(in_processes(fitted_twice, enumerate(all_drawings(options.data_path))))[:, :, None]
    as_they_are = load_images(options.data_path, SIDE, 1)   # [character, 20, 1, 28, 28], ink 255
    write(Path(folder) / FILE_NAME, 255 - np.concatenate([fitted, as_they_are], axis=1))


if __name__ == "__main__":
    run_program(main)
