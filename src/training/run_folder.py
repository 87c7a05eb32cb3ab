"""The folder of a run: it belongs to one run, whose id stands in its files, and one process at a time writes there."""
import contextlib
import datetime
import math
import os
import shutil
import socket
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import mindspore as ms
import yaml

from mindspore_maml.cli.atomic_files import make_folder, replacing
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.locks import HeldError, locked
from mindspore_maml.cli.messages import log
from mindspore_maml.cli.presets import as_yaml
from mindspore_maml.cli.run_options import Options
from mindspore_maml.training.checkpoint import BEST_NAME, Checkpoint, load, numbered
from mindspore_maml.training.continuing import changed_options
from mindspore_maml.training.run_id import new_run_id
from mindspore_maml.training.run_log import CONFIG, begin_metrics, config_of, holds_record, run_of
from mindspore_maml.training.run_log import FILE_NAME as METRICS

LOCK = ".lock"
LEFTOVERS = (".maml-*", ".config-*", ".metrics-*", ".kernels-*", ".profile-*")   # of a run that was killed


@dataclass
class RunFolder:
    """A folder that this process may write a run to.

    Attributes
    ----------
    path : Path
        The folder.
    run : str
        The run's id.
    history : list of dict
        Each start of the run: the epoch it went on from, when, and the options that changed.
    """

    path: Path
    run: str
    history: list = field(default_factory=list)

    def write_config(self, options: Options) -> str:
        """Keep the options of the run, its id and its history beside its checkpoints; returns the options' text."""
        text = as_yaml(options)
        of_the_run = yaml.safe_dump({"run": self.run, "history": self.history}, sort_keys=False, width=200)
        with replacing(self.path / CONFIG) as temporary:
            temporary.write_text(text + of_the_run, encoding="utf-8")
        return text


@contextlib.contextmanager
def claim(options: Options, checkpoint: Checkpoint | None = None, done: int = 0) -> Iterator[RunFolder]:
    """The folder `--output_dir`, for this process alone to write to, as long as the context lasts.

    Parameters
    ----------
    options : Options
        `output_dir`, `overwrite`, and all that is to be recorded.
    checkpoint : Checkpoint, optional
        What the training starts from.
    done : int
        Epochs it goes on behind; 0: a run of its own begins.

    Raises
    ------
    InputError
        Where the folder cannot be written to, holds another run, or another process writes to it.
    """
    path = make_folder(options.output_dir, "--output_dir")
    with contextlib.ExitStack() as locks:
        locks.enter_context(_locked(path))
        run = _run_to_go_on_with(path, checkpoint) if done else None
        if not run and holds_run(path):
            if not options.overwrite:
                raise InputError(_taken(path, checkpoint if done else None))
            aside = _move_aside(path)
            log.info(f"the run that was in {path} is now in {aside}")
            for lock in aside.glob(f"{LOCK}*"):
                lock.unlink()
            locks.close()   # that run may be gone on with while this one trains
            locks.enter_context(_locked(make_folder(path, "--output_dir")))
        _sweep(path)
        yield _begin(path, run, options, checkpoint, done)


def home_of(checkpoint: Checkpoint) -> Path | None:
    """The folder of the run that wrote `checkpoint`; None where the file lies in none, or in another run's."""
    folder = checkpoint.path.parent
    if checkpoint.episodes is None or not (folder / CONFIG).is_file():
        return None
    return folder if run_of(folder) in (None, checkpoint.run) or checkpoint.run is None else None


def holds_run(folder: str | Path) -> bool:
    """Whether there is anything of a run in a folder: a checkpoint, or a reported epoch."""
    metrics = Path(folder) / METRICS
    return bool(numbered(folder)) or (Path(folder) / BEST_NAME).exists() or \
        (metrics.exists() and holds_record(metrics))


def _run_to_go_on_with(path, checkpoint):
    """The id to go on with where `checkpoint` belongs to the run in this folder; None where it does not."""
    here = run_of(path)
    same_place = checkpoint.path.parent.resolve() == path.resolve()
    if here and here == checkpoint.run:
        return here
    if same_place and (here is None or checkpoint.run is None):
        return here or checkpoint.run or new_run_id()   # a run of before they had an id gets one
    return None


def _taken(path, checkpoint):
    choices = [f"--ckpt {path} to go on with it"] if numbered(path) else []
    choices += ["another --output_dir", "--overwrite to move it aside and start"]
    other = f", and {checkpoint} does not belong to it" if checkpoint else ""
    return (f"--output_dir {path}: holds run {run_of(path) or 'without an id'} already{other}; "
            f"expected {', '.join(choices[:-1])} or {choices[-1]}")


@contextlib.contextmanager
def _locked(path):
    now = datetime.datetime.now().isoformat(" ", "seconds")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(path / LOCK, f"process {os.getpid()} on {socket.gethostname()} since {now}"))
        except HeldError as error:
            raise InputError(f"--output_dir {path}: {error} writes to it; expected another folder, or to wait for "
                             f"its end") from error
        except OSError as error:
            raise InputError(f"--output_dir {path}: cannot write there ({error.strerror}); "
                             f"expected a folder to write to") from error
        yield


def _move_aside(path):
    """Give the folder another name; returns it."""
    path = path.resolve()
    aside = _free_name(path.parent / f"{path.name}-old")
    try:
        path.rename(aside)
    except OSError as error:
        raise InputError(f"--overwrite: cannot rename {path} ({error.strerror}); "
                         f"expected another --output_dir") from error
    return aside


def _free_name(path):
    number = 1
    while (name := path.with_name(f"{path.name}-{number}")).exists():
        number += 1
    return name


def _sweep(path):
    """Remove what a killed run left half written: nobody else writes such files while this process holds the lock."""
    for pattern in LEFTOVERS:
        for entry in path.glob(pattern):
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)


def _begin(path, run, options, checkpoint, done):
    """The folder with its record of this start; what it holds of epochs after `done` is put aside."""
    start = {"from_epoch": done, "at": datetime.datetime.now().isoformat(" ", "seconds"), "mindspore": ms.__version__}
    if done:
        start["changed"] = changed_options(options, checkpoint)
    if run:
        _set_later_aside(path, done)
        folder = RunFolder(path, run, [*_history(path), start])
    else:
        for name in (METRICS, CONFIG):
            (path / name).unlink(missing_ok=True)   # of a run that ended before it had anything to keep
        if done:
            start |= {"from_run": checkpoint.run, "from_checkpoint": str(checkpoint.path)}
        folder = RunFolder(path, new_run_id(), [start])
    text = folder.write_config(options)
    begin_metrics(path / METRICS, folder.run, done)
    log.info(f"run {folder.run} in {path}")
    print("options:\n" + textwrap.indent(text, "  "), end="", flush=True)
    return folder


def _set_later_aside(path, done):
    """Move the checkpoints of epochs after `done` to a folder of their own, with the metrics that go with them."""
    later = [entry for epoch, entry in numbered(path).items() if epoch > done]
    if _epoch_of_best(path) > done:
        later.append(path / BEST_NAME)
    if later:
        aside = make_folder(_free_name(path / "set-aside"), "--output_dir")
        if (path / METRICS).exists():
            shutil.copy(path / METRICS, aside)
        for entry in later:
            entry.rename(aside / entry.name)
        log.info(f"what was saved after epoch {done} is now in {aside}")


def _epoch_of_best(path):
    best = path / BEST_NAME
    try:
        return load(best).epoch if best.exists() else 0
    except InputError:
        return math.inf   # damaged: of no use to a run that goes on


def _history(folder):
    history = config_of(folder).get("history")
    return history if isinstance(history, list) else []
