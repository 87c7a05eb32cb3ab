"""Two pictures of a trained MAML: learning_curve.png, and test_task.png with what it makes of one test task.

The curve is drawn from the metrics.jsonl beside the checkpoint. The task is the first that eval.py would draw with
one task in a batch.
"""
if __name__ == "__main__":
    from mindspore_maml.cli.program import run_module
    run_module("mindspore_maml.pictures.task")

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mindspore_maml.cli.atomic_files import make_folder
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.options import EVAL, Option
from mindspore_maml.cli.run_options import Options
from mindspore_maml.data.class_images import Classes, ClassImages
from mindspore_maml.devices import device
from mindspore_maml.meta import Meta
from mindspore_maml.pictures.curves import draw_learning_curve, save_figure
from mindspore_maml.pictures.names import shortened
from mindspore_maml.training import protocols
from mindspore_maml.training.from_options import load_to_test, load_trained, make_episodes, refuse_other_run
from mindspore_maml.training.run_log import FILE_NAME, read_metrics

RIGHT, WRONG = "tab:green", "tab:red"
ROW_HEIGHT = 1.4   # in image heights: the rest holds the predicted class
GAP = 0.7          # in image widths, between support and query
ABOVE = 8          # letters of a class's name that have room above an image


def draw_task(support: tuple, query: tuple, path: str | Path, names: Sequence[str] = ()) -> Figure:
    """One task: a row for each class, its support images on the left, its query images on the right.

    Above each image stands the class predicted for it, in green; a wrong one is red, crossed and framed.

    Parameters
    ----------
    support, query : tuple of ndarray
        Images [image, imgc, imgsz, imgsz], 0 black to 1 white; labels [image]; predictions [image].
    path : str or Path
        The picture to write; its suffix says in which format.
    names : sequence of str
        What the classes are called; by default their numbers.
    """
    n_way = query[1].max() + 1
    k_spt, k_qry = len(support[1]) // n_way, len(query[1]) // n_way
    width = k_spt + GAP + k_qry
    figure = Figure(figsize=(0.7 * width + 1, 0.7 * ROW_HEIGHT * n_way + 0.6), layout="constrained")
    axes = figure.subplots()
    titles = [shortened(name) for name in names] or [f"class {label}" for label in range(n_way)]
    marks = [shortened(name, ABOVE) for name in names] or range(n_way)
    _draw_set(axes, 0, marks, *support)
    _draw_set(axes, k_spt + GAP, marks, *query)
    for label in range(n_way):
        axes.text(-0.2, label * ROW_HEIGHT + 0.5, titles[label], ha="right", va="center")
    axes.set(xlim=(-1.3, width), ylim=(n_way * ROW_HEIGHT - 0.35, -0.8), aspect="equal")
    axes.text(0, -0.5, "support")
    axes.text(k_spt + GAP, -0.5, f"query: {(query[1] == query[2]).sum()} of {len(query[1])} right")
    axes.set_axis_off()
    return save_figure(figure, path)


def _draw_set(axes, left, marks, images, labels, predictions):
    columns = np.zeros_like(labels)
    for label, prediction, image in zip(labels, predictions, images, strict=True):
        x, y = left + columns[label], label * ROW_HEIGHT
        columns[label] += 1
        pixels = np.moveaxis(image, 0, -1) if len(image) == 3 else image.mean(axis=0)
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, extent=(x + 0.05, x + 0.95, y + 0.95, y + 0.05))
        colour, mark, line = (RIGHT, "", 0.5) if prediction == label else (WRONG, " \N{MULTIPLICATION X}", 2)
        axes.text(x + 0.5, y, f"{marks[prediction]}{mark}", color=colour, ha="center", va="bottom", fontsize=8)
        axes.add_patch(Rectangle((x + 0.05, y + 0.05), 0.9, 0.9, fill=False, edgecolor=colour, linewidth=line))


def judge_task(meta: Meta, images: Classes, options: Options) -> tuple[tuple, tuple, Sequence[str]]:
    """One task of `images`, judged by the adapted network; `options.task_num` must be 1.

    Returns
    -------
    support, query : tuple of ndarray
        As `draw_task` takes them.
    names : list of str
        Those of the task's classes, where the images have such.
    """
    episodes = make_episodes(images, options, 1)
    x_spt, y_spt, x_qry, y_qry = next(iter(episodes))

    def judged(x, labels):
        predictions = meta.evaluate(x_spt, y_spt, x, labels)[2].asnumpy()
        white_paper = (x - options.ink) / (options.paper - options.ink)
        return white_paper[0], labels[0], predictions[0]
    names = [images.names[number] for number in episodes.classes(0)[0]] if isinstance(images, ClassImages) else []
    return judged(x_spt, y_spt), judged(x_qry, y_qry), names


def main() -> int:
    options: Any = parse(EVAL, __doc__, extra=[Option("pictures", ".", "folder for the two pictures")])
    device.set_up(options.device_target, options.device_id, options.mode)
    options = options.but(task_num=1)
    meta, checkpoint, options = load_trained(options)
    refuse_other_run(checkpoint)   # the curve comes from the same folder
    folder = make_folder(options.pictures, "--pictures")
    draw_learning_curve(read_metrics(checkpoint.path.parent / FILE_NAME), options.n_way,
                        folder / "learning_curve.png")
    images, *_, options = load_to_test(protocols.applied(options))
    support, query, names = judge_task(meta, images, options)
    draw_task(support, query, folder / "test_task.png", names)
    return 0

