"""What larger meta-batches do to accuracy a step: the same training with 32, 64 and 128 tasks, tested on its way.

    python -m benchmarks meta_batches --data_path D [flags of omniglot_train.py]

Trainings are in --output_dir, one folder a size. One that was stopped goes on from its newest checkpoint, one that is
finished is only read. The table goes to the screen and into docs/scaling.md, the figures to meta_batches.json.
"""
from argparse import Namespace
from pathlib import Path

from benchmarks.pages import write_sections
from benchmarks.results import newest, percent
from benchmarks.runs import FOLDER, machine, run_to_end
from mindspore_maml.cli.atomic_files import make_folder, write_json
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.options import TRAIN, Option
from mindspore_maml.cli.program import run_program
from mindspore_maml.training.run_log import FILE_NAME, TEST, read_metrics

ROOT = FOLDER.parent
PAGE, SECTION = ROOT / "docs" / "scaling.md", "meta-batches"
PASSES = 4   # after each quarter of a training: so twice the tasks meet half the steps in one column
OWN = (
    Option("tasks", [32, 64, 128], "numbers of tasks in a batch, each a training", list, low=1, high=4096),
    Option("test_tasks", 640, "tasks of a test pass", int, low=1),
    Option("json", "", "file for the figures; empty: benchmarks/meta_batches.json, and the table into docs/scaling.md"),
)
DEFAULTS = {"epoch": 300, "output_dir": str(ROOT / "results" / "meta_batches")}


def train(tasks: int, options: Namespace) -> list[dict]:
    """Train with that many tasks in a batch, or go on; returns the records of the passes.

    Raises
    ------
    InputError
        Where the training ends with an error.
    """
    folder = make_folder(Path(options.output_dir) / str(tasks), "--output_dir")
    path, done = newest(folder)
    if done < options.epoch:
        start = {"ckpt": path} if path else {"overwrite": True}
        run_to_end("omniglot_train.py", _flags(tasks, options) | {"output_dir": folder} | start, shown=True)
    return [record for record in read_metrics(folder / FILE_NAME) if f"{TEST}accuracy" in record]


def _flags(tasks, options):
    """Of a training: what was given by hand, its size, and passes on as many tasks whatever that is."""
    every = max(1, options.epoch // PASSES)
    given = {name: getattr(options, name) for name in options.given if name not in {option.name for option in OWN}}
    return {"preset": "maml", "epoch": options.epoch, "eval_every": every, "save_every": every,
            "eval_batches": max(1, options.test_tasks // tasks)} | given | {"task_num": tasks}


def table(figures: dict[int, list[dict]]) -> str:
    """A row for each number of tasks: test accuracy after so many steps, and the time of a step."""
    steps = [record["step"] for record in next(iter(figures.values()))]
    lines = ["| tasks in a batch | " + " | ".join(f"step {step}" for step in steps) + " |",
             "| --- " * (1 + len(steps)) + "|"]
    for tasks, records in figures.items():
        accuracies = [percent({"mean": record[f"{TEST}accuracy"], "interval_95": record[f"{TEST}interval_95"]})
                      for record in records]
        lines.append(f"| {tasks} | {' | '.join(accuracies)} |")
    return "\n".join(lines)


def main() -> None:
    options = parse(TRAIN, __doc__, extra=OWN)
    vars(options).update({name: value for name, value in DEFAULTS.items() if name not in options.given})
    figures = {tasks: train(tasks, options) for tasks in options.tasks}
    text = table(figures)
    print(text)
    given = {name: getattr(options, name) for name in sorted(options.given - {"data_path", "output_dir", "json"})}
    write_json(options.json or FOLDER / "meta_batches.json",
               {"machine": machine("mindspore", "numpy"), "flags": {"epoch": options.epoch} | given,
                "passes": figures})
    if not options.json:
        write_sections(PAGE, {SECTION: text})


if __name__ == "__main__":
    run_program(main)
