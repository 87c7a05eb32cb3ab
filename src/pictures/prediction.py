"""The picture of a prediction: the support images by class, and below them what each query image was taken for."""
import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mindspore_maml.pictures.curves import save_figure
from mindspore_maml.pictures.names import shortened

COLUMNS = 10
LINE = 1.5      # in image heights: an image and the two lines of text below it
MOST = 300      # images of either kind; more would make no picture that can be looked at


def draw_prediction(model: Any, pixels: np.ndarray, answers: list, path: str | Path) -> Figure:
    """Support images with their classes, query images with their classes and probabilities, the first `MOST` of each.

    Images are drawn as the network sees them, ink dark on white.

    Parameters
    ----------
    model : FewShotClassifier
        Fitted.
    pixels : ndarray of uint8, [image, imgc, imgsz, imgsz]
        The query images, ink 255.
    answers : sequence of dict
        For each of them its `class` and `probability`.
    path : Path
        The picture to write; its suffix says in which format.

    Returns
    -------
    Figure
        What was written.
    """
    support = sorted(zip(model.numbers_.tolist(), model.support_), key=lambda each: each[0])
    of_support = [(image, shortened(model.classes_[number])) for number, image in support[:MOST]]
    of_query = [(image, f"{shortened(each['class'])}\n{each['probability']:.2f}")
                for image, each in zip(pixels[:MOST], answers)]
    first_query = LINE * math.ceil(len(of_support) / COLUMNS) + 0.6
    height = first_query + LINE * math.ceil(len(of_query) / COLUMNS)
    figure = Figure(figsize=(COLUMNS + 0.4, height + 0.8), layout="constrained")
    axes = figure.subplots()
    axes.text(0, -0.2, f"support: {_counted(of_support, support)} of {len(model.classes_)} classes")
    axes.text(0, first_query - 0.2, f"query: {_counted(of_query, answers)}")
    _draw_grid(axes, 0, of_support)
    _draw_grid(axes, first_query, of_query)
    axes.set(xlim=(-0.1, COLUMNS), ylim=(height, -0.5), aspect="equal")
    axes.set_axis_off()
    return save_figure(figure, path)


def _counted(drawn, images):
    return f"{len(images)} images" if len(drawn) == len(images) else f"{len(drawn)} of {len(images)} images"


def _draw_grid(axes, top, images):
    for number, (image, text) in enumerate(images):
        row, x = divmod(number, COLUMNS)
        y = top + LINE * row
        drawn = (255 - image).transpose(1, 2, 0)                       # [imgsz, imgsz, imgc]
        axes.imshow(drawn if drawn.shape[2] == 3 else np.repeat(drawn, 3, axis=2), extent=(x, x + 0.94, y + 0.94, y))
        axes.add_patch(Rectangle((x, y), 0.94, 0.94, fill=False, edgecolor="lightgrey", linewidth=0.5))
        axes.text(x + 0.47, y + 0.97, text, ha="center", va="top", fontsize=8)
