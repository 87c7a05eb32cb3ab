"""Where a program's picture goes: a file whose name and folder are checked before anything is drawn."""
import contextlib
from collections.abc import Iterator
from pathlib import Path

from mindspore_maml.cli.atomic_files import refuse_unwritable, result_file
from mindspore_maml.cli.errors import InputError

FORMATS = (".png", ".jpg", ".pdf", ".svg")


def checked_path(path: str | Path, flag: str) -> Path:
    """The path of a picture that the flag names; its folder is made where it is missing.

    Raises
    ------
    InputError
        Where its suffix is of no known format, or it cannot be written.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise InputError(f"{flag} {path}: no such kind of picture; expected a name that ends in {', '.join(FORMATS)}")
    refuse_unwritable(path, flag)
    return path


@contextlib.contextmanager
def drawing(path: str | Path, flag: str) -> Iterator[Path]:
    """Yield where to draw to; what keeps the picture from being written is an `InputError` that names it."""
    with result_file(checked_path(path, flag), flag) as temporary:
        yield temporary
