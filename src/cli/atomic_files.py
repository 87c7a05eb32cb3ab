"""Files that are never half written: a temporary neighbour first, then a rename."""
import contextlib
import csv
import io
import json
import os
import shutil
import tempfile
from pathlib import Path

from src.cli.errors import InputError


def make_folder(path, flag):
    """Create the folder `path` named by `flag` where it is missing; return it as a `Path`."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{flag} {path}: cannot make this folder ({error.strerror}); expected a folder to write to") \
            from error
    return path


@contextlib.contextmanager
def replacing(path):
    """Yield a temporary path beside `path`; on success it takes the name `path`, on failure it is removed.

    The temporary name keeps the suffix of `path`, since writers such as Pillow choose the format by it.
    """
    path = Path(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(temporary)
    temporary.chmod(0o666 & ~_umask())   # mkstemp makes files that only their owner reads
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def filling(folder):
    """Yield a temporary folder beside `folder`; on success it takes that name, on failure it is removed.

    Where that name is taken, perhaps by another process that was faster, the entries `folder` lacks are moved into it.
    """
    folder = Path(folder)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())   # mkdtemp makes folders that only their owner reads
        try:
            temporary.rename(folder)
        except OSError:
            for entry in temporary.iterdir():
                if not (folder / entry.name).exists():
                    entry.rename(folder / entry.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path, value):
    """Write `value` as JSON to the file `path`, or as one line to standard output where `path` is "-"."""
    if str(path) == "-":
        print(json.dumps(value), flush=True)
    else:
        _write_text(path, json.dumps(value, indent=2) + "\n", "--json")


def write_csv(path, rows):
    """Write rows, lists of texts and numbers, to the file `path`, as the flag --csv asks for."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    _write_text(path, text.getvalue(), "--csv")


def _write_text(path, text, flag):
    path = Path(path)
    make_folder(path.parent, flag)
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(text.encode("utf-8", "surrogateescape"))   # a file's name may be no UTF-8
    except OSError as error:
        raise InputError(f"{flag} {path}: cannot write this file ({error.strerror})") from error
