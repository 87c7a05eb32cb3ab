"""What a training has learned by when: checkpoints judged on test characters, as a picture and a table of minutes.

    python -m benchmarks progress judge --data_path D      the checkpoints in --runs that progress.json has no result of
    python -m benchmarks progress time --data_path D       a step of the same trainings, ours and PyTorch's, in turn
    python -m benchmarks progress draw                     docs/progress.png, and the table in docs/accuracy.md

A training to be judged keeps all its checkpoints: `python -m benchmarks results run CELL --data_path D --keep 100`.
"""
import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from benchmarks.cells import CELLS
from benchmarks.common import FOLDER, ROOT, machine, run_to_end, write_sections
from benchmarks.published import WORDS, percent
from mindspore_maml.cli.atomic_files import replacing, write_json
from mindspore_maml.cli.command_line import as_arguments, parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import EVAL
from mindspore_maml.cli.program import run_program
from mindspore_maml.devices import device
from mindspore_maml.training import checkpoint, protocols
from mindspore_maml.training.evaluation import evaluate_batches, mean_and_interval
from mindspore_maml.training.from_options import load_split, load_trained, make_episodes, weight_shapes
from mindspore_maml.training.head import with_ways
from mindspore_maml.training.protocols import PAPER, STRICT
from mindspore_maml.training.run_log import read_metrics

RESULTS, PICTURE, PAGE = FOLDER / "progress.json", ROOT / "docs" / "progress.png", ROOT / "docs" / "accuracy.md"
SECTION = "time to accuracy"
RUN = "20way-1shot-short"   # whose checkpoints are judged
CURVES: dict[str, dict[str, Any]] = {   # by cell, the tasks and the inner loop that the checkpoints are judged by
    "5way-1shot": {"n_way": 5, "k_spt": 1, "update_lr": 0.2, "update_step_test": 2},
    "5way-5shot": {"n_way": 5, "k_spt": 5, "update_lr": 0.1, "update_step_test": 5},
    "20way-1shot": {"n_way": 20, "k_spt": 1, "update_lr": 0.4, "update_step_test": 4},
    "20way-5shot": {"n_way": 20, "k_spt": 5, "update_lr": 0.2, "update_step_test": 5}}
EPOCHS = (50, 100, 250, 500, 1000, 2000, 4000)
GOALS = ((STRICT, 0.90), (STRICT, 0.95), (STRICT, 0.97), (PAPER, 0.987))
TIMED = "5way-1shot"   # the cell whose goals these are, and that is judged by both protocols
TASKS = {5: 32, 20: 16}   # in a batch, by ways
BATCHES = {5: 15, 20: 5}
OURS, PEER = "omniglot_train.py", "benchmarks/torch_training.py"
TIMED_EPOCHS = {OURS: 60, PEER: 12}   # MindSpore tunes its threads in the first 15


def judge(name: str, protocol: str, options: argparse.Namespace, results: dict) -> None:
    """Add to `results` the accuracy of each checkpoint in the run's folder at `EPOCHS`, by epoch, and keep them."""
    known = results.setdefault(name, {}).setdefault(protocol, {})
    folder = options.runs / RUN
    paths = {epoch: folder / checkpoint.FILE_NAME.format(epoch) for epoch in EPOCHS if str(epoch) not in known}
    paths = {epoch: path for epoch, path in paths.items() if path.exists()}
    n_way = CURVES[name]["n_way"]
    flags = CURVES[name] | {"data_path": options.data_path, "protocol": protocol, "task_num": TASKS[n_way]}
    for epoch, found in judge_checkpoints(paths, flags, BATCHES[n_way]):
        known[str(epoch)] = found
        write_json(RESULTS, results)
        print(f"{name}, {protocol}, epoch {epoch}: {percent(found)}", flush=True)


def judge_checkpoints(paths: Mapping[int, Path], flags: dict, batches: int,
                      held_out: int = 0) -> Iterator[tuple[int, dict]]:
    """The accuracy of every checkpoint, on test characters, or on the last `held_out` of those to train on.

    Parameters
    ----------
    paths : dict
        The checkpoints, by epoch.
    flags : dict
        Of eval.py.
    batches : int
        How many batches of tasks each is judged by.
    held_out : int
        0: test characters.

    Yields
    ------
    epoch : int
    results : dict
        `mean` and `interval_95`.
    """
    meta = None
    for epoch, path in paths.items():
        if meta is None:   # it compiles for the first, and takes the weights of the others
            options = parse(EVAL, "", as_arguments(flags | {"ckpt": path}))
            device.set_up_for(options)
            meta, _, options = load_trained(options)
            learned, test, options = load_split(protocols.applied(options))
            episodes = make_episodes(learned[-held_out:] if held_out else test, options, batches)
        loaded = checkpoint.load(path)
        with_ways(loaded, loaded.options["network"], weight_shapes(options)).put_into(meta)
        accuracies = evaluate_batches(meta, episodes, options.update_step_test)[1][:, -1]
        mean, interval = mean_and_interval(accuracies)
        yield epoch, {"mean": mean, "interval_95": interval}


def step_ms(program: str, data_path: str) -> float:
    """The median time of a step of the training, in milliseconds, the second half of `TIMED_EPOCHS` counting."""
    epochs = TIMED_EPOCHS[program]
    flags = {name: value for name, value in CELLS[RUN].flags.items() if not name.startswith(("val_", "eval_"))}
    with tempfile.TemporaryDirectory() as folder:
        run_to_end(program, flags | {"epoch": epochs, "log_every": 1, "data_path": data_path, "output_dir": folder})
        records = read_metrics(Path(folder) / "metrics.jsonl")
    return statistics.median(record["milliseconds"] for record in records[epochs // 2:])


def time_steps(results: dict, options: argparse.Namespace) -> None:
    """Time a step of the training in both programs, in turn, `--rounds` times; the medians go into `results`."""
    rounds: dict[str, list] = {OURS: [], PEER: []}
    for _ in range(options.rounds):
        for program, measured in rounds.items():
            measured.append(round(step_ms(program, options.data_path), 1))
    results["step_ms"] = {program: statistics.median(measured) for program, measured in rounds.items()}
    results |= {"step_ms_rounds": rounds, "machine": machine("mindspore", "torch", "numpy")}


def table(results: dict) -> str:
    """A row for each goal: the first checkpoint that has it, and the minutes until then, here and in PyTorch."""
    lines = ["| 5-way 1-shot | epochs | minutes on two cores | the same training in PyTorch |",
             "| --- | --- | --- | --- |"]
    step = results["step_ms"]
    for protocol, goal in GOALS:
        epochs = [int(epoch) for epoch, found in results[TIMED][protocol].items() if found["mean"] >= goal]
        reached = f"| {100 * goal:g} %, {WORDS[protocol]} | "
        if not epochs:
            lines.append(reached + "not reached | | |")
            continue
        here, there = (min(epochs) * step[program] / 60_000 for program in (OURS, PEER))
        lines.append(reached + f"{min(epochs)} | {here:.1f} | {there:.1f} |")
    return "\n".join(lines)


def draw(results: dict, path: Path) -> None:
    """The four curves over minutes, logarithmic in what is still wrong."""
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for number, name in enumerate(CURVES):
        for protocol, judged in results[name].items():
            points = sorted((int(epoch), found["mean"]) for epoch, found in judged.items())
            minutes = [epoch * results["step_ms"][OURS] / 60_000 for epoch, _ in points]
            axes.plot(minutes, [mean for _, mean in points], "-o" if protocol == STRICT else ":s", color=f"C{number}",
                      markersize=4, label=f"{CELLS[name].title}, {WORDS[protocol]}")
    axes.set(xlabel="minutes of training on two cores", ylabel="accuracy on test characters", yscale="logit",
             ylim=(0.7, 0.999), yticks=[0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999])
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("judge", "time", "draw"))
    parser.add_argument("--data_path", default="", help="folder with Omniglot; for judge and time")
    parser.add_argument("--runs", type=Path, default=ROOT / "results", help="folder of the runs (default results/)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side is timed (default 3)")
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if options.action != "draw" and not options.data_path:
        raise InputError(f"{options.action}: --data_path is missing; expected a folder with Omniglot in it")
    if options.action == "judge":
        for name in CURVES:
            for protocol in (STRICT, PAPER) if name == TIMED else (STRICT,):
                judge(name, protocol, options, results)
    elif options.action == "time":
        time_steps(results, options)
        write_json(RESULTS, results)
    else:
        draw(results, PICTURE)
        write_sections(PAGE, {SECTION: table(results)})


if __name__ == "__main__":
    run_program(main)
