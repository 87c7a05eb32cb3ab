"""What an array of images was made of: its files' names, sizes and times, by which a change is noticed."""
import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from mindspore_maml.data.folders import is_own

DEEPEST = 3   # folders in folders that are looked into: alphabets, characters, drawings


def fingerprint(folders: Iterable[str | Path]) -> str:
    """A short text that changes where a file in one of the `folders` is added, removed, renamed or written to."""
    digest = hashlib.sha256()
    for folder in folders:
        digest.update(b"\0folder\0")
        for line in sorted(_lines(str(folder), "", DEEPEST)):
            digest.update(os.fsencode(line))
    return digest.hexdigest()


def _lines(folder, below, depth):
    """A line for each file; what is hidden or a system's is left out, for they are not read either."""
    try:
        entries = list(os.scandir(folder))
    except OSError:   # who reads the images says what is wrong
        return
    for entry in entries:
        if not is_own(entry.name):
            continue
        name = f"{below}{entry.name}"
        try:
            found = entry.stat()
        except OSError:   # a link to nothing, a loop of links, or nobody may look
            yield f"{name}\0\n"
            continue
        if not stat.S_ISDIR(found.st_mode):
            yield f"{name}\0{found.st_size}\0{found.st_mtime_ns}\n"
        elif depth:
            yield from _lines(entry.path, f"{name}/", depth - 1)


def state_of(path: str | Path) -> list[int]:
    """The size and time of a file: [bytes, ns]."""
    found = Path(path).stat()
    return [found.st_size, found.st_mtime_ns]
