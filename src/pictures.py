"""Two pictures of a training run: its learning curve, and one test task with what the adapted network makes of it."""
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

RIGHT, WRONG = "tab:green", "tab:red"


def draw_learning_curve(records, n_way, path):
    """Query loss and accuracy over the epochs of a training.

    Parameters
    ----------
    records : list of dict
        The lines of metrics.jsonl: `step`, `loss` and `accuracy` of each.
    n_way : int
        Classes in a task; guessing gets one in `n_way` right.
    path : path
        The picture to write; its suffix says in which format.
    """
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        axes.plot([record["step"] for record in records], [record[name] for record in records])
        axes.set(xlabel="epoch", ylabel=f"query {name}", ylim=(0, None if name == "loss" else 1))
        axes.grid(alpha=0.3)
    axes.axhline(1 / n_way, linestyle="--", color="grey", label="guessing")
    axes.legend(loc="lower right")
    _save(figure, path)


def draw_task(support, query, path):
    """One task: a row for each class, its support images on the left, its query images on the right.

    Above each image stands the class predicted for it; a wrong one is crossed out and framed in red.

    Parameters
    ----------
    support, query : tuple of ndarray
        Images [image, imgc, imgsz, imgsz] from 0 to 1, labels [image] and predictions [image].
    path : path
        The picture to write.
    """
    n_way = support[1].max() + 1
    support, query = _by_class(*support, n_way), _by_class(*query, n_way)
    k_spt, k_qry = support[0].shape[1], query[0].shape[1]
    figure = Figure(figsize=(0.75 * (k_spt + k_qry) + 1.5, 0.95 * n_way + 0.6), layout="constrained")
    # A narrow empty column divides the two sets.
    axes = figure.subplots(n_way, k_spt + k_qry + 1, squeeze=False, width_ratios=[1] * k_spt + [0.3] + [1] * k_qry)
    for column in (*axes[:, :k_spt].T, *axes[:, k_spt + 1:].T):
        for row in column:
            row.set(xticks=[], yticks=[])
    for gap in axes[:, k_spt]:
        gap.set_axis_off()
    for label in range(n_way):
        axes[label, 0].set_ylabel(f"class {label}", rotation=0, ha="right", va="center")
        _draw_row(axes[label, :k_spt], *(part[label] for part in support), label)
        _draw_row(axes[label, k_spt + 1:], *(part[label] for part in query), label)
    right = (query[1] == np.arange(n_way)[:, None]).sum()
    figure.suptitle(f"support | query, predicted class above each image: {right} of {n_way * k_qry} query images right")
    _save(figure, path)
