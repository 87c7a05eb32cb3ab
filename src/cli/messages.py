"""What the library has to say, as log messages; a program shows them as plain lines on standard output."""
import logging
import sys

from tqdm import tqdm

from mindspore_maml.cli.errors import one_line

log = logging.getLogger("mindspore_maml")


class _Lines(logging.Handler):
    """Each message one line of whatever standard output is then, warnings with that word in front.

    Names of files, classes and presets come from anywhere: escapes of a terminal, and lines that they forge, are shown
    as what they are.
    """

    def emit(self, record: logging.LogRecord) -> None:
        text = "warning: " * (record.levelno >= logging.WARNING) + one_line(record.getMessage())
        tqdm.write(text, file=sys.stdout)   # a bar makes room for it
        sys.stdout.flush()


def show_messages() -> None:
    """Show what the library says, from its notes upwards. A program of one's own uses `logging` as it likes instead."""
    if not any(isinstance(handler, _Lines) for handler in log.handlers):
        log.addHandler(_Lines())
    log.setLevel(logging.INFO)
    log.propagate = False
    logging.getLogger("matplotlib").setLevel(logging.ERROR)   # it warns of its caches, and says which weight it takes
