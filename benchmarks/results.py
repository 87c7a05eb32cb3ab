"""The published results: `run CELL` trains, or goes on; `keep`, `publish` put a network under checkpoints/; `table`.

    python -m benchmarks results run CELL --data_path D [flags of omniglot_train.py]    train, or go on
    python -m benchmarks results keep CELL       the newest checkpoint of an unfinished run, into checkpoints/unfinished
    python -m benchmarks results publish CELL    the best network of a finished run, into checkpoints/
    python -m benchmarks results table --data_path D     evaluate what is in checkpoints/, and write all tables
    python -m benchmarks results table --data_path D --lake all_runs.zip      Lake's runs too, which are looked at once

Runs are in --runs (results/). A run may be stopped at any moment; where there is none of its own, it goes on from what
`keep` left, on another machine too. The cells are in benchmarks/cells.py.
"""
import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

from benchmarks import published
from benchmarks.cells import CELLS, Cell
from benchmarks.common import write_text
from benchmarks.published import CONFIG, METRICS, ROOT
from mindspore_maml.cli.atomic_files import make_folder
from mindspore_maml.cli.command_line import as_arguments
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.presets import as_yaml
from mindspore_maml.cli.program import run_program
from mindspore_maml.cli.run_options import Options
from mindspore_maml.training import checkpoint, saving
from mindspore_maml.training.from_options import weight_shapes
from mindspore_maml.training.head import with_ways
from mindspore_maml.training.run_log import read_metrics

LARGEST_METRICS = 100_000  # bytes
OF_A_MACHINE = ("data_path", "output_dir", "ckpt", "pretrained", "device_target", "device_id", "workers")


def run_cell(cell: Cell, options: argparse.Namespace, more: list[str]) -> None:
    """Train a cell in place of this process, from the newest checkpoint there is."""
    folder = make_folder(options.runs / cell.run, "--runs")
    own, done = published.newest(folder)
    kept, kept_done = published.newest(published.UNFINISHED / cell.run)
    if kept_done > done:
        own, done = folder / kept.name, kept_done   # a run goes on in the folder that its checkpoint is in
        shutil.copyfile(kept.parent / METRICS, folder / METRICS)
        shutil.copyfile(kept, own)
    if done >= cell.flags["epoch"]:
        print(f"{cell.name} is finished: {own}")
        return
    start = {"pretrained": network_of(cell.pretrained, options)} if cell.pretrained and not own else {}
    flags = {"ckpt": own} if own else cell.flags | start | {"overwrite": True}   # where one was killed before it saved
    command = [sys.executable, str(ROOT / "omniglot_train.py"), *as_arguments(flags), "--data_path", options.data_path,
               "--output_dir", str(folder), *more]
    os.execve(sys.executable, command, os.environ | {"PYTHONPATH": str(ROOT)})   # signals reach the training itself


def network_of(name: str, options: argparse.Namespace) -> Path:
    """The published network of a cell that another one's training starts from, or the last checkpoint of its run."""
    path, _ = published.newest(published.CHECKPOINTS / name)
    if path:
        return path
    path, done = published.newest(options.runs / name)
    if done < CELLS[name].flags["epoch"]:
        raise InputError(f"the run {name}, which this one starts from, is at epoch {done}; expected it finished")
    return path


def keep(cell: Cell, options: argparse.Namespace) -> None:
    """Copy the newest checkpoint of a run to checkpoints/unfinished, with its metrics, in place of an older one."""
    path, done = published.newest(options.runs / cell.run)
    if not path:
        raise InputError(f"keep {cell.name}: no checkpoint in {options.runs / cell.run}; expected one of `run`")
    loaded = checkpoint.load(path)
    _put(loaded, loaded.tensors, published.UNFINISHED / cell.run)
    print(f"{cell.run}: epoch {done} of {cell.flags['epoch']} kept in {published.UNFINISHED / cell.run}")


def publish(cell: Cell, options: argparse.Namespace) -> None:
    """Put the best network of a run, by its validation characters, or its last one, into checkpoints/."""
    folder = options.runs / cell.run
    last, done = published.newest(folder)
    best = folder / checkpoint.BEST_NAME
    if done < cell.flags["epoch"]:
        raise InputError(f"publish {cell.name}: {done} of {cell.flags['epoch']} epochs are done; expected a finished "
                         f"run")
    loaded = checkpoint.load(best if best.exists() else last)
    if cell.averaged:
        loaded = _averaged(loaded, checkpoint.load(network_of(cell.pretrained, options)))
    if "n_way" in cell.judged:
        loaded = with_ways(loaded, loaded.options["network"],
                           weight_shapes(Options(**loaded.options | cell.judged)))
    loaded = replace(loaded, options=loaded.options | cell.judged | {"preset": cell.flags["preset"]},
                     episodes=None)
    weights = {name: tensor for name, tensor in loaded.tensors.items()
               if name.startswith((checkpoint.WEIGHT_PREFIX, "rates", "shifts."))}
    if other := _with_the_same_weights(cell, loaded, weights):
        _put_cell(cell, other, published.CHECKPOINTS / cell.name)
    else:
        _put(loaded, weights, published.CHECKPOINTS / cell.name)
    if (published.UNFINISHED / cell.run).exists():
        shutil.rmtree(published.UNFINISHED / cell.run)


def _averaged(loaded, earlier):
    """A checkpoint with the mean of its network's weights and an earlier one's of the same network."""
    means = {name: (tensor + earlier.tensors[name]) / 2 for name, tensor in loaded.tensors.items()
             if name.startswith(checkpoint.WEIGHT_PREFIX)}
    return replace(loaded, tensors=loaded.tensors | means)


def _with_the_same_weights(cell, loaded, weights):
    """The published cell of the same training whose network has these very weights, if any; its folder holds them.

    Its head may have more classes, of which this cell keeps the first.
    """
    shapes = weight_shapes(Options(**loaded.options))
    for other in CELLS.values():
        path, _ = published.newest(published.CHECKPOINTS / other.name)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("run", "keep", "publish", "table"))
    parser.add_argument("cell", nargs="?", choices=CELLS, help="which network; not for table")
    parser.add_argument("--data_path", default="", help="folder with Omniglot; for run and table")
    parser.add_argument("--runs", type=Path, default=ROOT / "results", help="folder of the runs (default results/)")
    parser.add_argument("--views", action="store_true", help="with table: measure by several views of an image too")
    parser.add_argument("--lake", default="", help="with table: Lake's runs, all_runs.zip or a folder of them")
    options, more = parser.parse_known_args()
    if more and options.action != "run":
        raise InputError(f"{more[0]}: unknown; expected no more flags for {options.action}")
    if options.action != "table" and not options.cell:
        raise InputError(f"{options.action}: no cell named; expected one of {', '.join(CELLS)}")
    if options.action in ("run", "table") and not options.data_path:
        raise InputError(f"{options.action}: --data_path is missing; expected a folder with Omniglot in it")
    if options.action == "table":
        published.write_tables(options.data_path, options.views, options.lake)
    elif options.action == "run":
        run_cell(CELLS[options.cell], options, more)
    else:
        {"keep": keep, "publish": publish}[options.action](CELLS[options.cell], options)


if __name__ == "__main__":
    run_program(main)
