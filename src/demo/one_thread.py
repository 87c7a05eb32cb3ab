"""Calls in a queue with an end: callers wait for a bounded time, in bounded numbers; what nobody waits for is dropped.

The network takes one call at a time anyway (`src/devices/turns.py`), but lets any number wait for as long as it takes.
"""
import concurrent.futures
import threading
from collections.abc import Callable
from typing import Any

from mindspore_maml.demo.limits import LONGEST_WAIT, MOST_WAITING


class BusyError(Exception):
    """A call did not end in time, or too many wait already."""


class OneThread:
    """Runs whatever it is called with in one thread, in the order of the calls.

    Parameters
    ----------
    longest_wait : float
        Seconds that a caller waits at most, for its turn and for the result.
    most_waiting : int
        How many callers may wait at a time.
    """

    def __init__(self, longest_wait: float = LONGEST_WAIT, most_waiting: int = MOST_WAITING):
        self.longest_wait = longest_wait
        self._places = threading.BoundedSemaphore(most_waiting)
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "mindspore")

    def __call__(self, call: Callable, *arguments: Any) -> Any:
        """What `call` returns or raises.

        Raises
        ------
        BusyError
            Where that took too long, or too many wait; if its turn had not come, it is never run.
        """
        if not self._places.acquire(blocking=False):
            raise BusyError
        try:
            future = self._pool.submit(call, *arguments)
            return future.result(self.longest_wait)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise BusyError from None
        finally:
            self._places.release()

    def later(self, call: Callable, *arguments: Any) -> concurrent.futures.Future:
        """Have it run after all that was called before; nobody waits."""
        return self._pool.submit(call, *arguments)

    def close(self) -> None:
        """Drop what has not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)
