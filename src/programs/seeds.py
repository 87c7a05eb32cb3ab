"""Several seeds: each trains and is evaluated in a folder of its own, one after another, and a table compares them.

Every training and every evaluation is a process of its own. What is done already, in that folder, is not done again.
"""
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from mindspore_maml.cli.atomic_files import make_folder, write_json
from mindspore_maml.cli.command_line import as_arguments
from mindspore_maml.cli.errors import InputError, one_line
from mindspore_maml.cli.reading import LARGEST_JSON, parse_json, read_text
from mindspore_maml.cli.run_options import Options
from mindspore_maml.cli.signals import INTERRUPTED, SIGNALS, Interruption
from mindspore_maml.devices import cluster
from mindspore_maml.training.checkpoint import BEST_NAME, find, load, numbered
from mindspore_maml.training.evaluation import mean_and_interval
from mindspore_maml.training.validation import best_and_since

ROOT = Path(__file__).absolute().parent.parent.parent   # where Python finds the package; of a checkout, its programs
PROGRAMS = {"train": "omniglot_train.py", "evaluate": "eval.py"}
RESULTS, SUMMARY = "results.json", "seeds.json"
EVALUATED_WITH = ("device_target", "device_id", "mode", "workers", "data_path", "log_file", "per_step")
OWN = ("seeds", "ranks")   # of the options of a training, those that are for this module alone
OF_ONE = ("seed", "ckpt", "overwrite", "profile")


def train_seeds(options: Options) -> int:
    """Train and evaluate each of `options.seeds`, as far as that is not done; returns the exit status."""
    refuse_what_is_of_one(options)
    output = make_folder(options.output_dir, "--output_dir")
    folders = {seed: output / f"seed-{seed}" for seed in options.seeds}
    with Interruption() as stop:
        for seed, folder in folders.items():
            if status := train_and_evaluate(seed, folder, options, stop):
                return status
    results = {seed: results_in(folder, options) for seed, folder in folders.items()}
    summary = summarize_seeds(results)
    print(table(summary), flush=True)
    write_json(output / SUMMARY, summary, flag="--output_dir")
    return 0


def refuse_what_is_of_one(options: Options) -> None:
    """Refuse options that say something of a single training, and ranks that somebody else has started."""
    for name in OF_ONE:
        if name in options.given:
            raise InputError(f"--{name} with --seeds, which is for several trainings; expected one of the two")
    if cluster.rank_count() > 1:
        raise InputError("--seeds on a rank; expected --ranks, or a launcher in script/, to start ranks for each seed")
    if options.ranks > 1 and os.environ.get("NODES", "1") != "1":
        raise InputError(f"--seeds with NODES={os.environ['NODES']}; expected one machine")


def train_and_evaluate(seed: int, folder: Path, options: Options, stop: Interruption) -> int:
    """What is left to do for one seed; returns the exit status."""
    given = {name: getattr(options, name) for name in sorted(options.given)}
    if not has_ended(folder, options):
        own = {"seed": seed, "output_dir": folder}
        # Without a checkpoint, what a killed training left is moved aside.
        own |= {"ckpt": folder} if epochs_in(folder) else {"overwrite": True}
        flags = {name: value for name, value in given.items() if name not in OWN} | own
        if status := run("train", flags, options, stop):
            return status
    if results_in(folder, options):
        return 0
    flags = {name: value for name, value in given.items() if name in EVALUATED_WITH}
    return run("evaluate", flags | {"test_batches": options.test_batches, "ckpt": judged_in(folder, options),
                                    "json": folder / RESULTS}, options, stop)


def epochs_in(folder: Path) -> list[int]:
    """The epochs of the checkpoints in a seed's folder."""
    return sorted(numbered(folder)) if folder.is_dir() else []


def has_ended(folder: Path, options: Options) -> bool:
    """Whether a training has come to its last epoch, or --patience has ended it."""
    epochs = epochs_in(folder)
    done = epochs[-1] if epochs else 0
    return done >= options.epoch or bool(done and 0 < options.patience <= best_and_since(folder, done)[1])


def judged_in(folder: Path, options: Options) -> Path:
    """The checkpoint to evaluate: the best on characters held out, where there are such; else the last."""
    best = folder / BEST_NAME
    return best if options.val_classes and best.is_file() else find(folder)


def results_in(folder: Path, options: Options) -> dict | None:
    """What the evaluation of a seed found; None where it is still to be done, or was of another checkpoint."""
    path = folder / RESULTS
    if not path.is_file():
        return None
    results, judged = parse_json(read_text(path, str(path), LARGEST_JSON), str(path)), load(judged_in(folder, options))
    of_it = (results.get("run"), results.get("epoch")) == (judged.run, judged.epoch)
    return results if of_it and len(results["batches"]) == options.test_batches else None


def run(program: str, flags: dict, options: Options, stop: Interruption) -> int:
    """Run a program to its end in a process, or on ranks, of its own; the first signal is handed on to it."""
    arguments = as_arguments(flags)
    start = ["mindspore_maml.commands", program] if options.ranks == 1 else \
        ["mindspore_maml.devices.launch", str(options.ranks), str(ROOT / PROGRAMS[program])]
    print(one_line(f"== {PROGRAMS[program]} {' '.join(arguments)}"), flush=True)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    told = False
    with subprocess.Popen([sys.executable, "-u", "-m", *start, *arguments], env=os.environ | {"PYTHONPATH": path},
                          start_new_session=True,   # a terminal's Ctrl-C reaches it once, from here
                          preexec_fn=_unblock_signals) as child:   # noqa: PLW1509 - it makes one system call
        while (status := _status_of(child)) is None:
            if stop.received and not told:
                child.send_signal(stop.received)
                told = True
    status = status if status >= 0 else INTERRUPTED - status
    return status or (INTERRUPTED + stop.received if stop.received else 0)


def _unblock_signals():
    """What this process blocks, for a thread of its own to answer it, its child would block as well."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _status_of(child):
    try:
        return child.wait(0.2)
    except subprocess.TimeoutExpired:
        return None


def summarize_seeds(results: dict) -> dict:
    """Mean, spread and interval of the evaluations by seed, in values that JSON keeps.

    `spread` is the standard deviation over the seeds. `interval_95` is over the tasks, of each of which the seeds' mean
    accuracy counts: they all were asked the same.
    """
    by_task = np.array([[np.mean(np.equal(task["true"], task["found"])) for task in of_seed["answers"]]
                        for of_seed in results.values()])   # [seed, task]
    means = [of_seed["mean"] for of_seed in results.values()]
    return {"mean": float(np.mean(means)), "spread": float(np.std(means, ddof=1)) if len(means) > 1 else 0.0,
            "interval_95": mean_and_interval(by_task.mean(axis=0))[1], "tasks": by_task.shape[1],
            "seeds": {str(seed): {name: of_seed[name] for name in ("mean", "interval_95", "epoch", "run")}
                      for seed, of_seed in results.items()}}


def table(summary: dict) -> str:
    """A line for each seed, and one for them all."""
    lines = [f"{seed:>10}  {of_seed['epoch']:>7}   {of_seed['mean']:.4f} +- {of_seed['interval_95']:.4f}"
             for seed, of_seed in summary["seeds"].items()]
    return "\n".join([f"{'seed':>10}  {'epoch':>7}   accuracy", *lines,
                      f"mean {summary['mean']:.4f}, spread over {len(lines)} seeds {summary['spread']:.4f} (standard "
                      f"deviation), over {summary['tasks']} tasks +- {summary['interval_95']:.4f} (95 % interval)"])
