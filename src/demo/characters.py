"""Characters that training never saw, for trying without drawing: of the data set's test part, or built-in glyphs."""
import functools
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.run_options import Options
from mindspore_maml.data.class_images import Classes, counts_of, in_a_row
from mindspore_maml.data.glyphs import DRAWERS, drawings_of
from mindspore_maml.data.images import DRAWINGS
from mindspore_maml.data_preprocess import load_images
from mindspore_maml.OmniglotIter import split_classes

OTHERS = 5   # drawings of each character beside the examples, at most
GLYPHS = range(331, 451)   # numbers of the built-in characters in the test alphabets, as `draw_glyphs` has them
GLYPHS_SEED = 1            # that of data_preprocess.py --glyphs


class Characters:
    """Drawings by character.

    Parameters
    ----------
    counts : sequence of int
        How many drawings each character has.
    drawing : callable
        Gives a character's drawing by both numbers, as `read_image` takes it.
    """

    def __init__(self, counts: Sequence[int] | np.ndarray, drawing: Callable[[int, int], Image.Image]):
        self._counts, self._drawing = np.asarray(counts), drawing

    def draw(self, classes: int, examples: int, rng: np.random.Generator) -> list[tuple[list, list]]:
        """For each of `classes` characters drawn at random: that many examples, and some other drawings of it.

        Raises
        ------
        InputError
            Where too few characters have as many drawings.
        """
        enough = np.flatnonzero(self._counts > examples)
        if len(enough) < classes:
            raise InputError(f"{len(enough)} characters have more than {examples} drawings; expected at least "
                             f"{classes} that do")
        drawn = []
        for number in rng.choice(enough, classes, replace=False):
            images = [self._drawing(number, drawing)
                      for drawing in rng.permutation(self._counts[number])[:examples + OTHERS]]
            drawn.append((images[:examples], images[examples:]))
        return drawn


def characters_for(data_path: str, trained: Options) -> Characters:
    """The characters to test on of the data under `data_path`, divided as for the `trained` model; glyphs without.

    Raises
    ------
    InputError
        Where there is no such data, or it does not fit the model.
    """
    if not data_path:
        return glyphs()
    images = load_images(data_path, trained.imgsz, trained.imgc)
    return of_classes(split_classes(images, trained.n_train_classes, trained.split, trained.split_seed)[1],
                      trained.images)


def glyphs() -> Characters:
    """The built-in characters of the test alphabets."""
    drawings = functools.lru_cache(maxsize=len(GLYPHS))(lambda number: drawings_of(GLYPHS_SEED, GLYPHS[number]))
    return Characters([DRAWERS] * len(GLYPHS), lambda number, drawing: drawings(number)[drawing])


def of_classes(classes: Classes, kind: str = DRAWINGS) -> Characters:
    """The characters of a data set, uint8 with ink 255 and paper 0."""
    pixels, first = in_a_row(classes)
    return Characters(counts_of(classes), lambda number, drawing: as_picture(pixels[first[number] + drawing], kind))


def as_picture(pixels: np.ndarray, kind: str) -> Image.Image:
    """A picture of `pixels` [imgc, imgsz, imgsz]: drawings on white paper, photographs as they are."""
    shown = 255 - pixels if kind == DRAWINGS else pixels
    return Image.fromarray(shown[0] if len(shown) == 1 else np.ascontiguousarray(shown.transpose(1, 2, 0)))
