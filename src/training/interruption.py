"""Ctrl-C and SIGTERM as a wish to stop: the step at hand is finished first, so that it can be saved."""
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """A context manager; `received` is the signal's number once one came in, else None. A second one stops at once."""

    def __enter__(self):
        self.received = None
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *exception):
        self._restore()

    def _note(self, number, _frame):
        self.received = number
        self._restore()

    def _restore(self):
        for number, handler in self._before.items():
            signal.signal(number, handler)
