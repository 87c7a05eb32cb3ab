"""Reading files that anyone may have made: only regular ones, limited in size, in depth and in what aliases make."""
import contextlib
import io
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from mindspore_maml.cli.errors import InputError

LARGEST_TEXT = 100_000   # bytes of a preset or of a file of options; a long one has some 3,000
LARGEST_JSON = 50_000_000   # bytes of a file of results; 100,000 tasks' answers have as many
DEEPEST = 20             # lists and mappings inside one another
MOST_NODES = 10_000      # values in a file, those that aliases repeat counted again
# What PyYAML raises on dates that do not exist, numbers without digits and the like, beside its own errors
YAML_ERRORS = (yaml.YAMLError, ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError)
is_file, is_folder = os.path.isfile, os.path.isdir   # False, too, for names that cannot be


def open_regular(path: str | Path) -> BinaryIO:
    """A binary file to read from; never waits, as opening a pipe would.

    Raises
    ------
    OSError
        Where there is no such file, or it is a pipe, a device, a socket or a folder.
    """
    kind = Path(path).stat().st_mode   # before opening: that alone has effects on some devices
    if not stat.S_ISREG(kind):
        raise OSError(0, f"a {_kind_of(kind)}, not a regular file", str(path))
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):   # changed in between
        os.close(handle)
        raise OSError(0, "not a regular file", str(path))
    return os.fdopen(handle, "rb")


def _kind_of(mode):
    for is_kind, name in ((stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket")):
        if is_kind(mode):
            return name
    return "device"


def read_text(path: str | Path, origin: str, largest: int = LARGEST_TEXT) -> str:
    """The text of a UTF-8 file.

    Parameters
    ----------
    path : str or Path
    origin : str
        What errors call the file.
    largest : int
        The most bytes it may have.

    Raises
    ------
    InputError
        Where it cannot be read, is larger, or is no UTF-8.
    """
    try:
        with open_regular(path) as file:
            content = file.read(largest + 1)
        text = content.decode("utf-8") if len(content) <= largest else ""
    except (OSError, ValueError) as error:   # UnicodeDecodeError, and names that no file can have
        raise InputError(f"{origin}: not readable ({getattr(error, 'strerror', error)})") from error
    if len(content) > largest:
        raise InputError(f"{origin}: more than {largest} bytes; expected at most as many")
    return text


def parse_yaml(text: str, origin: str) -> Any:
    """What a YAML text says, in plain values.

    Raises
    ------
    InputError
        Where it is no YAML, too deep, or its aliases make too much of it.
    """
    try:
        _measure(yaml.parse(text, yaml.SafeLoader), origin)
        return yaml.safe_load(text)
    except InputError:
        raise
    except YAML_ERRORS as error:
        raise InputError(f"{origin}: not readable as YAML ({_first_line(error)})") from error


def _measure(events, origin):
    """Refuse what is too deep or too much before a value of it is made: nine aliases of nine can make millions."""
    anchors: list[str | None] = [None]   # of every node not yet ended
    sizes = [0]                          # the values in it
    by_anchor: dict[str | None, int] = {}
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            anchors.append(event.anchor)
            sizes.append(1)
        elif isinstance(event, yaml.CollectionEndEvent):
            size = by_anchor[anchors.pop()] = sizes.pop()
            sizes[-1] += size
        elif isinstance(event, yaml.ScalarEvent):
            by_anchor[event.anchor] = 1
            sizes[-1] += 1
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in by_anchor:
                raise InputError(f"{origin}: alias *{event.anchor} stands for nothing, or for what it stands in")
            sizes[-1] += by_anchor[event.anchor]
        if len(sizes) > DEEPEST:
            raise InputError(f"{origin}: lists and mappings more than {DEEPEST} deep; expected fewer")
        if sizes[-1] > MOST_NODES:
            raise InputError(f"{origin}: more than {MOST_NODES} values (aliases counted); expected fewer")


def parse_json(text: str, origin: str) -> Any:
    """What a JSON text says.

    Raises
    ------
    InputError
        Where it is no JSON, or too deep.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{origin}: not readable as JSON ({_first_line(error)})") from error
    if text.count("[") + text.count("{") <= DEEPEST:   # most are: no need to look
        return value
    level = [value]
    for _ in range(DEEPEST):
        level = [part for node in level if isinstance(node, (list, dict))
                 for part in (node.values() if isinstance(node, dict) else node)]
        if not level:
            return value
    raise InputError(f"{origin}: lists and mappings more than {DEEPEST} deep; expected fewer")


def read_lines(path: str | Path, origin: str, longest: int, largest: int) -> Iterator[tuple[int, str]]:
    """The whole lines of a UTF-8 file, one at a time, with their numbers; a last one without its end is left out.

    Raises
    ------
    InputError
        Where it cannot be read, has more than `largest` bytes, a line of more than `longest`, or is no UTF-8.
    """
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > largest:
                raise InputError(f"{origin}: more than {largest} bytes; expected at most as many")
            for number, line in enumerate(iter(lambda: file.readline(longest + 1), b""), 1):
                if len(line) > longest:
                    raise InputError(f"{origin}, line {number}: more than {longest} bytes; expected at most as many")
                if line.endswith(b"\n"):
                    yield number, line[:-1].decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{origin}: not readable ({getattr(error, 'strerror', error)})") from error


def _first_line(error):
    with contextlib.suppress(ValueError):
        return io.StringIO(str(error)).readline().strip() or type(error).__name__
    return type(error).__name__
