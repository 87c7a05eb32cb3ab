"""What this machine's memory holds, to refuse what it cannot before any of it is taken."""
import contextlib
import os
from pathlib import Path

from mindspore_maml.cli.errors import InputError

CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")


def machine_memory() -> int:
    """Bytes of memory this process can have at most: the machine's, or what its container may take."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in CONTAINER_LIMITS:
        with contextlib.suppress(OSError, ValueError):   # no such file, or "max"
            total = min(total, int(Path(path).read_text(encoding="ascii")))
    return total


def refuse_beyond_memory(size: int, what: str, advice: str) -> None:
    """Refuse `what`, which takes `size` bytes, where this machine does not have them.

    Raises
    ------
    InputError
        With both sizes, and with `advice`, what to do instead.
    """
    if size > machine_memory():
        raise InputError(f"{what} would take {readable(size)} of memory; this machine has "
                         f"{readable(machine_memory())} ({advice})")


def readable(size: int) -> str:
    """A number of bytes in the unit that suits it: 1500000 gives `1.5 MB`."""
    unit = min((len(str(int(size))) - 1) // 3, len(UNITS) - 1)
    return f"{size / 1000 ** unit:.3g} {UNITS[unit]}" if unit else f"{size} bytes"
