"""What a program prints: on the screen and, with --log_file, in a log that the program keeps itself."""
import argparse
import contextlib
import datetime
import os
import shlex
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from mindspore_maml.cli.errors import InputError


class Screen:
    """A text stream that writes to another and to a log, and goes on where the other can no longer be written.

    Where the reader of a pipe is gone, `BrokenPipeError` says so; a full disk behind standard output is no reason to
    lose a run.

    Parameters
    ----------
    stream : file object
        Standard output or standard error.
    log : Log or None
    """

    def __init__(self, stream: Any, log: "Log | None" = None):
        self.stream, self.log, self.lost = stream, log, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def __eq__(self, other: object) -> bool:   # a progress bar on the stream itself must make room for lines
        return self.stream is getattr(other, "stream", getattr(other, "_wrapped", other))   # tqdm wraps its own

    def __hash__(self) -> int:
        return hash(self.stream)

    def write(self, text: str) -> int:
        """As of a file; returns the number of letters."""
        self._attempt(self.stream.write, text)
        if self.log:
            self.log.write(text)
        return len(text)

    def flush(self) -> None:
        """As of a file."""
        self._attempt(self.stream.flush)

    def _attempt(self, method, *arguments):
        if self.lost:
            return
        try:
            method(*arguments)
        except BrokenPipeError:
            raise
        except OSError as error:
            self.lost = True   # first: what follows may come back here
            if self.stream is not sys.__stderr__:
                print(f"standard output cannot be written ({error.strerror}); going on without it", file=sys.stderr)


class Log:
    """A log file that is appended to, under a head with the date and the command.

    Raises
    ------
    InputError
        Where it cannot be written.
    """

    def __init__(self, path: str | Path, command: Sequence[str]):
        self.path = Path(path)
        try:
            if self.path.exists() and not self.path.is_file():
                raise OSError(0, "not a regular file")
            self.file: TextIO | None = self._opened()
        except (OSError, ValueError) as error:
            raise InputError(f"--log_file {path}: cannot write this file "
                             f"({getattr(error, 'strerror', None) or error})") from error
        now = datetime.datetime.now().isoformat(" ", "seconds")
        self.write(f"== {now} {shlex.join(command)}\n")

    def _opened(self):
        return self.path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)

    def write(self, text: str) -> None:
        """Append `text`; a log that was removed is begun anew where that is possible.

        Raises
        ------
        InputError
            Where it cannot be written.
        """
        if not self.file:
            return
        try:
            if not os.fstat(self.file.fileno()).st_nlink:   # it was removed
                self.file.close()
                self.file = self._opened()
            self.file.write(text)
            self.file.flush()
        except OSError as error:
            file, self.file = self.file, None
            with contextlib.suppress(OSError):
                file.close()
            raise InputError(f"--log_file {self.path}: cannot write this file ({error.strerror})") from error


@contextlib.contextmanager
def screens(arguments: list[str]) -> Iterator[None]:
    """Standard output and error as `Screen`, with a log where the command line names one.

    Parameters
    ----------
    arguments : list of str
        The command line, the program's name first. It is read here before all else, for its errors to reach the log.
    """
    path, _ = split_log_file(arguments[1:])
    log = Log(path, [Path(arguments[0]).name, *arguments[1:]]) if path else None
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (Screen(stream, log) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def bare(stream: Any) -> Any:
    """The stream itself, for what belongs on a terminal and in no log: a progress bar."""
    return getattr(stream, "stream", stream)


def has_bar() -> bool:
    """Whether a bar can be shown: on a terminal, and where no pipe brings lines there after it was drawn again."""
    return bare(sys.stderr).isatty() and not stat.S_ISFIFO(os.fstat(1).st_mode)


def split_log_file(arguments: list[str]) -> tuple[str | None, list[str]]:
    """What --log_file names in a command line, None where it is not there or incomplete; and all other arguments."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--log_file", "--log-file", dest="log_file")
    with contextlib.suppress(argparse.ArgumentError, SystemExit):
        found, others = parser.parse_known_args(arguments)
        return found.log_file, others
    return None, arguments
