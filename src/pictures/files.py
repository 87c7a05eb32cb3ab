"""Where a program's results go: files whose names and folders are checked before the work, written all or none."""
import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mindspore_maml.cli.atomic_files import as_csv, as_json, refuse_unwritable, result_file, write_json
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.run_options import Options

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


def refuse_unwritable_results(options: Options, *pictures: str) -> None:
    """Refuse what `write_results` could not write, before the work; `pictures` are the names of such options."""
    for flag in ("json", "csv"):
        refuse_unwritable(getattr(options, flag), f"--{flag}")
    for flag in pictures:
        if getattr(options, flag):
            checked_path(getattr(options, flag), f"--{flag}")


def write_results(options: Options, results: dict, rows: Iterable[Sequence],
                  *pictures: tuple[str, Callable[[Path], object]]) -> None:
    """Write what the options ask for: all of it, or nothing where something goes wrong.

    Parameters
    ----------
    options : Options
        `json`, `csv` and the pictures' own: files, empty where there is to be none.
    results : dict
        What --json holds.
    rows : iterable of list
        Those of --csv.
    pictures : tuple of str and callable
        The name of an option, and what draws its picture to a path.
    """
    with contextlib.ExitStack() as files:
        if options.csv:
            files.enter_context(result_file(options.csv, "--csv")).write_bytes(as_csv(rows))
        for flag, draw in pictures:
            if getattr(options, flag):
                draw(files.enter_context(result_file(getattr(options, flag), f"--{flag}")))
        if options.json not in ("", "-"):
            files.enter_context(result_file(options.json, "--json")).write_text(as_json(results), encoding="utf-8")
    if options.json == "-":
        write_json("-", results)
