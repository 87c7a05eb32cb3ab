"""MindSpore's graphs are for one thread at a time, and for no process forked after one has run: both are seen to here.

Called from two threads at once they end the process with SIGSEGV, and in such a fork they never end (MindSpore 2.10).
"""
import contextlib
import os
import threading
from collections.abc import Iterator
from types import SimpleNamespace

_state = SimpleNamespace(lock=threading.RLock(), used=False, lost=False)


class ForkedError(RuntimeError):
    """This process is a fork of one whose graphs had run; MindSpore cannot run another one here."""


@contextlib.contextmanager
def taking_turns() -> Iterator[None]:
    """Run graphs inside: other threads wait for their turn; the same thread may enter again.

    Raises
    ------
    ForkedError
        In a process forked after graphs had run.
    """
    if _state.lost:
        raise ForkedError("this process was forked after a network had run in the other one, which MindSpore does not "
                          "survive; expected a new process: multiprocessing.get_context('spawn'), or joblib's loky")
    with _state.lock:
        _state.used = True
        yield


def _in_a_fork():
    """Its lock may be held by a thread that stayed behind."""
    _state.lock, _state.lost = threading.RLock(), _state.used


os.register_at_fork(after_in_child=_in_a_fork)
