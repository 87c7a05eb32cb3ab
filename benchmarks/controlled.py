"""Controlled runs: what one change to the recipe `pooling-20way-4tasks` is worth, on characters held out of training.

    python -m benchmarks controlled run --data_path D     train and judge whatever controlled.json has no result of
    python -m benchmarks controlled draw                  docs/controlled.png, and the table in docs/accuracy-journal.md

Every change is trained for as many tasks as the recipe, once for each seed, and judged on its way by the same tasks.
"""
import argparse
import json
import resource
import statistics
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from benchmarks.common import FOLDER, ROOT, machine, run_to_end, write_sections, write_text
from benchmarks.progress import judge_checkpoints
from mindspore_maml.cli.atomic_files import make_folder, replacing, write_json
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.presets import as_yaml, read_preset
from mindspore_maml.cli.program import run_program
from mindspore_maml.cli.run_options import Options
from mindspore_maml.data_preprocess import load_images
from mindspore_maml.training import checkpoint

RESULTS, PICTURE = FOLDER / "controlled.json", ROOT / "docs" / "controlled.png"
PAGE = ROOT / "docs" / "accuracy-journal.md"
SECTION = "controlled runs"
RECIPE = "pooling-20way-4tasks"
TRAINED, HELD_OUT = 1200, 164                            # characters to train on, and the last of them, five alphabets
EPOCHS, TASKS = 400, 4                                   # of the recipe; another number of tasks has others
PARTS = (0.25, 0.5, 1.0)                                 # of a training, after which it is judged
SEEDS = (1, 2)
JUDGED = {"task_num": 8, "n_way": 20, "k_qry": 5, "seed": 1}
BATCHES = 16
BASE = "recipe"


@dataclass(frozen=True)
class Change:
    """One change to the recipe.

    Attributes
    ----------
    name, title : str
        Names its folder; what its row of the table says.
    group : str
        The panel of the picture that it is drawn in.
    flags : dict
        Of omniglot_train.py.
    layers : dict
        By kind of layer, properties that all layers of it have instead of the recipe's.
    filters : tuple of int
        Of the convolutions, in order; empty: the recipe's.
    turned_classes : bool
        Whether a turned character is a class of its own.
    """

    name: str
    title: str
    group: str
    flags: dict = field(default_factory=dict)
    layers: dict = field(default_factory=dict)
    filters: tuple = ()
    turned_classes: bool = False

    @property
    def epochs(self) -> int:
        """How many give as many tasks as the recipe's."""
        return EPOCHS * TASKS // self.flags.get("task_num", TASKS)

    @property
    def judged_at(self) -> list[int]:
        """The epochs whose checkpoints are judged."""
        return [round(part * self.epochs) for part in PARTS]


BATCH, INNER, ALGORITHM, NETWORK, IMAGES, TOGETHER = ("tasks and query images", "inner steps", "algorithm",
                                                      "network and loss", "training images", "several together")
STEPS = "{} inner steps of {}, in training and judging"
WIDE = (32, 64, 128, 128)
SMALL_STEPS, EQUAL_HEAD = {"task_num": 2, "update_lr": 0.8}, {"linear": {"init_scale": 0}}
CHANGES = {change.name: change for change in (
    Change(BASE, "the recipe", ""),
    Change("k_qry-1", "1 query image a class instead of 3", BATCH, {"k_qry": 1}),
    Change("k_qry-6", "6 query images a class", BATCH, {"k_qry": 6}),
    Change("tasks-2", "2 tasks a step instead of 4", BATCH, {"task_num": 2}),
    Change("tasks-8", "8 tasks a step", BATCH, {"task_num": 8}),
    Change("rate-0.8", "an inner rate of 0.8 instead of 1.6", INNER, {"update_lr": 0.8}),
    Change("rate-0.4", "an inner rate of 0.4", INNER, {"update_lr": 0.4}),
    Change("rate-3.2", "an inner rate of 3.2", INNER, {"update_lr": 3.2}),
    Change("steps-2", STEPS.format("two", "1.6"), INNER, {"update_step": 2}),
    Change("steps-4", STEPS.format("four", "0.8"), INNER, {"update_step": 4, "update_step_test": 4, "update_lr": 0.8}),
    Change("first-order", "first order for the first half", ALGORITHM, {"first_order_epochs": EPOCHS // 2}),
    Change("maml++", "MAML++, two steps, the loss of both for the first fifth", ALGORITHM,
           {"algorithm": "maml++", "update_step": 2, "multi_step_epochs": EPOCHS // 5}),
    Change("meta-sgd", "Meta-SGD", ALGORITHM, {"algorithm": "meta-sgd", "update_step_test": 1}),
    Change("gamma", "gamma in every normalisation", NETWORK, layers={"bn": {"gamma": True}}),
    Change("equal-head", "rows of the head that start equal, at 0", NETWORK, layers=EQUAL_HEAD),
    Change("filters-64", "64 filters in the first convolution instead of 32", NETWORK, filters=(64, 64, 64, 64)),
    Change("filters-128", "128 filters in the last two convolutions instead of 64", NETWORK, filters=WIDE),
    Change("smoothing", "label smoothing of 0.1", NETWORK, {"label_smoothing": 0.1}),
    Change("augment-0", "no affine changes", IMAGES, {"augment": 0}),
    Change("augment-2", "affine changes twice as strong", IMAGES, {"augment": 2}),
    Change("elastic-0.5", "elastic changes of 0.5 besides", IMAGES, {"elastic": 0.5}),
    Change("elastic-1", "elastic changes of 1 besides", IMAGES, {"elastic": 1}),
    Change("turned-classes", "turned characters as classes of their own", IMAGES, {"rotate": False},
           turned_classes=True),
    Change("combined", "2 tasks a step, an inner rate of 0.8, equal rows of the head", TOGETHER, SMALL_STEPS,
           EQUAL_HEAD),
    Change("combined-128", "the same, and 128 filters in the last two convolutions", TOGETHER, SMALL_STEPS,
           EQUAL_HEAD, filters=WIDE),
)}


def changed_preset(change: Change) -> dict:
    """The options and the network of the recipe with this change to its layers."""
    preset = read_preset(RECIPE)
    layers = [layer | change.layers.get(layer["layer"], {}) for layer in preset["network"]]
    convolutions = [layer for layer in layers if layer["layer"] == "conv2d"]
    for layer, filters in zip(convolutions, change.filters):
        layer["filters"] = filters
    return preset | {"network": layers}


def turned(images: np.ndarray) -> np.ndarray:
    """The characters to train on in all four directions, one class each, then those held out and to test on."""
    learned, others = images[:TRAINED - HELD_OUT], images[TRAINED - HELD_OUT:]
    return np.concatenate([*(np.rot90(learned, turns, axes=(-2, -1)) for turns in range(4)), others])


def train(change: Change, seed: int, folder: Path, data_path: str) -> float:
    """Train into `folder`; returns the processor time that took, in minutes."""
    preset = folder.with_suffix(".yaml")
    write_text(preset, as_yaml(Options(**changed_preset(change))))
    flags = {"preset": preset, "epoch": change.epochs, "ema_decay": 0.99, "seed": seed, "val_classes": HELD_OUT,
             "eval_every": change.epochs, "eval_batches": 1, "save_every": change.judged_at[0], "keep": 100,
             "log_every": 50} | change.flags
    if change.turned_classes:
        images = turned(np.asarray(load_images(data_path, 28, 1)))
        data_path = str(make_folder(folder.with_suffix(".data"), "--runs"))
        np.save(Path(data_path) / "omniglot.npy", images)
        flags["n_train_classes"] = 4 * (TRAINED - HELD_OUT) + HELD_OUT
    before = _processor_minutes()
    run_to_end("omniglot_train.py", flags | {"data_path": data_path, "output_dir": folder, "overwrite": True})
    return _processor_minutes() - before


def _processor_minutes():
    """Of all programs started so far that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) / 60


def run(change: Change, seed: int, runs: Path, data_path: str) -> dict:
    """Train and judge; returns `minutes` of processor time and, by epoch, the accuracies of the `curve`."""
    folder = make_folder(runs, "--runs") / f"{change.name}-{seed}"
    minutes = train(change, seed, folder, data_path)
    paths = {epoch: folder / checkpoint.FILE_NAME.format(epoch) for epoch in change.judged_at}
    steps = change.flags.get("update_step_test", read_preset(RECIPE)["update_step_test"])
    flags = JUDGED | {"data_path": data_path, "n_train_classes": TRAINED, "update_step_test": steps}
    found = judge_checkpoints(paths, flags, BATCHES, HELD_OUT)
    return {"minutes": minutes, "curve": {str(epoch): results for epoch, results in found}}


def curve(runs: dict) -> list[tuple[float, float]]:
    """Processor minutes and accuracy, both means over the seeds, at each of `PARTS`."""
    minutes = statistics.mean(found["minutes"] for found in runs.values())
    accuracies = zip(*([judged["mean"] for judged in found["curve"].values()] for found in runs.values()), strict=True)
    return [(part * minutes, statistics.mean(at_part)) for part, at_part in zip(PARTS, accuracies, strict=True)]


def table(results: dict) -> str:
    """A row for each change that was run: accuracy by part of the training, each seed's last one, and its cost."""
    lines = ["| change | after a quarter | half | all | seeds | minutes |", "| --- | --- | --- | --- | --- | --- |"]
    for name, change in CHANGES.items():
        if name in results:
            points = curve(results[name])
            means = [f"{100 * mean:.1f}" for _, mean in points]
            seeds = [f"{100 * list(found['curve'].values())[-1]['mean']:.1f}" for found in results[name].values()]
            lines.append(f"| {change.title} | {' | '.join(means)} | {', '.join(seeds)} | {points[-1][0]:.1f} |")
    return "\n".join(lines)


def draw(results: dict, path: Path) -> None:
    """A panel for each group of changes: accuracy over processor minutes, the recipe's in each."""
    groups = list(dict.fromkeys(change.group for change in CHANGES.values() if change.group))
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey=True).ravel()
    for group, axes in zip(groups, panels):
        axes.set_title(group, fontsize="medium")
        for name in (BASE, *(change.name for change in CHANGES.values() if change.group == group)):
            if name in results:
                axes.plot(*zip(*curve(results[name])), "-o" if name != BASE else "--ok", markersize=3, label=name)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small", loc="lower right")
    for axes in panels[len(groups):]:
        axes.axis("off")
    figure.supxlabel("minutes of processor time")
    figure.supylabel("accuracy on characters held out, 20-way 1-shot")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("run", "draw"))
    parser.add_argument("--data_path", default="", help="folder with Omniglot; for run")
    parser.add_argument("--runs", type=Path, default=ROOT / "results" / "controlled", help="folder of the runs")
    parser.add_argument("--only", choices=CHANGES, nargs="+", default=CHANGES, help="these changes, not all")
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if options.action == "run":
        if not options.data_path:
            raise InputError("run: --data_path is missing; expected a folder with Omniglot in it")
        for seed in SEEDS:
            for name in options.only:
                if str(seed) not in results.get(name, {}):
                    found = run(CHANGES[name], seed, options.runs, options.data_path)
                    results.setdefault(name, {})[str(seed)] = found
                    write_json(RESULTS, results | {"machine": machine("mindspore", "numpy")})
                    print(f"{name}, seed {seed}: {found}", flush=True)
    else:
        draw(results, PICTURE)
        write_sections(PAGE, {SECTION: table(results)})


if __name__ == "__main__":
    run_program(main)
