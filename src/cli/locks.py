"""Locks that die with their process: the system lets go of them however it ends."""
import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)   # what file systems answer that know no locks


class HeldError(OSError):
    """Another process holds the lock; the text is what that process wrote into the file."""


@contextlib.contextmanager
def locked(path: str | Path, text: str) -> Iterator[None]:
    """Hold the lock file `path` (`flock`); it is removed at the end, and left behind, unlocked, by a killed process.

    Where the file system knows no locks, nothing is held.

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
    handle = _take(path)
    try:
        os.ftruncate(handle, 0)
        os.write(handle, text.encode())
        yield
    finally:
        if _is_at(handle, path):   # not so where the folder has another name now
            path.unlink(missing_ok=True)   # still locked: who waits for it sees that it is gone
        os.close(handle)


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
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 200, 0).decode(errors="replace")
            os.close(handle)
            raise HeldError(holder) from None
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                os.close(handle)
                raise
        if _is_at(handle, path):
            return handle
        os.close(handle)   # its holder removed it just now


def _is_at(handle, path):
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
