"""Files that are never half written: a temporary neighbour first, then a rename. Only regular files are replaced."""
import contextlib
import csv
import datetime
import errno
import glob
import io
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.locks import held, is_free

FORMULAS = ("=", "+", "-", "@")   # what they begin with
PLAIN_LIST, LINE_BREAK = re.compile(r"\[[^][{}]*\]"), re.compile(r"\n *")
SOME = 4096   # bytes; a disk that has no more room than that is full
_temporaries: set[Path] = set()   # of this process, to be removed where it ends in the middle


def make_folder(path: str | Path, flag: str) -> Path:
    """Create the folder `path` named by `flag` where it is missing; return it as a `Path`."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{flag} {path}: cannot make this folder ({getattr(error, 'strerror', None) or error}); "
                         f"expected a folder to write to") from error
    return path


def own_folder(parent: Path) -> Path:
    """A new folder in `parent` that nobody else has, named by the date, the time and a random part."""
    folder = parent / f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    try:
        folder.mkdir()
    except OSError as error:
        raise InputError(f"{folder}: cannot make this folder ({error.strerror}); expected one to write to") from error
    return folder


def refuse_unwritable(path: str | Path, flag: str) -> None:
    """Refuse, before the work, a file of a flag that could not be written after it.

    Its folder is made where it is missing. Nothing is refused where `path` is empty, or "-" for standard output.

    Raises
    ------
    InputError
        Where it is a folder, or what is written cannot go there.
    """
    if str(path) in ("", "-"):
        return
    path = Path(path)
    make_folder(path.parent, flag)
    try:
        if not _is_written_through(path):
            with tempfile.TemporaryFile(dir=Path(os.path.realpath(path)).parent) as file:   # without a name
                file.write(bytes(SOME))
            return
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (OSError, ValueError) as error:
        raise _not_written(path, flag, error) from error


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the name `path`, on failure it is removed.

    The temporary name keeps the suffix of `path`, since writers such as Pillow choose the format by it. A symbolic
    link is followed; to a device or a pipe the finished content is written.

    Raises
    ------
    OSError
        Naming `path`, where it cannot be written, is a folder, or is a pipe that nobody reads.
    """
    path = Path(path)
    try:
        if _is_written_through(path):
            with tempfile.TemporaryDirectory() as folder:
                temporary = Path(folder) / f"content{path.suffix}"
                temporary.touch()
                yield temporary
                _pass_on(temporary, path)
            return
        target = Path(os.path.realpath(path))
        _sweep(target)
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent)
        with _ours(Path(name), handle) as temporary:
            temporary.chmod(mode)   # mkstemp makes files that only their owner reads
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())   # the content reaches the disk before its name does
            os.replace(temporary, target)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _is_written_through(path):
    """Whether `path` is something that must not be replaced by a file, and can be written to."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "a folder; expected a file", str(path))
    parent = os.path.realpath(path.parent)
    return (path.exists() and not path.is_file()) or parent in ("/dev", "/dev/fd") or parent.startswith("/proc/")


def _pass_on(source, path):
    """Write the content of `source` to a device or a pipe; never waits for a reader that is not there."""
    with open(os.open(path, os.O_WRONLY | os.O_NONBLOCK), "wb") as file:
        os.set_blocking(file.fileno(), True)
        file.write(source.read_bytes())


@contextlib.contextmanager
def _ours(temporary, handle):
    """A temporary file or folder, open as `handle`; removed in the end where it is still there."""
    _temporaries.add(temporary)
    try:
        with held(handle):   # as long as it is, no other process sweeps it away
            yield temporary
    finally:
        _remove(temporary)
        _temporaries.discard(temporary)


def _sweep(target):
    """Remove what processes that were killed left of earlier attempts to write `target`, a file or a folder."""
    pattern = f".{glob.escape(target.stem)}-????????{glob.escape(target.suffix)}"
    for entry in target.parent.glob(pattern):
        if is_free(entry):
            _remove(entry)


def _remove(entry):
    if entry.is_dir():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            entry.unlink()


def remove_temporaries() -> None:
    """Remove the temporary files and folders of this process, which is about to end."""
    for entry in list(_temporaries):
        _remove(entry)


@contextlib.contextmanager
def filling(folder: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `folder`; on success it takes that name, on failure it is removed.

    Where that name is taken, perhaps by another process that was faster, the entries `folder` lacks are moved into it.
    """
    folder = Path(folder)
    _sweep(folder)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    with _ours(temporary, os.open(temporary, os.O_RDONLY)):
        yield temporary
        temporary.chmod(0o777 & ~_umask())   # mkdtemp makes folders that only their owner reads
        try:
            temporary.rename(folder)
        except OSError:
            for entry in temporary.iterdir():
                if not (folder / entry.name).exists():
                    entry.rename(folder / entry.name)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: str | Path, value: object, flag: str = "--json") -> None:
    """Write `value` as JSON to the file `path` of a flag, or as one line to standard output where `path` is "-"."""
    if str(path) == "-":
        print(as_json(value, flag, indent=None), end="", flush=True)
        return
    with result_file(path, flag) as temporary:
        temporary.write_text(as_json(value, flag), encoding="utf-8")


def as_json(value: object, flag: str = "--json", indent: int | None = 2) -> str:
    """`value` as the text of a JSON file that a flag asks for, a list of plain values on a line.

    Raises
    ------
    InputError
        Where a number in it is not finite.
    """
    try:
        text = json.dumps(value, indent=indent, allow_nan=False) + "\n"
    except ValueError as error:
        raise InputError(f"{flag}: a result is no finite number, which JSON has no word for") from error
    return PLAIN_LIST.sub(lambda found: LINE_BREAK.sub(" ", found[0]), text)   # in texts there are no line breaks


def as_csv(rows: Iterable[Sequence]) -> bytes:
    """Rows, lists of texts and numbers, as the content of a CSV file.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8", "surrogateescape")   # a file's name may be no UTF-8


def _harmless(cell):
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip().startswith(FORMULAS) else cell


@contextlib.contextmanager
def result_file(path: str | Path, flag: str) -> Iterator[Path]:
    """As `replacing`, of a file that a flag names: its folder is made, and what goes wrong with it is an `InputError`.

    Of several, one within another, all get their names or none does.
    """
    path = Path(path)
    make_folder(path.parent, flag)
    try:
        with replacing(path) as temporary:
            yield temporary
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise _not_written(path, flag, error) from error


def _not_written(path, flag, error):
    return InputError(f"{flag} {path}: cannot write this file ({getattr(error, 'strerror', None) or error})")
