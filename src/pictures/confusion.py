"""Pictures of what is taken for what: the pairs confused most, with their drawings; a matrix where classes are few."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mindspore_maml.cli.errors import InputError
from mindspore_maml.data.class_images import Classes, ClassImages, counts_of, in_a_row
from mindspore_maml.data.images import DRAWINGS
from mindspore_maml.pictures.curves import save_figure
from mindspore_maml.pictures.names import shortened
from mindspore_maml.training.answers import Answers

DRAWN = 4        # images of a class in a pair
MOST_CLASSES = 40   # in a matrix; pairs of more
LONGEST = 40     # letters of a class's name above its images


def draw_confusion(answers: Answers, path: str | Path) -> Figure:
    """The matrix of one's own classes, where they are few; else the pairs confused most."""
    if isinstance(answers.images, ClassImages) and len(answers.names) <= MOST_CLASSES:
        return draw_matrix(answers.names, answers.counts(), path)
    return draw_pairs(answers, path)


def draw_pairs(answers: Answers, path: str | Path) -> Figure:
    """A row for each of the pairs confused most: some drawings of the class, then of what it was taken for.

    Parameters
    ----------
    answers : Answers
    path : str or Path
        The picture to write; its suffix says in which format.
    """
    pairs = list(zip(answers.pairs(), answers.confused()))
    figure = Figure(figsize=(8, 0.6 + 1.15 * max(1, len(pairs))), layout="constrained")
    axes = figure.subplots()
    for row, ((true, found), told) in enumerate(pairs):
        for column, number in ((0, true), (DRAWN + 1, found)):
            for place, image in enumerate(_some_of(answers.images, number)):
                x = column + place
                axes.imshow(image, extent=(x, x + 0.94, 1.4 * row + 0.94, 1.4 * row))
        axes.text(0, 1.4 * row - 0.06, shortened(told["class"], LONGEST), fontsize=8)
        axes.text(DRAWN + 1, 1.4 * row - 0.06, f"{shortened(told['found'], LONGEST)}: {told['times']} of "
                                               f"{told['questions']}", fontsize=8)
    title = "a class, and what it was taken for" if pairs else "no question was answered wrongly"
    axes.set(xlim=(-0.1, 2 * DRAWN + 1.1), ylim=(max(1.4, 1.4 * len(pairs)), -0.5), aspect="equal", title=title)
    axes.set_axis_off()
    return save_figure(figure, path)


def _some_of(images: Classes, number: int) -> list[np.ndarray]:
    """The first images of a class, [imgsz, imgsz, 3] each, drawings with their ink dark."""
    (row, first), count = in_a_row(images), counts_of(images)[number]
    some = row[first[number]:first[number] + min(count, DRAWN)].transpose(0, 2, 3, 1)
    shown = some if getattr(images, "kind", DRAWINGS) != DRAWINGS else 255 - some
    return [np.repeat(image, 3 // image.shape[2], axis=2) for image in shown]


def draw_matrix(names: Sequence[str], counts: np.ndarray, path: str | Path) -> Figure:
    """How many images of each class (row) were taken for each (column).

    Parameters
    ----------
    names : sequence of str
    counts : ndarray of int, [class, class]
    path : str or Path
        The picture to write.

    Raises
    ------
    InputError
        Where there are more classes than such a picture shows.
    """
    if len(names) > MOST_CLASSES:
        raise InputError(f"--confusion {path}: {len(names)} classes; expected at most {MOST_CLASSES} in a matrix")
    side = 2.5 + 0.4 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    parts = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    axes.imshow(parts, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8,
                      color="white" if parts[row, column] > 0.5 else "black")
    marks = [shortened(name) for name in names]
    axes.set_xticks(range(len(names)), marks, rotation=90)
    axes.set_yticks(range(len(names)), marks)
    axes.set(xlabel="taken for", ylabel="is")
    return save_figure(figure, path)
