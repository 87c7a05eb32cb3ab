"""Locks that die with their process: the system lets go of them however it ends."""
import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from mindspore_maml.cli.owner_files import HeldError, owned

UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)   # what file systems answer that know no locks


@contextlib.contextmanager
def locked(path: str | Path, text: str) -> Iterator[None]:
    """Hold the lock file `path` (`flock`); it is removed at the end, and left behind, unlocked, by a killed process.

    Where the file system knows no locks, another file beside it tells who holds it (see `owner_files.py`).

    Parameters
    ----------
    path : str or Path
        The file; it is made where it is missing.
    text : str
        Who holds it, for others to read.

    Raises
    ------
    HeldError
        Where another process holds it.
    OSError
        Where the file cannot be made.
    """
    path = Path(path)
    with contextlib.ExitStack() as stack:
        handle, is_locked = _take(path)
        stack.callback(os.close, handle)
        if not is_locked:
            stack.enter_context(owned(path.with_name(f"{path.name}-owner"), text))
        stack.callback(_remove, path, handle)
        os.ftruncate(handle, 0)
        os.write(handle, text.encode())
        yield


def _remove(path, handle):
    """Remove the file that is open as `handle`, still locked: who waits for it sees that it is gone."""
    if _is_at(handle, path):   # not so where the folder has another name now
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def held(handle: int) -> Iterator[None]:
    """Hold the lock on an open file or folder of one's own, where the file system knows locks; closes it in the end."""
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def is_free(path: str | Path) -> bool:
    """Whether nobody holds the lock on the file or folder `path`; one that cannot be asked counts as held."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _take(path):
    """The file, open, and whether it is locked: not so where the file system knows no locks."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _text_in(handle)
            os.close(handle)
            raise HeldError(holder) from None
        except OSError as error:
            if error.errno in UNSUPPORTED:
                return handle, False
            os.close(handle)
            raise
        if _is_at(handle, path):
            return handle, True
        os.close(handle)   # its holder removed it just now


def _text_in(handle):
    """What the holder wrote into the file; it may have locked it a moment ago, and write only now."""
    for _ in range(20):
        if text := os.pread(handle, 200, 0).decode(errors="replace"):
            return text
        time.sleep(0.05)
    return "another process"


def _is_at(handle, path):
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
