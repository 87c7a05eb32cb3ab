"""Calls one after another in a thread of their own: MindSpore's graphs are not for several threads at once."""
import concurrent.futures
from collections.abc import Callable
from typing import Any


class BusyError(Exception):
    """A call did not end in time."""


class OneThread:
    """Runs whatever it is called with in one thread, in the order of the calls.

    Parameters
    ----------
    longest_wait : float
        Seconds that a caller waits at most, for its turn and for the result.
    """

    def __init__(self, longest_wait: float):
        self.longest_wait = longest_wait
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "mindspore")

    def __call__(self, call: Callable, *arguments: Any) -> Any:
        """What `call` returns or raises.

        Raises
        ------
        BusyError
            Where that took too long; if its turn had not come, it is never run.
        """
        future = self._pool.submit(call, *arguments)
        try:
            return future.result(self.longest_wait)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise BusyError from None

    def later(self, call: Callable, *arguments: Any) -> concurrent.futures.Future:
        """Have it run after all that was called before; nobody waits."""
        return self._pool.submit(call, *arguments)

    def close(self) -> None:
        """Drop what has not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)
