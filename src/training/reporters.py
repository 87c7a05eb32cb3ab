"""Reporters: who is told what a training does. Log lines, progress bar, metrics.jsonl and TensorBoard are such."""
import contextlib
import errno
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from mindspore_maml.cli.errors import InputError, one_line
from mindspore_maml.cli.own_code import find_class
from mindspore_maml.cli.run_options import Options
from mindspore_maml.cli.screen import bare, has_bar
from mindspore_maml.training.run_log import FILE_NAME, PASSES, log_lines

Tell = Callable[..., None]   # of the name of a reporter's method, and its arguments


@dataclass(frozen=True)
class Start:
    """What reporters know of a training that starts: its folder, the epochs done before, and all its options."""

    folder: Path
    done: int
    options: Options


class Reporter:
    """Hears of a training. One of your own is a subclass that has those of these methods that it needs.

    Parameters
    ----------
    start : Start
    """

    def __init__(self, start: Start):
        self.start = start

    def compiling(self, what: str) -> None:
        """Something is done for the first time, for which MindSpore compiles graphs."""

    def report(self, record: dict) -> None:
        """An epoch is to be reported: its figures, as `read_metrics` returns them."""

    def advance(self, done: int) -> None:
        """So many epochs are done; called after each."""

    def say(self, line: str) -> None:
        """Something out of the ordinary, for the user to read."""

    def close(self) -> None:
        """The training has ended, well or not."""


@contextlib.contextmanager
def reporting(start: Start) -> Iterator[Tell]:
    """Yield what tells all reporters of a training: `tell("report", record)` calls that method of each."""
    with contextlib.ExitStack() as stack:
        reporters = [stack.enter_context(contextlib.closing(kind(start))) for kind in kinds_for(start.options)]

        def tell(method: str, *arguments: object) -> None:
            for reporter in reporters:
                getattr(reporter, method)(*arguments)
        yield tell


def kinds_for(options: Options) -> list[type[Reporter]]:
    """The reporters that a training's options ask for; the one that keeps the records comes first.

    Raises
    ------
    InputError
        Where one of them is not to be had.
    """
    kinds: list[type[Reporter]] = [Metrics, Lines, Bar]
    if options.tensorboard:
        summary_writer()
        kinds.append(TensorBoard)
    if options.reporter:
        try:
            kinds.append(find_class(options.reporter, Reporter))
        except InputError as error:
            raise InputError(f"--reporter {options.reporter}: {error}") from error
    return kinds


class Metrics(Reporter):
    """Appends to metrics.jsonl: every record is on the disk, whole, before `report` returns.

    So a run that is killed loses nothing that it reported.
    """

    def __init__(self, start: Start):
        super().__init__(start)
        try:
            self.file = (start.folder / FILE_NAME).open("ab", buffering=0)
        except OSError as error:
            raise self._refusal(error) from error

    def _refusal(self, error):
        return InputError(f"--output_dir {self.start.folder}: cannot write {FILE_NAME} there ({error.strerror}); "
                          f"expected a folder to write to")

    def report(self, record: dict) -> None:
        line, file = (json.dumps(record) + "\n").encode(), os.fstat(self.file.fileno())
        if not file.st_nlink:   # removed, perhaps with its folder: what is written would be lost
            raise self._refusal(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
        try:
            if self.file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with contextlib.suppress(OSError):
                self.file.truncate(file.st_size)
            raise self._refusal(error) from error

    def close(self) -> None:
        self.file.close()


class Bar(Reporter):
    """A progress bar on a terminal."""

    def __init__(self, start: Start):
        super().__init__(start)
        self.bar = tqdm(total=start.options.epoch, initial=start.done, unit="epoch", file=bare(sys.stderr),
                        disable=not has_bar())

    def compiling(self, what: str) -> None:
        self.bar.set_postfix_str(f"compiling {what}")

    def advance(self, done: int) -> None:
        self.bar.set_postfix_str("", refresh=False)
        self.bar.update()

    def close(self) -> None:
        self.bar.close()


class Lines(Reporter):
    """Prints the records; without a progress bar, another line says how much is left."""

    def __init__(self, start: Start):
        super().__init__(start)
        options = start.options
        self.display_epoch = options.display_epoch and max(1, options.display_epoch // options.task_num)
        self.first: tuple[int, float] | None = None   # epochs done, and when: after the first one, which compiles
        self.seconds_an_epoch: float | None = None

    def report(self, record: dict) -> None:
        lines = [*log_lines(record, self.display_epoch)]
        if not has_bar():
            lines.append(remaining_line(record["step"], self.start.options.epoch, self.seconds_an_epoch))
        tqdm.write("\n".join(lines), file=sys.stdout)
        sys.stdout.flush()

    def advance(self, done: int) -> None:
        now = time.monotonic()
        if self.first is None:
            self.first = done, now
        else:
            self.seconds_an_epoch = (now - self.first[1]) / (done - self.first[0])

    def say(self, line: str) -> None:
        tqdm.write(one_line(line), file=sys.stderr)


def remaining_line(done: int, total: int, seconds_an_epoch: float | None = None) -> str:
    """How far a run is and, where that is known, the time left: `31 of 20000 epochs, 1 h 12 min left`."""
    line = f"{done} of {total} epochs"
    if seconds_an_epoch is None or done >= total:
        return line
    seconds = round(seconds_an_epoch * (total - done))
    hours, minutes = divmod(round(seconds / 60), 60)
    left = f"{hours} h {minutes} min" if hours else f"{minutes} min" if seconds > 90 else f"{seconds} s"
    return f"{line}, {left} left"


class TensorBoard(Reporter):
    """Writes each number of the records as a scalar, such as `training/loss` or `validation/accuracy`."""

    def __init__(self, start: Start):
        super().__init__(start)
        # What an earlier start wrote of epochs that are now done again, TensorBoard leaves out. Its files are named by
        # the second in which they were begun.
        self.writer = summary_writer()(str(start.folder / "tensorboard"), purge_step=start.done + 1,
                                       filename_suffix=f".from-{start.done}")

    def report(self, record: dict) -> None:
        for name, value in record.items():
            if name != "step" and not isinstance(value, list):
                prefix = next((prefix for prefix in PASSES if name.startswith(prefix)), "")
                kind = PASSES[prefix].lower() if prefix else "training"
                self.writer.add_scalar(f"{kind}/{name.removeprefix(prefix)}", value, record["step"])
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


def summary_writer() -> Callable:
    """The class that writes TensorBoard's files.

    Raises
    ------
    InputError
        Where its package is not installed.
    """
    try:
        from tensorboardX import SummaryWriter  # noqa: PLC0415 - of an extra
    except ImportError as error:
        raise InputError("--tensorboard: tensorboardX is not installed; expected the extra [tensorboard]: "
                         "python -m pip install 'mindspore-maml[tensorboard]', in a checkout "
                         "'.[tensorboard]'") from error
    return SummaryWriter
