"""The file of a checkpoint, in MindSpore's format: every claim in it is held against its bytes before it is believed.

The format is a protobuf message (mindspore/train/checkpoint.proto), read and written here field by field:

    Checkpoint  { repeated Value value = 1 }
    Value       { tag = 1; TensorProto tensor = 2 }
    TensorProto { repeated int64 dims = 1; tensor_type = 2; tensor_content = 3 }

Behind it may stand `crc_num` and a checksum. `mindspore.load_checkpoint` takes dims over bytes, so that memory is read
beyond them, and protobuf's own parser makes 4.2 GB, in 47 s, of a file of 20 MB that holds nothing but empty messages.
"""
import binascii
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mindspore_maml.cli.errors import InputError, shown
from mindspore_maml.cli.memory import readable
from mindspore_maml.cli.reading import LARGEST_TEXT, open_regular

LARGEST_FILE = 400_000_000   # bytes: what is read takes as many again, and all shall stay below a gigabyte
MOST_VALUES = 10_000   # a network has some 20 weights, and an optimizer three values for each
MOST_FIELDS = 100      # of one value
MOST_DIMS = 8
LONGEST_NAME = 1000    # bytes of UTF-8
TYPES = {"Float32": "<f4", "Float16": "<f2", "Float64": "<f8", "BFloat16": "<u2", "Bool": "u1", "Int8": "i1",
         "UInt8": "u1", "Int16": "<i2", "UInt16": "<u2", "Int32": "<i4", "UInt32": "<u4", "Int64": "<i8",
         "UInt64": "<u8"}
NAMES = {np.dtype(kind): name for name, kind in reversed(TYPES.items()) if name not in ("Bool", "BFloat16")}
TEXT, LETTER = "str", 4   # the type of a text, and the bytes of a letter: UTF-32
MARK, CHECKSUM = b"crc_num", 10   # what stands before the checksum, and its bytes
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5   # protobuf's wire types
LONGEST_VARINT = 10
ALIGNED = 8   # bytes, of the largest number


class _DamagedError(ValueError):
    """The bytes are no such message."""


def read(path: str | Path, origin: str) -> dict[str, np.ndarray | str]:
    """The values in a checkpoint file by name: arrays and texts. BFloat16 becomes float32.

    The file is opened once, as a regular one, and what is checked are the bytes that are given back.

    Raises
    ------
    InputError
        Where it cannot be read, changes meanwhile, is no such file or beyond a limit, or a value is not what it says.
    """
    try:
        with open_regular(path) as file:
            before = _state(file)
            if before[0] > LARGEST_FILE:
                raise InputError(f"{origin}: has {readable(before[0])}; expected a checkpoint of at most "
                                 f"{readable(LARGEST_FILE)}")
            values = _read_values(file, before[0], origin)
            if _state(file) != before:
                raise InputError(f"{origin}: changed while it was read; expected a file that nobody writes to")
    except (OSError, _DamagedError) as error:
        why = error.strerror if isinstance(error, OSError) else "damaged, or of another kind"
        raise InputError(f"{origin}: no readable MindSpore checkpoint ({why}); expected a file written by "
                         f"omniglot_train.py") from error
    return values


def _state(file):
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def _read_values(file, size, origin):
    values: dict[str, np.ndarray | str] = {}
    for content in _messages(file, size):
        if len(values) == MOST_VALUES:
            raise InputError(f"{origin}: holds more than {MOST_VALUES} values; expected at most as many")
        name, value = _read_value(content, origin)
        if name in values:
            raise InputError(f"{origin}: holds {shown(name)} twice; expected each value once")
        values[name] = value
    if not values:
        raise _DamagedError
    return values


def _messages(file: BinaryIO, size: int) -> Iterator[memoryview]:
    """The bytes of each `Value`, and in the end the checksum's comparison where there is one."""
    end, checksum = _checksum(file, size)
    found = 0
    while file.tell() < end:
        head = file.read(1) or b"\0"
        while len(head) == 1 or head[-1] & 0x80:   # the first byte is the field's, a varint follows
            head += file.read(1) or b"\0"
            if len(head) > 1 + LONGEST_VARINT:
                raise _DamagedError
        length, _ = _varint(memoryview(head), 1)
        if head[0] != 1 << 3 | BYTES or not 0 <= length <= end - file.tell():
            raise _DamagedError
        # The content of a tensor stands last: so that it is aligned, and need not be copied, its end is.
        content = np.empty(-(-length // ALIGNED) * ALIGNED, np.uint8).data[-length or ALIGNED:]
        if file.readinto(content) < length:   # type: ignore[attr-defined]  # cut off meanwhile
            raise _DamagedError
        found = binascii.crc32(content, binascii.crc32(head, found))
        yield content
    if checksum not in (None, found):
        raise _DamagedError


def _checksum(file, size):
    """Where the values end, and the checksum behind them or None; the file is at its beginning then."""
    end = size - len(MARK) - CHECKSUM
    file.seek(max(end, 0))
    tail = file.read(len(MARK) + CHECKSUM)
    file.seek(0)
    if end < 0 or not tail.startswith(MARK):
        return size, None
    return end, int.from_bytes(tail[len(MARK):], "big")


def _read_value(content, origin):
    """The name and the array or text of a `Value`'s bytes."""
    fields = _once(content, (1, 2))
    if not {1, 2} <= fields.keys():
        raise _DamagedError
    name, tensor = _text(fields[1], LONGEST_NAME), list(_fields(fields[2]))
    dims: list[int] = []
    for number, part in tensor:
        if number == 1:
            dims += [part] if isinstance(part, int) else _packed(part)
    rest = _once(fields[2], (2, 3))
    if not {2, 3} <= rest.keys():
        raise _DamagedError
    kind, what = _text(rest[2], LONGEST_NAME), f"{origin}: {shown(name)}"
    return name, _read_text(rest[3], what) if kind == TEXT else _read_array(dims, kind, rest[3], what)


def _read_array(dims, kind, content, what):
    """The array of a `TensorProto`."""
    if kind not in TYPES:
        raise InputError(f"{what} is of type {shown(kind)}; expected one of {', '.join(TYPES)}")
    shape = () if dims == [0] else tuple(dims)   # as MindSpore before 2 writes a single number
    item = np.dtype(TYPES[kind])
    if len(shape) > MOST_DIMS or any(not 0 < dim <= LARGEST_FILE for dim in shape) or \
            math.prod(shape) * item.itemsize != len(content):
        raise InputError(f"{what} has dims {shown(dims)} of {kind} and {len(content)} bytes, which do not go together")
    array = np.frombuffer(content, item).reshape(shape)
    if kind == "BFloat16":   # float32 cut off after 16 bits
        return (array.astype(np.uint32) << 16).view(np.float32)
    if kind == "Bool":
        return array != 0
    return array if array.flags.aligned else array.copy()


def _read_text(content, what):
    if len(content) > LETTER * LARGEST_TEXT:
        raise InputError(f"{what} is a text of {len(content) // LETTER} letters; expected at most {LARGEST_TEXT}")
    try:
        return bytes(content).decode("utf-32-le", "surrogatepass").rstrip("\0")
    except UnicodeDecodeError:
        raise _DamagedError from None


def _text(content, longest):
    if not isinstance(content, memoryview) or len(content) > longest:
        raise _DamagedError
    try:
        return bytes(content).decode("utf-8")
    except UnicodeDecodeError:
        raise _DamagedError from None


def _once(message, numbers):
    """By number the fields of a message that may be there once, of which all are bytes."""
    found: dict[int, memoryview] = {}
    for number, value in _fields(message):
        if number in numbers:
            if number in found or isinstance(value, int):
                raise _DamagedError
            found[number] = value
    return found


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """The fields of a message: their numbers, and an int or the bytes."""
    place = 0
    for _ in range(MOST_FIELDS):
        if place == len(message):
            return
        key, place = _varint(message, place)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, place = _varint(message, place)
            yield number, value
            continue
        length = {FIXED64: 8, FIXED32: 4}.get(wire, 0)
        if wire == BYTES:
            length, place = _varint(message, place)
        if not number or wire not in (FIXED64, FIXED32, BYTES) or not 0 <= length <= len(message) - place:
            raise _DamagedError
        yield number, message[place:place + length]
        place += length
    raise _DamagedError


def _packed(content):
    """Several numbers in one field; more than there can be are not looked at."""
    numbers: list[int] = []
    place = 0
    while place < len(content) and len(numbers) <= MOST_DIMS:
        number, place = _varint(content, place)
        numbers.append(number)
    return numbers


def _varint(message, place):
    """A signed number of 64 bits from seven of each byte, and the place behind it."""
    number = 0
    for count, byte in enumerate(message[place:place + LONGEST_VARINT]):
        number |= (byte & 0x7f) << 7 * count
        if not byte & 0x80:
            number &= (1 << 64) - 1
            return number - (number >> 63 << 64), place + count + 1
    raise _DamagedError


def write(path: str | Path, values: Mapping[str, np.ndarray | str]) -> None:
    """Write a file that `read` and `mindspore.load_checkpoint` read, with a checksum.

    Raises
    ------
    OSError
        Where it cannot be written.
    InputError
        Where `read` would refuse it for its size.
    """
    size = sum(value.nbytes if isinstance(value, np.ndarray) else LETTER * len(value) for value in values.values())
    refuse_too_large(len(values), size)
    checksum = 0
    with open(path, "wb") as file:
        for name, value in values.items():
            head, content = _encoded(name, value)
            checksum = binascii.crc32(content, binascii.crc32(head, checksum))
            file.write(head)
            file.write(content)
        file.write(MARK + checksum.to_bytes(CHECKSUM, "big"))


def refuse_too_large(count: int, size: int) -> None:
    """Refuse a checkpoint of so many values and bytes that `read` would not take it."""
    if count > MOST_VALUES or size > LARGEST_FILE - 1_000_000:   # room for names
        raise InputError(f"a checkpoint of this network would hold {count} values in {readable(size)}; expected at "
                         f"most {MOST_VALUES} in {readable(LARGEST_FILE)} (see the preset's network)")


def _encoded(name, value):
    """The bytes of a value before its content, and the content, which is not copied once more."""
    if isinstance(value, str):
        dims, kind, content = (0,), TEXT, memoryview(value.encode("utf-32-le", "surrogatepass"))
    else:
        dims, kind = value.shape, NAMES[value.dtype]
        content = np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
    head = b"".join(b"\x08" + _as_varint(dim) for dim in dims) + b"\x12" + _sized(kind.encode())
    head += b"\x1a" + _as_varint(len(content))
    tag = b"\x0a" + _sized(name.encode())
    tensor = b"\x12" + _as_varint(len(head) + len(content))
    return b"\x0a" + _as_varint(len(tag) + len(tensor) + len(head) + len(content)) + tag + tensor + head, content


def _sized(content):
    return _as_varint(len(content)) + content


def _as_varint(number):
    groups = [number >> 7 * place & 0x7f for place in range(max(1, -(-number.bit_length() // 7)))]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])
