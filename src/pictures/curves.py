"""Curves of trainings: loss and accuracy of one; the accuracies of several, over the epochs and the inner steps."""
import math
import os
import textwrap
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mindspore_maml.cli.atomic_files import replacing
from mindspore_maml.cli.errors import InputError, shown
from mindspore_maml.cli.messages import log
from mindspore_maml.cli.options import BY_NAME
from mindspore_maml.cli.reading import LARGEST_JSON, is_file, parse_json, parse_yaml, read_text
from mindspore_maml.pictures.fonts import use_fonts_that_have_all
from mindspore_maml.training.run_log import ACCURACIES, FILE_NAME, PASSES, read_metrics, run_of

PICTURE = "maml-accs.png"
KINDS = {"": "training"} | {prefix: name.lower() for prefix, name in PASSES.items()}   # by what their keys begin with
STYLES: dict[str, dict[str, Any]] = {"training": {"linewidth": 1.2}, "test": {"linestyle": "--", "marker": "o"},
                                    "validation": {"linestyle": "-.", "marker": "s"}}
EVALUATION_MARKERS = "^vDPX*"
GUESSING: dict[str, Any] = {"linestyle": (0, (1, 3)), "color": "grey"}
MOST_POINTS = 100   # of a curve: more are averaged with their neighbours
MOST_MARKERS = 20
MOST_LETTERS = 60   # in a line of the legend
MOST_EVALUATIONS = 12   # of a run in one picture, the newest; more could not be told apart
MEAN_OF = 10        # records of training whose accuracies by inner step make a curve, each of one batch
PAUSE = 30          # seconds between two drawings in a training
PAUSE_FOR_EACH = 20   # seconds more for each that a drawing takes: of a long run up to a few


@dataclass
class Run:
    """One training.

    Attributes
    ----------
    name : str
        What the legend calls it.
    records : list of dict
        As `read_metrics` returns them.
    n_way : int or None
        Classes in a task; None where the folder does not say.
    evaluations : dict
        Accuracies by inner step of the evaluations whose results lie in the folder, by file name.
    """

    name: str
    records: list
    n_way: int | None = None
    evaluations: dict = field(default_factory=dict)

    def by_epoch(self) -> dict[str, np.ndarray]:
        """Curves over the epochs: by kind, the epochs, the accuracies and half the widths of their intervals."""
        curves = {}
        for prefix, kind in KINDS.items():
            points = [(record["step"], record[f"{prefix}accuracy"], record.get(f"{prefix}interval_95", 0))
                      for record in self.records if f"{prefix}accuracy" in record]
            if points:
                curves[kind] = _thinned(np.array(points).T)
        return curves

    def by_step(self) -> dict[str, Sequence[float]]:
        """Curves over the inner steps, 0 to the last: by kind or name of an evaluation, the accuracies."""
        curves = {}
        for prefix, kind in KINDS.items():
            lists = [record[f"{prefix}accuracies"] for record in self.records if f"{prefix}accuracies" in record]
            # A pass is on the same tasks every time, so the last one tells most.
            lists = [values for values in lists if len(values) == len(lists[-1])][-1 if prefix else -MEAN_OF:]
            if lists:
                curves[kind] = np.mean(lists, axis=0)
        return curves | self.evaluations


def _thinned(points):
    """Points [3, point], neighbours averaged where there are more than `MOST_POINTS`."""
    parts = np.array_split(points, min(MOST_POINTS, points.shape[1]), axis=1)
    return np.stack([part.mean(axis=1) for part in parts], axis=1)


def read_runs(folders: Sequence[str | Path]) -> list[Run]:
    """The trainings whose output folders these are; a folder named twice counts once.

    Raises
    ------
    InputError
        Where a folder holds no metrics.
    """
    folders = list(dict.fromkeys(Path(os.path.realpath(folder)) for folder in folders))
    return [_read_run(folder, _name(folder, folders)) for folder in folders]


def _read_run(folder, name):
    path = folder / FILE_NAME
    if not is_file(path):
        raise InputError(f"{folder}: holds no {FILE_NAME}; expected the output_dir of a training")
    run = run_of(folder)   # refuses a folder with files of several
    records = read_metrics(path)
    if not records:
        raise InputError(f"{path}: holds no record yet; expected at least one")
    found = {file: accuracies for file in sorted(folder.glob("*.json")) if (accuracies := _accuracies_in(file, run))}
    newest = sorted(found, key=_changed)[-MOST_EVALUATIONS:]
    if len(found) > len(newest):
        log.warning(f"{folder}: holds {len(found)} evaluations; the newest {len(newest)} are drawn")
    return Run(name, records, _n_way_in(folder / "config.yaml"),
               {file.name: found[file] for file in sorted(newest)})


def _changed(file):
    """When a file was last written to; long ago where it is gone."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _n_way_in(path):
    """The number of classes in a training's own options; None where they are not to be had."""
    try:
        return BY_NAME["n_way"].convert(parse_yaml(read_text(path, str(path)), str(path))["n_way"], "n_way")
    except (InputError, TypeError, KeyError):
        return None   # only the line of guessing is drawn from it


def _accuracies_in(path, run):
    """The accuracies by inner step that `eval.py --per_step --json` wrote of this run; None in any other file."""
    try:
        results = parse_json(read_text(path, str(path), LARGEST_JSON), str(path))
        accuracies = results["accuracies"]
    except (InputError, TypeError, KeyError):
        return None
    if not ACCURACIES.fits(accuracies):
        return None
    if run and results.get("run") not in (None, run):
        raise InputError(f"{path}: evaluates run {shown(results['run'])}, and this folder is of run {run}; "
                         f"expected the evaluations of one run in its folder")
    return accuracies


def _name(folder, folders):
    """The last part of the path `folder`, or as many of the last as tell it from the other `folders`."""
    for count in range(1, len(folder.parts)):
        if sum(other.parts[-count:] == folder.parts[-count:] for other in folders) == 1:
            return "/".join(folder.parts[-count:])
    return str(folder)


def _as_label(name):
    """`name` as Matplotlib shows it letter by letter: no formula, and not hidden for its first letter."""
    text = name.encode("utf-8", "replace").decode("utf-8").replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def draw_runs(runs: list[Run], path: str | Path) -> Figure:
    """Accuracy over the epochs and, where any run was measured so, over the inner steps.

    Each run has its colour, each kind of measurement its line and marker; bands are 95 % intervals.

    Parameters
    ----------
    runs : list of Run
    path : str or Path
        The picture to write; its suffix says in which format.
    """
    by_epoch, by_step = [run.by_epoch() for run in runs], [run.by_step() for run in runs]
    panels = 2 if any(by_step) else 1
    styles = _styles(dict.fromkeys(kind for curves in by_epoch + by_step for kind in curves))
    figure = Figure(figsize=(6.8 if panels == 1 else 11, 4.2), layout="constrained")
    first, *second = figure.subplots(1, panels, squeeze=False)[0]
    for number, curves in enumerate(by_epoch):
        for kind, (epochs, accuracies, intervals) in curves.items():
            _plot(first, epochs, accuracies, number, styles[kind])
            first.fill_between(epochs, accuracies - intervals, accuracies + intervals, color=_colour(number),
                               alpha=0.15, linewidth=0)
    for axes in second:
        for number, curves in enumerate(by_step):
            for kind, accuracies in curves.items():
                _plot(axes, range(len(accuracies)), accuracies, number, styles[kind])
    for axes, label in zip((first, *second), ("epoch (meta-steps)", "inner steps"), strict=False):
        _frame(axes, label, runs)
    _add_legend(figure, runs, styles)
    return save_figure(figure, path)


def _styles(kinds):
    """Line and marker of every kind; evaluations are told apart by their markers."""
    others = [kind for kind in kinds if kind not in STYLES]
    return {kind: style for kind, style in STYLES.items() if kind in kinds} | {
        kind: {"linestyle": ":", "marker": EVALUATION_MARKERS[number % len(EVALUATION_MARKERS)]}
        for number, kind in enumerate(others)}


def _colour(number):
    return f"C{number % 10}"


def _plot(axes, x, y, number, style):
    alone = {"marker": "."} if len(x) == 1 else {}   # a line of one point does not show
    axes.plot(x, y, color=_colour(number), markersize=4, markevery=-(-len(x) // MOST_MARKERS), **alone | style)


def _frame(axes, label, runs):
    axes.set(xlabel=label, ylabel="accuracy on query images", ylim=(0, 1.02))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.3)
    for n_way in {run.n_way for run in runs} - {None}:
        axes.axhline(1 / n_way, **GUESSING)


def _add_legend(figure, runs, styles):
    """Colours, then kinds of line, below the panels; the figure grows by them."""
    handles = {textwrap.fill(_as_label(run.name), MOST_LETTERS): Line2D([], [], color=_colour(number), linewidth=4)
               for number, run in enumerate(runs)}
    handles |= {_as_label(kind): Line2D([], [], color="black", markersize=4, **style) for kind, style in styles.items()}
    if any(run.n_way for run in runs):
        handles["guessing"] = Line2D([], [], **GUESSING)
    fit = int(10 * figure.get_figwidth() / (max(map(len, handles)) + 8))   # some 10 letters an inch, 8 for the line
    columns = max(1, min(fit, len(handles)))
    figure.set_figheight(figure.get_figheight() + 0.2 * -(-len(handles) // columns))   # inches
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns, fontsize=9,
                  handlelength=3)


def draw_learning_curve(records: list[dict], n_way: int, path: str | Path) -> Figure:
    """Query loss and accuracy over the epochs of a training.

    Parameters
    ----------
    records : list of dict
        `step`, `loss` and `accuracy` of each reported epoch.
    n_way : int
        Classes in a task; guessing gets one in `n_way` right.
    path : str or Path
        The picture to write; its suffix says in which format.
    """
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        known = [record for record in records if name in record]
        axes.plot([record["step"] for record in known], [record[name] for record in known], marker=".")
        axes.set(xlabel="epoch", ylabel=f"query {name}", ylim=(0, None if name == "loss" else 1))
        axes.grid(alpha=0.3)
    axes.axhline(1 / n_way, linestyle="--", color="grey", label="guessing")
    axes.legend(loc="lower right")
    return save_figure(figure, path)


def save_figure(figure: Figure, path: str | Path) -> Figure:
    """Write `figure`, whole or not at all; returns it."""
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")   # a name in letters that no font here has is drawn as boxes
        use_fonts_that_have_all(figure)
        figure.savefig(temporary, dpi=120)
    return figure


class RunPicture:
    """`maml-accs.png` in the folder of a training that goes on.

    Parameters
    ----------
    folder : Path
        The training's output folder.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._next = -math.inf   # when it may be drawn again

    def refresh(self, at_once: bool = False) -> None:
        """Draw what was recorded so far, unless the last time was just now and it need not be `at_once`.

        A picture that cannot be drawn is said to be missing; the training goes on.
        """
        began = time.monotonic()
        if not at_once and began < self._next:
            return
        try:
            draw_runs(read_runs([self._folder]), self._folder / PICTURE)
        except (OSError, InputError) as error:
            log.info(f"{PICTURE} is not drawn: {error}")
        self._next = time.monotonic() + PAUSE + PAUSE_FOR_EACH * (time.monotonic() - began)
