"""The picture of a prediction: the support images by class, and below them each query image as it was given, as the
network sees it, and what it was taken for."""
import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mindspore_maml.data.images import DRAWINGS, read_picture, to_square
from mindspore_maml.pictures.curves import save_figure
from mindspore_maml.pictures.names import shortened

COLUMNS = 10
LINE = 1.5      # in image heights: an image and the two lines of text below it
MOST = 300      # images of either kind; more would make no picture that can be looked at
SEEN = 200      # pixels of a picture's longer side, as it was given
NONE = "none of these"


def said_of(answer: dict) -> str:
    """An answer's class in words."""
    return answer["class"] if answer["known"] else f"{NONE} (nearest: {answer['class']})"


def as_given(source: str | Path) -> np.ndarray:
    """A picture before anything is done to it, small: [3, side, side] of uint8."""
    return to_square(read_picture(source, SEEN), SEEN, 3)


def draw_prediction(model: Any, pixels: np.ndarray, answers: list, path: str | Path,
                    given: Sequence[np.ndarray] = ()) -> Figure:
    """Support images with their classes, query images with their classes and probabilities, the first `MOST` of each.

    Images are drawn as the network sees them, drawings with their ink dark on white.

    Parameters
    ----------
    model : FewShotClassifier
        Fitted.
    pixels : ndarray of uint8, [image, imgc, imgsz, imgsz]
        The query images, ink 255.
    answers : sequence of dict
        For each of them its `class` and `probability`, and whether it is `known`.
    path : Path
        The picture to write; its suffix says in which format.
    given : sequence of ndarray of uint8, [3, side, side]
        The query images as they were given, drawn before what the network sees of them.
    """
    support = sorted(zip(model.numbers_.tolist(), model.support_), key=lambda each: each[0])
    shown = functools.partial(_as_shown, kind=model.options().images)
    of_support = [(shown(image), shortened(model.classes_[number])) for number, image in support[:MOST]]
    of_query = [(shown(image), f"{'' if each['known'] else 'none; '}{shortened(each['class'])}\n"
                               f"{each['probability']:.2f}") for image, each in zip(pixels[:MOST], answers)]
    cells = [cell for picture, seen in zip(given, of_query) for cell in ((picture, "given"), seen)] or of_query
    first_query = LINE * math.ceil(len(of_support) / COLUMNS) + 0.6
    height = first_query + LINE * math.ceil(len(cells) / COLUMNS)
    figure = Figure(figsize=(COLUMNS + 0.4, height + 0.8), layout="constrained")
    axes = figure.subplots()
    axes.text(0, -0.2, f"support: {_counted(of_support, support)} of {len(model.classes_)} classes")
    axes.text(0, first_query - 0.2, f"query: {_counted(of_query, answers)}")
    _draw_grid(axes, 0, of_support)
    _draw_grid(axes, first_query, cells)
    axes.set(xlim=(-0.1, COLUMNS), ylim=(height, -0.5), aspect="equal")
    axes.set_axis_off()
    return save_figure(figure, path)


def _as_shown(image, kind):
    return 255 - image if kind == DRAWINGS else image


def _counted(drawn, images):
    return f"{len(images)} images" if len(drawn) == len(images) else f"{len(drawn)} of {len(images)} images"


def _draw_grid(axes, top, images):
    for number, (image, text) in enumerate(images):
        row, x = divmod(number, COLUMNS)
        y = top + LINE * row
        drawn = image.transpose(1, 2, 0)                               # [imgsz, imgsz, imgc]
        axes.imshow(drawn if drawn.shape[2] == 3 else np.repeat(drawn, 3, axis=2), extent=(x, x + 0.94, y + 0.94, y))
        axes.add_patch(Rectangle((x, y), 0.94, 0.94, fill=False, edgecolor="lightgrey", linewidth=0.5))
        axes.text(x + 0.47, y + 0.97, text, ha="center", va="top", fontsize=8)
