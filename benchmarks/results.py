"""The published results: `run CELL` trains, or goes on; `keep`, `publish` put a network under checkpoints/; `table`.

    python -m benchmarks results run CELL --data_path D [flags of omniglot_train.py]    train, or go on
    python -m benchmarks results keep CELL       the newest checkpoint of an unfinished run, into checkpoints/unfinished
    python -m benchmarks results publish CELL    the best network of a finished run, into checkpoints/
    python -m benchmarks results table --data_path D     evaluate what is in checkpoints/, and write all tables

Runs are in --runs (results/). A run may be stopped at any moment; where there is none of its own, it goes on from what
`keep` left, on another machine too. The cells are in benchmarks/cells.py.
"""
import argparse
import hashlib
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.cells import CELLS, OWN, Cell
from benchmarks.pages import write_sections, write_text
from benchmarks.runs import run_to_end
from mindspore_maml.cli.atomic_files import make_folder, write_json
from mindspore_maml.cli.command_line import as_arguments
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.presets import as_yaml
from mindspore_maml.cli.program import run_program
from mindspore_maml.cli.run_options import Options
from mindspore_maml.data.alphabets import OMNIGLOT
from mindspore_maml.OmniglotIter import OMNIGLOT_CLASSES, OMNIGLOT_TRAIN_CLASSES
from mindspore_maml.training import checkpoint, saving
from mindspore_maml.training.from_options import weight_shapes
from mindspore_maml.training.head import with_ways
from mindspore_maml.training.protocols import DRAWERS, PAPER, STRICT
from mindspore_maml.training.run_log import read_metrics

ROOT = Path(__file__).resolve().parents[1]
CHECKPOINTS = ROOT / "checkpoints"
UNFINISHED = CHECKPOINTS / "unfinished"
PAGES = ("README.md", "README_CN.md", "docs/accuracy.md")
RESULTS, METRICS, CONFIG, CARD = "results.json", "metrics.jsonl", "config.yaml", "README.md"
WORDS = {STRICT: "strict", PAPER: "papers' protocol"}
TEST_BATCHES = 63          # of 32 tasks: 2,016
FIRST_BATCHES = 3          # whose accuracies are kept one by one, for a short evaluation to repeat
LARGEST_METRICS = 100_000  # bytes
# In the papers' protocol, on their shuffled split: Finn et al., 2017, table 1; Antoniou et al., 2019, table 1, and Park
# and Oliva, 2019, table 1, both averages of five networks
PAPERS = {"5way-1shot": ("98.7 %", "99.47 %", "99.97 %"), "5way-5shot": ("99.9 %", "99.93 %", "99.89 %"),
          "20way-1shot": ("95.8 %", "97.65 %", "99.12 %"), "20way-5shot": ("98.9 %", "99.33 %", "99.65 %")}
OF_A_MACHINE = ("data_path", "output_dir", "ckpt", "pretrained", "device_target", "device_id", "workers")


def newest(folder: str | Path) -> tuple[Any, int]:
    """The checkpoint of the highest epoch in a folder and that epoch, or those of its cell's network, or None and 0."""
    if (cell := Path(folder) / checkpoint.CELL_NAME).is_file():
        return newest(cell.parent / yaml.safe_load(cell.read_text(encoding="utf-8"))["network"])
    found = {int(match[1]): path for path in Path(folder).glob("maml-*_1.ckpt")
             if (match := re.fullmatch(r"maml-(\d+)_1\.ckpt", path.name))}
    return (found[max(found)], max(found)) if found else (None, 0)


def run_cell(cell: Cell, options: argparse.Namespace, more: list[str]) -> None:
    """Train a cell in place of this process, from the newest checkpoint there is."""
    folder = make_folder(options.runs / cell.run, "--runs")
    (own, done), (kept, kept_done) = newest(folder), newest(UNFINISHED / cell.run)
    if kept_done > done:
        own, done = folder / kept.name, kept_done   # a run goes on in the folder that its checkpoint is in
        shutil.copyfile(kept.parent / METRICS, folder / METRICS)
        shutil.copyfile(kept, own)
    if done >= cell.flags["epoch"]:
        print(f"{cell.name} is finished: {own}")
        return
    start = {"ckpt": network_of(cell.after, options)} if cell.after and not own else {}
    start |= {"pretrained": network_of(cell.pretrained, options)} if cell.pretrained and not own else {}
    flags = {"ckpt": own} if own else cell.flags | start | {"overwrite": True}   # where one was killed before it saved
    command = [sys.executable, str(ROOT / "omniglot_train.py"), *as_arguments(flags), "--data_path", options.data_path,
               "--output_dir", str(folder), *more]
    os.execve(sys.executable, command, os.environ | {"PYTHONPATH": str(ROOT)})   # signals reach the training itself


def network_of(name: str, options: argparse.Namespace) -> Path:
    """The published network of a cell that another one's training starts from, or the last checkpoint of its run."""
    published, _ = newest(CHECKPOINTS / name)
    if published:
        return published
    path, done = newest(options.runs / name)
    if done < CELLS[name].flags["epoch"]:
        raise InputError(f"the run {name}, which this one starts from, is at epoch {done}; expected it finished")
    return path


def keep(cell: Cell, options: argparse.Namespace) -> None:
    """Copy the newest checkpoint of a run to checkpoints/unfinished, with its metrics, in place of an older one."""
    path, done = newest(options.runs / cell.run)
    if not path:
        raise InputError(f"keep {cell.name}: no checkpoint in {options.runs / cell.run}; expected one of `run`")
    loaded = checkpoint.load(path)
    _put(loaded, loaded.tensors, UNFINISHED / cell.run)
    print(f"{cell.run}: epoch {done} of {cell.flags['epoch']} kept in {UNFINISHED / cell.run}")


def publish(cell: Cell, options: argparse.Namespace) -> None:
    """Put the best network of a run, by its validation characters, or its last one, into checkpoints/."""
    folder = options.runs / cell.run
    last, done = newest(folder)
    best = folder / "maml-best.ckpt"
    if done < cell.flags["epoch"]:
        raise InputError(f"publish {cell.name}: {done} of {cell.flags['epoch']} epochs are done; expected a finished "
                         f"run")
    loaded = checkpoint.load(best if best.exists() else last)
    if "n_way" in cell.judged:
        loaded = with_ways(loaded, loaded.options["network"],
                           weight_shapes(Options(**loaded.options | cell.judged)))
    loaded = replace(loaded, options=loaded.options | cell.judged | {"preset": cell.flags["preset"]},
                     episodes=None)
    weights = {name: tensor for name, tensor in loaded.tensors.items()
               if name.startswith((checkpoint.WEIGHT_PREFIX, "rates", "shifts."))}
    if other := _with_the_same_weights(cell, loaded, weights):
        _put_cell(cell, other, CHECKPOINTS / cell.name)
    else:
        _put(loaded, weights, CHECKPOINTS / cell.name)
    if (UNFINISHED / cell.run).exists():
        shutil.rmtree(UNFINISHED / cell.run)


def _with_the_same_weights(cell, loaded, weights):
    """The published cell of the same training whose network has these very weights, if any; its folder holds them.

    Its head may have more classes, of which this cell keeps the first.
    """
    shapes = weight_shapes(Options(**loaded.options))
    for other in CELLS.values():
        path, _ = newest(CHECKPOINTS / other.name)
        if other is not cell and other.run == cell.run and path and path.parent.name == other.name:
            held = with_ways(checkpoint.load(path), loaded.options["network"], shapes).tensors
            if held.keys() == weights.keys() and all(np.array_equal(held[name], weights[name]) for name in held):
                return other
    return None


def _put_cell(cell, other, folder):
    """A folder that says whose network it judges, and by which options."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    ours, theirs = ({name: one.judged.get(name, one.setting(name)) for name in cell.judged | other.judged}
                    for one in (cell, other))
    settings = {"network": f"../{other.name}"} | {name: ours[name] for name in ours if ours[name] != theirs[name]}
    write_text(folder / checkpoint.CELL_NAME, yaml.safe_dump(settings, sort_keys=False))


def _put(loaded, tensors, folder):
    """A checkpoint of these tensors, its options and thinned metrics in a folder of their own."""
    options = {name: value for name, value in loaded.options.items() if name not in OF_A_MACHINE}
    make_folder(folder.parent, "checkpoints")
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        filled = Path(temporary) / folder.name
        filled.mkdir()
        saving.write(filled / checkpoint.FILE_NAME.format(loaded.epoch), tensors, loaded.epoch, options,
                     loaded.episodes, loaded.run)
        (filled / CONFIG).write_text(as_yaml(Options(**options)), encoding="utf-8")
        (filled / METRICS).write_text(thinned((loaded.path.parent / METRICS), loaded.epoch), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        filled.rename(folder)


def thinned(path: Path, epoch: int) -> str:
    """The text of a metrics file up to an epoch, at most `LARGEST_METRICS` bytes: every pass, fewer other records."""
    records = [record for record in read_metrics(path) if record["step"] <= epoch]
    every = 1
    while True:
        chosen = [record for number, record in enumerate(records)
                  if number % every == 0 or any(key.endswith("_accuracy") for key in record)]
        text = "".join(json.dumps(_rounded(record)) + "\n" for record in chosen)
        if len(text) <= LARGEST_METRICS or every > len(records):
            return text
        every *= 2


def _rounded(value):
    if isinstance(value, dict):
        return {key: item if key == "val_accuracy" else _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def table(options: argparse.Namespace) -> None:
    """Evaluate every published network that was not yet, and write model cards and all tables."""
    for cell in CELLS.values():
        path, _ = newest(CHECKPOINTS / cell.name)
        if path:
            results = evaluated(cell, path, options.data_path)
            write_text(CHECKPOINTS / cell.name / CARD, model_card(cell, path, results))
    sections = {"results": results_table(CELLS.values()), "main results": main_table(),
                "seeds": over_seeds(), "unfinished runs": ledger()}
    for name in PAGES:
        up = "../" * name.count("/")
        write_sections(ROOT / name, {section: text.replace("](", f"]({up}") for section, text in sections.items()})


def evaluated(cell: Cell, path: Path, data_path: str) -> dict:
    """The results of a cell by protocol, measured where its results.json has none of this network."""
    folder, digest = CHECKPOINTS / cell.name, hashlib.sha256(path.read_bytes()).hexdigest()
    known = _results(folder)
    known = known if known.get("sha256") == digest else {"sha256": digest}
    for protocol in cell.protocols:
        if protocol not in known:
            known[protocol] = _evaluate(cell, folder, protocol, data_path)
            write_json(folder / RESULTS, known)
    return known


def _evaluate(cell, folder, protocol, data_path):
    print(f"{cell.name}, {protocol}:", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / RESULTS
        flags = _evaluation_flags(cell, protocol) | {"data_path": data_path, "ckpt": folder, "json": out}
        run_to_end("eval.py", flags, shown=True)
        results = json.loads(out.read_text(encoding="utf-8"))
    names = ("mean", "interval_95", "tasks", "k_qry", "rotate", "update_step_test")
    return {name: results[name] for name in names} | {"first_batches": results["batches"][:FIRST_BATCHES]}


def _evaluation_flags(cell, protocol):
    own = {"k_qry": cell.setting("k_qry"), "rotate": cell.setting("rotate")}
    return (own if protocol == OWN else {"protocol": protocol}) | {"test_batches": TEST_BATCHES}


def _results(folder):
    path = folder / RESULTS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def results_table(cells: Iterable[Cell]) -> str:
    """A row for each of these networks that is published: accuracies by protocol, and what its training cost."""
    lines = ["| network | statistics of | strict | papers' protocol | its source's own | published | epochs | tasks "
             "| minutes |", "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for cell in cells:
        path, _ = newest(CHECKPOINTS / cell.name)
        if path and cell.protocols != (DRAWERS,):   # its table is that of benchmarks/lake.py
            results = _results(CHECKPOINTS / cell.name)
            figures = [percent(results[name]) if name in results else "" for name in ("strict", "paper", OWN)]
            epochs, tasks, took = cost(cell)
            lines.append(f"| [{cell.title}](checkpoints/{cell.name}/{CARD}) | {cell.setting('statistics')} | "
                         f"{' | '.join(figures)} | {cell.published} | {epochs} | {tasks} | {took:.0f} |")
    return "\n".join(lines)


def main_table() -> str:
    """A row for each of the four cells that MAML's papers report, beside what these say (docs/accuracy.md)."""
    lines = ["| task | strict | papers' protocol | and their split | MAML | MAML++ | Meta-Curvature |",
             "| --- " * 7 + "|"]
    for name, published in PAPERS.items():
        shuffled = f"{name}-shuffled"
        results, on_theirs = _results(CHECKPOINTS / name), _results(CHECKPOINTS / shuffled)
        theirs = f"[{percent(on_theirs[PAPER])}](checkpoints/{shuffled}/{CARD})" if on_theirs else ""
        lines.append(f"| [{CELLS[name].title}](checkpoints/{name}/{CARD}) | {percent(results[STRICT])} | "
                     f"{percent(results[PAPER])} | {theirs} | {' | '.join(published)} |")
    return "\n".join(lines)


def cost(cell: Cell) -> tuple[int, int, float]:
    """The epochs, tasks and minutes of a published network's training, without what it starts from."""
    path, epoch = newest(CHECKPOINTS / cell.name)
    return trained_for(path), epoch * cell.setting("task_num"), minutes(path.parent, epoch)


def over_seeds() -> str:
    """A row for each protocol: the networks that differ by their seed alone, their mean and standard deviation."""
    cells = [cell for cell in CELLS.values() if "-seed" in cell.name and (CHECKPOINTS / cell.name / RESULTS).exists()]
    seeds = [cell.setting("seed") for cell in cells]
    lines = ["| protocol | " + " | ".join(f"seed {seed}" for seed in seeds) + " | mean | standard deviation |",
             "| --- " * (len(seeds) + 3) + "|"]
    for protocol in (STRICT, PAPER):
        means = [100 * _results(CHECKPOINTS / cell.name)[protocol]["mean"] for cell in cells]
        if len(means) > 1:
            lines.append(f"| {WORDS[protocol]} | " + " | ".join(f"{mean:.2f} %" for mean in means)
                         + f" | {statistics.mean(means):.2f} % | {statistics.stdev(means):.2f} |")
    return "\n".join(lines)


def trained_for(path: Path) -> int:
    """The epochs of the training that a published network is from, which may be another number than the cell's now."""
    return checkpoint.load(path).options["epoch"]


def ledger() -> str:
    """A row for each unfinished run that is kept, if any: how far it is, what that took, and its latest accuracy."""
    lines = []
    for cell in CELLS.values():
        path, epoch = newest(UNFINISHED / cell.name)
        if path:
            lines.append(f"| `{cell.name}` | {epoch} | {cell.flags['epoch']} | {minutes(path.parent, epoch):.0f} | "
                         f"{_latest_pass(path.parent)} |")
    if not lines:
        return "None is kept now."
    return "\n".join(["| run | epochs done | of | minutes | accuracy on characters not trained on | epoch of that |",
                      "| --- | --- | --- | --- | --- | --- |", *lines])


def _latest_pass(folder):
    for record in reversed(read_metrics(folder / METRICS)):
        for kind, name in (("val", "validation"), ("test", "test")):
            if f"{kind}_accuracy" in record:
                figures = {"mean": record[f"{kind}_accuracy"], "interval_95": record[f"{kind}_interval_95"]}
                return f"{percent(figures)} ({name}) | {record['step']}"
    return "none yet | "


def minutes(folder: Path, epoch: int) -> float:
    """What the epochs up to `epoch` took, as their logged steps say; passes and saving are not counted."""
    records = [record for record in read_metrics(folder / METRICS) if record["step"] <= epoch]
    return epoch * sum(record["milliseconds"] for record in records) / max(1, len(records)) / 60_000


def percent(results: dict) -> str:
    """`97.2 +- 0.3 %`, rounded so that the interval shows."""
    digits = 2 if results["interval_95"] < 0.001 else 1
    return f"{100 * results['mean']:.{digits}f} ± {100 * results['interval_95']:.{digits}f} %"


def model_card(cell: Cell, path: Path, results: dict) -> str:
    """What a published network is, in a few lines."""
    epoch = newest(path.parent)[1]
    judged = [f"- {protocol}: {percent(results[protocol])} ({results[protocol]['tasks']} tasks, "
              f"{results[protocol]['k_qry']} query images a class, "
              f"{'rotated' if results[protocol]['rotate'] else 'not rotated'}, "
              f"{results[protocol]['update_step_test']} inner steps)" for protocol in cell.protocols]
    flags = " ".join(as_arguments(_evaluation_flags(cell, cell.protocols[0])))
    n_way, k_spt = (cell.judged.get(name, cell.setting(name)) for name in ("n_way", "k_spt"))
    val_classes = cell.setting("val_classes")
    held_out = f" ({val_classes} of them held out to choose the epoch)" if val_classes else ""
    other_task = {"n_way", "k_spt"} & cell.judged.keys()
    trained = f", trained at {cell.setting('n_way')} ways and {cell.setting('k_spt')} shot" if other_task else ""
    start = f", from the body that the run {cell.pretrained} trained" if cell.pretrained else ""
    train = cell.setting("n_train_classes") or \
        (OMNIGLOT.background_characters if cell.setting("split") == "background" else OMNIGLOT_TRAIN_CLASSES)
    return "\n".join([
        f"# {cell.title}", "",
        f"MAML for MindSpore, preset `{cell.flags['preset']}`, "
        f"{n_way}-way {k_spt}-shot{trained}; batch normalisation takes statistics of the {cell.setting('statistics')} "
        f"images.", "",
        f"Data: Omniglot (Lake et al., 2015), {cell.setting('split')} split, {train} characters to train on"
        f"{held_out}, {OMNIGLOT_CLASSES - train} to test.", "",
        "Accuracy on test characters, with the 95 % interval over tasks:", "", *judged, "",
        f"Trained: `python -m benchmarks results run {cell.name} --data_path D`, {trained_for(path)} epochs of "
        f"{cell.setting('task_num')} tasks{start}; this is epoch {epoch}, after {minutes(path.parent, epoch):.0f} "
        f"minutes.",
        f"Repeat: `python eval.py --data_path D --ckpt checkpoints/{cell.name} {flags}`",
        "Licence: Apache 2.0, as the project; Omniglot is under the MIT licence.", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("run", "keep", "publish", "table"))
    parser.add_argument("cell", nargs="?", choices=CELLS, help="which network; not for table")
    parser.add_argument("--data_path", default="", help="folder with Omniglot; for run and table")
    parser.add_argument("--runs", type=Path, default=ROOT / "results", help="folder of the runs (default results/)")
    options, more = parser.parse_known_args()
    if more and options.action != "run":
        raise InputError(f"{more[0]}: unknown; expected no more flags for {options.action}")
    if options.action != "table" and not options.cell:
        raise InputError(f"{options.action}: no cell named; expected one of {', '.join(CELLS)}")
    if options.action in ("run", "table") and not options.data_path:
        raise InputError(f"{options.action}: --data_path is missing; expected a folder with Omniglot in it")
    if options.action == "table":
        table(options)
    elif options.action == "run":
        run_cell(CELLS[options.cell], options, more)
    else:
        {"keep": keep, "publish": publish}[options.action](CELLS[options.cell], options)


if __name__ == "__main__":
    run_program(main)
