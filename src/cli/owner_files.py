"""Locks for file systems that know none: a file says which process holds it, so that a dead one's is known for one."""
import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from mindspore_maml.cli.errors import one_line

LONGEST = 2000   # bytes of such a file


class HeldError(OSError):
    """Another process holds the lock; the text is what that process wrote into the file."""


@contextlib.contextmanager
def owned(path: Path, text: str) -> Iterator[None]:
    """Hold the file `path`, which only one process can make; it is removed at the end.

    What a process left that is dead, or of before this machine was started, is taken over. One of another machine, or
    of a container that cannot be looked into, counts as living.

    Raises
    ------
    HeldError
        Where another process holds it.
    OSError
        Where the file cannot be made.
    """
    content = json.dumps({"text": text, **_this_process()}).encode()
    if not _made(path, content):
        _refuse_living(path)
        takeover = path.with_name(f"{path.name}-takeover")   # of two that find a dead one's file, one goes on
        if not _made(takeover, content):
            raise HeldError(_text_of(takeover))
        try:
            _refuse_living(path)
            path.unlink()
            if not _made(path, content):
                raise HeldError(_text_of(path))
        finally:
            takeover.unlink(missing_ok=True)
    try:
        yield
    finally:
        if _read(path) == content:   # not so where the folder has another name now
            path.unlink(missing_ok=True)


def _made(path, content):
    """Whether the file was not there, and is now."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        return False
    try:
        os.write(handle, content)
    finally:
        os.close(handle)
    return True


def _refuse_living(path):
    try:
        owner = json.loads(_read(path))
        is_dead = _is_dead(owner)
    except (ValueError, KeyError, TypeError):   # half written, or of another program
        is_dead = False
    if not is_dead:
        raise HeldError(_text_of(path))


def _is_dead(owner):
    here = _this_process()
    if owner["host"] != here["host"]:
        return False
    if owner["boot"] != here["boot"]:
        return True
    return owner["namespace"] == here["namespace"] and _start_of(int(owner["pid"])) != owner["start"]


def _this_process():
    return {"host": socket.gethostname(), "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            "namespace": str(Path("/proc/self/ns/pid").readlink()), "pid": os.getpid(), "start": _start_of(os.getpid())}


def _start_of(process):
    """When a process was started, in clock ticks since the machine was; None where there is no such process."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])   # proc(5), field 22
    except (OSError, IndexError, ValueError):
        return None


def _text_of(path):
    try:
        who = one_line(str(json.loads(_read(path))["text"]))
    except (ValueError, KeyError, TypeError):
        who = "another process"
    return f"{who} (where that was killed, remove {path})"


def _read(path):
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            return file.read(LONGEST)
    except OSError:
        return b""
