"""How every program runs: one line and a status for whatever ends it, never a bare traceback."""
import contextlib
import datetime
import gc
import importlib
import importlib.metadata
import os
import platform
import shlex
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from mindspore_maml.cli.atomic_files import remove_temporaries
from mindspore_maml.cli.errors import InputError, one_line
from mindspore_maml.cli.messages import show_messages
from mindspore_maml.cli.screen import screens
from mindspore_maml.cli.signals import StoppedError, StopsByException, discard_output, end_while_importing

BAD_INPUT, UNFORESEEN, READER_GONE = 2, 1, 128 + 13   # the last one is a shell's for a broken pipe
ALL_DONE = "all is done"   # what a rank's log holds from where it has nothing left to do; its launcher reads it


def show_any_text() -> None:
    """Let standard output and error show what their encoding lacks by escapes: a locale may know ASCII alone."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):   # not so where a test or notebook put something else in its place
            stream.reconfigure(errors="backslashreplace")


def run_module(name: str) -> NoReturn:
    """Run `main` of a module as a program; it is imported when signals are seen to, for MindSpore takes seconds."""
    end_while_importing()
    os.environ.setdefault("GLOG_v", "3")   # MindSpore, not imported yet: errors only, no warnings on the screen
    gc.disable()   # what is imported stays: looking through it again and again would take a tenth of a short run
    main = importlib.import_module(name).main
    gc.freeze()
    gc.enable()
    run_program(main)


def run_program(main: Callable[[], int | None]) -> NoReturn:
    """Run `main()` and end the process: with its status, or as what stopped it asks for.

    That is 2 and one line on an `InputError` or a file that cannot be read or written; 128 and the signal's number on
    a signal; quietly where the reader of standard output is gone; 1 and the place of a report on anything unforeseen.
    """
    show_any_text()
    show_messages()
    with StopsByException() as stop:
        try:
            with screens(sys.argv):
                status = _status_of(main, stop)
        except InputError as error:   # of the log, or met while an error was written to it
            status = _say(f"error: {error}", BAD_INPUT)
        except BrokenPipeError:
            status = READER_GONE
        except StoppedError as stopped:
            status = stopped.status
        if status == READER_GONE:
            discard_output()
        if stop.received:
            _leave(stop.received)
        if not status and "MAML_LAUNCHER" in os.environ:
            _say(ALL_DONE, 0)
        sys.exit(status)


def _status_of(main, stop):
    try:
        status = main()
        sys.stdout.flush()   # what cannot be written shall be known while it can be handled
        if stop.received:   # somebody caught what the signal raised, and went on
            return _say("interrupted", stop.received)
    except StoppedError as stopped:
        return _say("interrupted", stopped.status)
    except BrokenPipeError:
        return READER_GONE
    except Exception as error:
        if stop.received:   # MindSpore may make an error of its own of what a signal raised
            return _say("interrupted", stop.received)
        return _say_error(error)
    return status


def _leave(status):
    """End the process without waiting for what other threads, or workers, are still doing: nobody wants it."""
    remove_temporaries()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _say_error(error):
    if isinstance(error, (InputError, OSError)):
        return _say(f"error: {error if isinstance(error, InputError) else _of_a_file(error)}", BAD_INPUT)
    return _say(one_line(f"error: unforeseen {type(error).__name__}: {error}")[:300] +
                f"; its traceback is in {_write_report(error)}", UNFORESEEN)


def _of_a_file(error):
    where = f"{error.filename}: " if error.filename else ""
    return one_line(f"{where}cannot be read or written ({error.strerror or error})")


def _say(line, status):
    print(line, file=sys.stderr)
    return status


def _write_report(error):
    """Write down what is needed to find the cause of an unforeseen error; returns where."""
    now = datetime.datetime.now()
    lines = [f"{now.isoformat(' ', 'seconds')} {shlex.join(sys.argv)}",
             f"Python {platform.python_version()} on {platform.platform()}, {os.cpu_count()} cores",
             *(f"{name} {_version(name)}" for name in ("mindspore", "numpy", "pillow", "scipy", "PyYAML", "matplotlib",
                                                       "tqdm")),
             "", *traceback.format_exception(error)]
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            path = folder / f"error-{now:%Y%m%d-%H%M%S}-{os.getpid()}.txt"
            path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="backslashreplace")
            return path
    return "no file: none could be written"


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "is not installed"
