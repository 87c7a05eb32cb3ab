"""Lake's challenge: the published network on the 20 runs and on tasks like theirs, by one view and by several.

    python -m benchmarks lake --data_path D --runs all_runs.zip    measure once, and write the tables

What was measured is kept beside the network, in lake.json, and is not measured again for the same file: the runs are
looked at once.
"""
import itertools
from pathlib import Path
from typing import Any

from benchmarks.published import CHECKPOINTS, VIEWS, judged_once, newest, write_pages
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import REQUIRED, Option
from mindspore_maml.cli.program import run_program
from mindspore_maml.cli.run_options import Options

NETWORK = CHECKPOINTS / "background"
FIGURES = "lake.json"
LEFT_OUT = ("ckpt", "batches", "answers", "by_alphabet", "by_character", "confused")   # megabytes of single answers
ONE: dict[str, Any] = {"views": 1}
TASKS = 8   # in a batch
DRAWERS: dict[str, Any] = {"protocol": "drawers", "task_num": TASKS, "workers": 1}
BATCHES = {1: 125, VIEWS["views"]: 25}   # by the number of views, which take as many times as long
OTHERS = (("people", "4.5 %", "Lake et al., Science 350, 2015, 1332"), ("BPL", "3.3 %", "the same"))
OPTIONS = (Option("data_path", REQUIRED, "folder with Omniglot"),
           Option("runs", REQUIRED, "Lake's runs: all_runs.zip, or a folder of them"))


def measure(path: Path, options: Options) -> dict:
    """The results of eval.py on the runs and on new tasks, by number of views and statistics."""
    asked: dict[str, dict] = {}
    for kind, views, statistics in itertools.product(("runs", "drawers"), (ONE, VIEWS), ("support", "query")):
        tasks = {"runs": options.runs} if kind == "runs" else DRAWERS | {"test_batches": BATCHES[views["views"]]}
        asked[f"{kind}, {statistics}, {views['views']}"] = tasks | views | {
            "statistics": statistics, "ckpt": path, "data_path": options.data_path}
    return judged_once(path.parent / FIGURES, path, asked, _kept)


def _kept(results):
    return {name: value for name, value in results.items() if name not in LEFT_OUT}


def table(known: dict) -> str:
    """A row for people and BPL, and for the network by each kind of statistics."""
    several = VIEWS["views"]
    many, fewer = TASKS * BATCHES[1], TASKS * BATCHES[several]
    lines = [f"| who | the 20 runs, 1 view | {several} views | {many} new tasks, 1 view | {fewer}, {several} views |",
             "| --- | --- | --- | --- | --- |",
             *(f"| {who} ({source}) | {figure} | | | |" for who, figure, source in OTHERS)]
    for statistics in ("support", "query"):
        figures = [error(known[f"{kind}, {statistics}, {views}"]) for kind in ("runs", "drawers")
                   for views in (1, several)]
        lines.append(f"| [this network](checkpoints/background/README.md), statistics of the {statistics} images | "
                     f"{' | '.join(figures)} |")
    return "\n".join(lines)


def error(results: dict) -> str:
    """`3.2 ± 1.1 %`, of a result on the runs or on new tasks."""
    value = results["error"] if "error" in results else 1 - results["mean"]
    return f"{100 * value:.1f} ± {100 * results['interval_95']:.1f} %"


def main() -> int:
    options = parse("lake", __doc__, extra=OPTIONS)
    path, _ = newest(NETWORK)
    if not path:
        raise InputError(f"{NETWORK}: no published network; expected one of `python -m benchmarks results publish`")
    write_pages({"lake": table(measure(path, options))})
    return 0


if __name__ == "__main__":
    run_program(main)
