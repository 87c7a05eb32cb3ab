"""The published networks: where they lie, what they are judged by, the tables of results, and their model cards."""
import hashlib
import itertools
import json
import statistics
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.cells import CELLS, FOUR, OWN, Cell
from benchmarks.common import ROOT, run_to_end, write_sections, write_text
from mindspore_maml.cli.atomic_files import write_json
from mindspore_maml.cli.command_line import as_arguments
from mindspore_maml.cli.errors import InputError
from mindspore_maml.data.alphabets import OMNIGLOT
from mindspore_maml.OmniglotIter import OMNIGLOT_CLASSES, OMNIGLOT_TRAIN_CLASSES
from mindspore_maml.training import checkpoint
from mindspore_maml.training.protocols import DRAWERS, PAPER, STRICT
from mindspore_maml.training.run_log import read_metrics

CHECKPOINTS = ROOT / "checkpoints"
UNFINISHED = CHECKPOINTS / "unfinished"
PAGES = ("README.md", "README_CN.md", "docs/accuracy.md")
RESULTS, METRICS, CONFIG, CARD = "results.json", "metrics.jsonl", "config.yaml", "README.md"
WORDS = {STRICT: "strict", PAPER: "papers' protocol"}
TEST_BATCHES = 63          # of 32 tasks: 2,016
VIEWS: dict[str, Any] = {"views": 8, "view_strength": 0.7}   # by alphabets held out of training (docs/accuracy.md)
ONE_VIEW: dict[str, Any] = {"views": 1}
VIEW_BATCHES = {5: 32, 20: 12}   # by ways; each task takes as many times as long
LAKE = "background"        # the network for Lake's challenge, judged by the 20 runs and by new tasks like theirs
LAKE_RESULTS = "lake.json"
LEFT_OUT = ("ckpt", "batches", "answers", "by_alphabet", "by_character", "confused")   # megabytes of single answers
NEW_TASKS: dict[str, Any] = {"protocol": "drawers", "task_num": 8, "workers": 1}
LAKE_BATCHES = {1: 125, VIEWS["views"]: 25}   # by the number of views, which take as many times as long
OTHERS = (("people", "4.5 %", "Lake et al., Science 350, 2015, 1332"), ("BPL", "3.3 %", "the same"))
FIRST_BATCHES = 3          # whose accuracies are kept one by one, for a short evaluation to repeat
# In the papers' protocol, on their shuffled split, in the order of `FOUR`, which has MAML's own: Antoniou et al., 2019,
# table 1, and Park and Oliva, 2019, table 1, both averages of five networks
PAPERS: dict[str, Sequence[str]] = {"MAML++": ("99.47 %", "99.93 %", "97.65 %", "99.33 %"),
                                     "Meta-Curvature": ("99.97 %", "99.89 %", "99.12 %", "99.65 %")}


def newest(folder: str | Path) -> tuple[Any, int]:
    """The checkpoint of the highest epoch in a folder and that epoch, or those of its cell's network, or None and 0."""
    if (cell := Path(folder) / checkpoint.CELL_NAME).is_file():
        return newest(cell.parent / yaml.safe_load(cell.read_text(encoding="utf-8"))["network"])
    found = checkpoint.numbered(folder) if Path(folder).is_dir() else {}
    return (found[max(found)], max(found)) if found else (None, 0)


def write_tables(data_path: str, views: bool, lake_runs: str = "") -> None:
    """Evaluate every published network that was not yet, by several views too or not, and write cards and tables.

    The network for Lake's challenge looks at the runs only where their file or folder is named.
    """
    if lake_runs:
        path, _ = newest(CHECKPOINTS / LAKE)
        if not path:
            raise InputError(f"{CHECKPOINTS / LAKE}: no published network; expected one of `results publish {LAKE}`")
        write_pages({"lake": lake_table(lake_results(path, data_path, lake_runs))})
    for cell in CELLS.values():
        path, _ = newest(CHECKPOINTS / cell.name)
        if path:
            results = evaluated(cell, path, data_path, views)
            write_text(CHECKPOINTS / cell.name / CARD, model_card(cell, path, results))
    write_pages({"results": results_table(CELLS.values()), "main results": main_table(), "seeds": over_seeds(),
                 "unfinished runs": ledger()})


def write_pages(sections: dict[str, str]) -> None:
    """Put sections, whose links are from the top, into the pages that have them."""
    for name in PAGES:
        up = "../" * name.count("/")
        write_sections(ROOT / name, {section: text.replace("](", f"]({up}") for section, text in sections.items()})


def evaluated(cell: Cell, path: Path, data_path: str, views: bool = False) -> dict:
    """The results of a cell by what it is judged by, measured where its results.json has none of this network."""
    folder = CHECKPOINTS / cell.name
    asked = {name: flags | {"data_path": data_path, "ckpt": folder} for name, flags in judgements(cell, views).items()}
    return judged_once(folder / RESULTS, path, asked, _kept)


def judged_once(kept: Path, network: Path, asked: Mapping[str, dict], chosen: Callable[[dict], dict]) -> dict:
    """What eval.py finds, kept in a file: nothing is measured twice for the same network.

    Parameters
    ----------
    kept : Path
        The JSON file, by the names of `asked`, and `sha256` of the network.
    network : Path
        The checkpoint.
    asked : dict of dict
        Flags of eval.py by name.
    chosen : callable
        What is kept of eval.py's results.
    """
    digest = hashlib.sha256(network.read_bytes()).hexdigest()
    known = _results(kept)
    known = known if known.get("sha256") == digest else {"sha256": digest}
    for name, flags in asked.items():
        if name not in known:
            print(f"{kept.parent.name}, {name}:", flush=True)
            known[name] = chosen(evaluate(flags))
            write_json(kept, known)
    return known


def evaluate(flags: dict) -> dict:
    """The results of eval.py."""
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / RESULTS
        run_to_end("eval.py", flags | {"json": out}, shown=True)
        return json.loads(out.read_text(encoding="utf-8"))


def _kept(results):
    names = ("mean", "interval_95", "tasks", "k_qry", "rotate", "update_step_test")
    return {name: results[name] for name in names} | {"first_batches": results["batches"][:FIRST_BATCHES]}


def judgements(cell: Cell, views: bool) -> dict[str, dict]:
    """Flags of eval.py for what a network is judged by, by their names in results.json."""
    found = {protocol: _evaluation_flags(cell, protocol) for protocol in cell.protocols}
    if views and cell.views:
        fewer = VIEWS | {"test_batches": VIEW_BATCHES[cell.judged.get("n_way", cell.setting("n_way"))]}
        found |= {by_views(protocol): flags | fewer for protocol, flags in found.items()}
    return found


def by_views(protocol: str) -> str:
    """What results.json calls a protocol by several views of each image."""
    return f"{protocol}, {VIEWS['views']} views"


def _evaluation_flags(cell, protocol):
    own = {"k_qry": cell.setting("k_qry"), "rotate": cell.setting("rotate")}
    return (own if protocol == OWN else {"protocol": protocol}) | {"test_batches": TEST_BATCHES}


def _results(path):
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def results_table(cells: Iterable[Cell]) -> str:
    """A row for each of these networks that is published: accuracies by protocol, and what its training cost."""
    lines = ["| network | statistics of | strict | papers' protocol | its source's own | published | epochs | tasks "
             "| minutes |", "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for cell in cells:
        path, _ = newest(CHECKPOINTS / cell.name)
        if path and cell.protocols != (DRAWERS,):   # its table is `lake_table`
            results = _results(CHECKPOINTS / cell.name / RESULTS)
            figures = [percent(results[name]) if name in results else "" for name in ("strict", "paper", OWN)]
            epochs, tasks, took = cost(cell)
            lines.append(f"| [{cell.title}](checkpoints/{cell.name}/{CARD}) | {cell.setting('statistics')} | "
                         f"{' | '.join(figures)} | {cell.published} | {epochs} | {tasks} | {took:.0f} |")
    return "\n".join(lines)


def main_table() -> str:
    """A row for each of the four cells that MAML's papers report, beside what these say (docs/accuracy.md)."""
    columns: dict[str, Sequence[str]] = {"task": [title for _, title, _, _ in FOUR]}
    for title, which, protocol in (("strict", "", STRICT), ("papers' protocol", "", PAPER),
                                   ("and their split", "-shuffled", PAPER)):
        for heading, key in ((title, protocol), (f"{title}, {VIEWS['views']} views", by_views(protocol))):
            figures = [_figure(name + which, key) for name, *_ in FOUR]
            if any(figures):
                columns[heading] = figures
    columns |= {"MAML": [figure for _, _, figure, _ in FOUR]} | PAPERS
    lines = [f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in zip(*columns.values()))])


def _figure(name, key):
    """A figure that leads to the card of its network; empty where there is none."""
    results = _results(CHECKPOINTS / name / RESULTS)
    return f"[{percent(results[key])}](checkpoints/{name}/{CARD})" if key in results else ""


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
        means = [100 * _results(CHECKPOINTS / cell.name / RESULTS)[protocol]["mean"] for cell in cells]
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


def lake_results(path: Path, data_path: str, runs: str) -> dict:
    """The results of eval.py on Lake's runs and on new tasks, by number of views and statistics, measured once."""
    asked: dict[str, dict] = {}
    for kind, views, which in itertools.product(("runs", "drawers"), (ONE_VIEW, VIEWS), ("support", "query")):
        tasks = {"runs": runs} if kind == "runs" else NEW_TASKS | {"test_batches": LAKE_BATCHES[views["views"]]}
        asked[f"{kind}, {which}, {views['views']}"] = tasks | views | {
            "statistics": which, "ckpt": path, "data_path": data_path}
    return judged_once(path.parent / LAKE_RESULTS, path, asked, lambda results: {
        name: value for name, value in results.items() if name not in LEFT_OUT})


def lake_table(known: dict) -> str:
    """A row for people and BPL, and for the network by each kind of statistics."""
    several = VIEWS["views"]
    many, fewer = (NEW_TASKS["task_num"] * batches for batches in LAKE_BATCHES.values())
    lines = [f"| who | the 20 runs, 1 view | {several} views | {many} new tasks, 1 view | {fewer}, {several} views |",
             "| --- | --- | --- | --- | --- |",
             *(f"| {who} ({source}) | {figure} | | | |" for who, figure, source in OTHERS)]
    for which in ("support", "query"):
        figures = [error(known[f"{kind}, {which}, {views}"]) for kind in ("runs", "drawers") for views in (1, several)]
        lines.append(f"| [this network](checkpoints/{LAKE}/{CARD}), statistics of the {which} images | "
                     f"{' | '.join(figures)} |")
    return "\n".join(lines)


def error(results: dict) -> str:
    """`3.2 ± 1.1 %`, of a result on the runs or on new tasks."""
    value = results["error"] if "error" in results else 1 - results["mean"]
    return f"{100 * value:.1f} ± {100 * results['interval_95']:.1f} %"


def percent(results: dict) -> str:
    """`97.2 ± 0.3 %`, rounded so that the interval shows."""
    digits = 2 if results["interval_95"] < 0.001 else 1
    return f"{100 * results['mean']:.{digits}f} ± {100 * results['interval_95']:.{digits}f} %"


def model_card(cell: Cell, path: Path, results: dict) -> str:
    """What a published network is, in a few lines."""
    epoch = newest(path.parent)[1]
    judged = [f"- {name}: {percent(found)} ({found['tasks']} tasks, {found['k_qry']} query images a class, "
              f"{'rotated' if found['rotate'] else 'not rotated'}, {found['update_step_test']} inner steps)"
              for name, found in results.items() if name != "sha256"]
    flags = " ".join(as_arguments(_evaluation_flags(cell, cell.protocols[0])))
    n_way, k_spt = (cell.judged.get(name, cell.setting(name)) for name in ("n_way", "k_spt"))
    val_classes = cell.setting("val_classes")
    held_out = f" ({val_classes} of them held out to choose the epoch)" if val_classes else ""
    other_task = {"n_way", "k_spt"} & cell.judged.keys()
    trained = f", trained at {cell.setting('n_way')} ways and {cell.setting('k_spt')} shot" if other_task else ""
    start = f", from the body that the run {cell.pretrained} trained" if cell.pretrained else ""
    averaged = " (its weights are the mean of that run's and this one's)" if cell.averaged else ""
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
        f"{cell.setting('task_num')} tasks{start}{averaged}; this is epoch {epoch}, after "
        f"{minutes(path.parent, epoch):.0f} minutes.",
        f"Repeat: `python eval.py --data_path D --ckpt checkpoints/{cell.name} {flags}`",
        "Licence: Apache 2.0, as the project; Omniglot is under the MIT licence.", ""])
