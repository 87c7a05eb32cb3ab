"""Signals that ask a program to stop: at once while it imports, by an exception later, as a wish while it trains.

A thread waits for them, and they are blocked in all others: MindSpore has a handler of its own while it compiles or
runs a graph, which makes a SIGTERM of every SIGINT, and the interpreter's own would wait for the graph's end.
"""
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from mindspore_maml.cli.atomic_files import remove_temporaries

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 128   # a shell's exit status for a signal, to which its number is added
TOGETHER = 0.1      # seconds; signals closer together are one press, which reached this process on two ways
MOST_PRESSES = 2    # that are one wish
TO_ANSWER = 8       # seconds that a program has to end after a signal, whatever it is doing then
NUDGE = signal.SIGUSR1   # what the waiting thread wakes the main one by


class StoppedError(BaseException):
    """A signal asked the program to stop; `status` is what it shall end with. No `except Exception` catches it."""

    def __init__(self, status: int):
        super().__init__(status)
        self.status = status


def end_at_once(number: int, _frame: object = None) -> None:
    """End this process with the signal's status and leave no temporary file, whatever it is doing."""
    remove_temporaries()
    os._exit(INTERRUPTED + number)


def end_unless_answered(number: int, is_saving: Callable[[], bool] = lambda: False) -> None:
    """End this process `TO_ANSWER` seconds from now, where it has not ended by itself, and leave nothing behind.

    The main thread may be in native code, or in a system call that starts again by itself, and not come back.

    Parameters
    ----------
    number : int
        The signal.
    is_saving : callable
        Whether something is being done that would be lost; the seconds count from when that is over.
    """
    threading.Thread(target=_end_in_time, args=(number, is_saving), name="end", daemon=True).start()


def _end_in_time(number, is_saving):
    deadline = time.monotonic() + TO_ANSWER
    while time.monotonic() < deadline:
        time.sleep(TOGETHER)
        if is_saving():
            deadline = time.monotonic() + TO_ANSWER
    os.write(2, b"interrupted\n")
    end_at_once(number)


class _Waiting:
    """The thread that waits for the signals, and whom it tells."""

    answer: Callable | None = None   # called with a signal's number; None: there is no such thread

    @classmethod
    def start(cls, answer: Callable) -> None:
        """Block the signals in this thread, and so in all that it will start, and wait for them in another."""
        cls.answer = answer
        signals = answered()
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        threading.Thread(target=cls._wait, args=(signals,), name="signals", daemon=True).start()

    @classmethod
    def _wait(cls, signals: list[signal.Signals]) -> None:
        while True:
            number = signal.sigwait(signals)
            if cls.answer:   # looked up only now: it changes while this thread waits
                cls.answer(number)


def end_while_importing() -> None:
    """Call this first in a program: until `run_program` takes over, a signal ends the process at once and quietly.

    A KeyboardInterrupt while MindSpore is imported ends in a fatal error of the interpreter.
    """
    _Waiting.start(end_at_once)


class StopsByException:
    """A context manager: a signal raises `StoppedError`, so that all is closed; `received` is its status, or 0."""

    def __init__(self):
        self.received = 0

    def __enter__(self) -> "StopsByException":
        self._nudged = signal.signal(NUDGE, self._raise)
        self._before = _handle(self._stop)
        return self

    def __exit__(self, *exception: object) -> None:
        _restore(self._before)
        signal.signal(NUDGE, self._nudged)

    def _stop(self, number, _frame=None):
        if self.received:
            end_at_once(number)
        self.received = INTERRUPTED + number
        end_unless_answered(number)
        signal.pthread_kill(threading.main_thread().ident or 0, NUDGE)

    def _raise(self, _number, frame):
        if not self.received:   # sent from outside, and not for the waiting thread
            return
        if _compiles(frame):   # MindSpore would show the exception as an error in the network, and write a file of it
            print("interrupted", file=sys.stderr, flush=True)
            sys.stdout.flush()
            end_at_once(self.received - INTERRUPTED)
        raise StoppedError(self.received)


def _compiles(frame: FrameType | None) -> bool:
    """Whether MindSpore called what runs there, to compile a graph."""
    while frame:
        if frame.f_code.co_name == "compile" and str(frame.f_globals.get("__name__")).startswith("mindspore."):
            return True
        frame = frame.f_back
    return False


class Interruption:
    """A context manager: a signal is a wish to stop, to be granted when the step at hand is done and saved.

    Pressed twice, Ctrl-C is one wish; a third time it ends the process at once. So does a step that takes long, where
    nothing would be lost.

    Parameters
    ----------
    is_unsaved : callable
        Whether steps are done that are not saved.

    Attributes
    ----------
    received : int or None
        The number of the first signal that came.
    """

    def __init__(self, is_unsaved: Callable[[], bool] = lambda: True):
        self.received: int | None = None
        self._presses, self._last = 0, -TOGETHER
        self._is_unsaved, self._is_left = is_unsaved, False

    def __enter__(self) -> "Interruption":
        self._before = _handle(self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_left = True
        _restore(self._before)

    def _note(self, number, _frame=None):
        now = time.monotonic()
        self._presses += now - self._last >= TOGETHER
        self._last = now
        if self._presses > MOST_PRESSES:
            end_at_once(number)
        if not self.received and _Waiting.answer:   # a program, and not a library in another one
            end_unless_answered(number, lambda: not self._is_left and self._is_unsaved())
        self.received = self.received or number


def answered() -> list[signal.Signals]:
    """The signals to answer: under nohup, a hangup stays ignored."""
    return [number for number in SIGNALS
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]


def _handle(handler):
    """Let `handler` answer the signals, in the waiting thread where there is one; returns what did before."""
    if _Waiting.answer:
        before, _Waiting.answer = _Waiting.answer, handler
        return before
    return {number: signal.signal(number, handler) for number in answered()}


def _restore(before):
    if not isinstance(before, dict):
        _Waiting.answer = before
        return
    for number, handler in before.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)


def discard_output() -> None:
    """Let nothing more reach standard output, whose reader is gone, not even what is flushed at the end."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.close(sink)
