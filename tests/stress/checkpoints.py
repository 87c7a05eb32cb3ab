"""Lie in a checkpoint in every way its format allows, and see that what is loaded is sound and all else is refused.

    python -m tests.stress.checkpoints [--cases 2000]

The lies are drawn from MindSpore's own protobuf schema, the same ones every time. Run it in a process of its own: a
reader that believes a lie ends it by a signal. What is not refused is loaded into a network that then answers.
"""
import argparse
import binascii
import contextlib
import io
import math
import re
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mindspore import Tensor
from mindspore.train.checkpoint_pb2 import Checkpoint

from mindspore_maml.cli.errors import InputError
from mindspore_maml.layers.network import Network
from mindspore_maml.training.checkpoint import LARGEST, load

LAYERS = [{"layer": "flatten"}, {"layer": "linear"}]
SIZE, N_WAY = 4, 3
SECONDS, KILOBYTES = 10, 10**6
TYPES = ("Float32", "Float16", "Float64", "BFloat16", "Bool", "Int4", "Int8", "UInt8", "Int32", "Int64", "UInt64",
         "str", "float32", "", "Float32\0")
WIDTHS = {"Float16": 2, "BFloat16": 2, "Float64": 8, "Int64": 8, "UInt64": 8, "Int8": 1, "UInt8": 1, "Bool": 1}
DIMS = st.one_of(st.integers(-2, 20), st.sampled_from([0, 1, 3, 16, 48, 2**31, 2**62, -2**63]))
NUMBERS = st.sampled_from([0.0, 1.0, -3.5, 1e4, 1.1e4, -1e9, 3e38, math.inf, -math.inf, math.nan])
NAMES = st.one_of(st.sampled_from(["net.1.weight", "net.1.bias", "net.9.weight", "x.net.1.bias", "moment1.net.1.bias",
                                   "epoch", "options", "episodes", "run", "", "net.1.bias\0", "\x1b[2J", "n" * 2000]),
                  st.text(max_size=5))


def sound():
    """The message of a checkpoint without a lie."""
    message = Checkpoint()
    draws = np.random.default_rng(1)
    for name, shape in (("net.1.weight", (N_WAY, SIZE ** 2)), ("net.1.bias", (N_WAY,))):
        value = message.value.add(tag=name)
        value.tensor.dims.extend(shape)
        value.tensor.tensor_type = "Float32"
        value.tensor.tensor_content = draws.normal(size=shape).astype("<f4").tobytes()
    return message


@st.composite
def lies(draw):
    """A message in which something is not as it says, or as it should be."""
    message = sound()
    for _ in range(draw(st.integers(1, 3))):
        tensor = message.value[draw(st.integers(0, len(message.value) - 1))].tensor
        draw(st.sampled_from(LIES))(draw, message, tensor)
    return message


def other_dims(draw, _message, tensor):
    del tensor.dims[:]
    tensor.dims.extend(draw(st.lists(DIMS, max_size=4) | st.sampled_from([[], [0], [-1, 4], [1] * 40, [20000] * 2])))


def other_type(draw, _message, tensor):
    """Another type, where drawn so with content of its width."""
    tensor.tensor_type = draw(st.sampled_from(TYPES))
    if draw(st.booleans()):
        length = len(tensor.tensor_content) // 4 * WIDTHS.get(tensor.tensor_type, 4)
        tensor.tensor_content = bytes(draw(st.integers(0, 255)) for _ in range(4)) * (length // 4)


def other_content(draw, _message, tensor):
    content = tensor.tensor_content
    tensor.tensor_content = draw(st.one_of(
        st.just(b""), st.just(content[:-1]), st.just(content + b"\0"), st.just(content * 2), st.binary(max_size=9)))


def other_numbers(draw, _message, tensor):
    """A number among the others that no weight has, or one just allowed."""
    numbers = np.frombuffer(tensor.tensor_content[:len(tensor.tensor_content) // 4 * 4], "<f4").copy()
    numbers[:draw(st.integers(1, 3))] = draw(NUMBERS)
    tensor.tensor_content = numbers.tobytes()


def other_name(draw, message, _tensor):
    message.value[draw(st.integers(0, len(message.value) - 1))].tag = draw(NAMES)


def one_more(draw, message, tensor):
    """A further value: a copy, one of few bytes and many dims, a map of tensors, or none at all."""
    value = message.value.add(tag=draw(NAMES))
    kind = draw(st.integers(0, 2))
    if kind == 0:
        value.tensor.CopyFrom(tensor)
    if kind == 1:
        value.maptensor.tensor.add().CopyFrom(tensor)


def one_less(draw, message, _tensor):
    if len(message.value) > 1:
        del message.value[draw(st.integers(0, len(message.value) - 1))]


LIES = (other_dims, other_type, other_content, other_numbers, other_name, one_more, one_less)


@st.composite
def files(draw):
    """The bytes of a file: its checksum right, wrong or absent, perhaps with bits flipped or a part cut off."""
    content = draw(lies()).SerializePartialToString()
    content = bytearray(content)
    for _ in range(draw(st.sampled_from([0, 0, 1, 4]))):
        if content:
            content[draw(st.integers(0, len(content) - 1))] ^= 1 << draw(st.integers(0, 7))
    if draw(st.integers(0, 5)) == 0:
        del content[draw(st.integers(0, len(content))):]
    checksum = binascii.crc32(content) ^ (draw(st.integers(0, 9)) == 0)
    return bytes(content) + draw(st.sampled_from([b"", b"crc_num" + checksum.to_bytes(10, "big")]))


class Attack:
    """Loads files into a small network and counts what became of them."""

    def __init__(self, folder):
        self.path, self.seen = Path(folder) / "lie.ckpt", Counter()
        self.net = Network(LAYERS, 1, SIZE, N_WAY, seed=1)
        for parameter in self.net.get_parameters():
            parameter.name = f"net.{parameter.name}"

    def run(self, content):
        """Load a file of these bytes; what is wrong with how it went raises an AssertionError."""
        self.path.write_bytes(content)
        began = time.monotonic()
        try:
            load(self.path).put_into(self.net)
            self.seen["loaded"] += 1
        except InputError as error:
            assert str(error).isprintable(), str(error)
            self.seen["refused"] += 1
            return
        finally:
            assert time.monotonic() - began < SECONDS
        for parameter in self.net.get_parameters():
            value = (parameter + Tensor(np.float32(0))).asnumpy()   # read by native code
            assert np.abs(value).max() <= LARGEST, value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000)
    cases = parser.parse_args().cases
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()) as said:
        attack = Attack(folder)
        attack.run(sound().SerializeToString())
        assert attack.seen["loaded"] == 1
        before = memory()
        checked = settings(max_examples=cases, derandomize=True, deadline=None, database=None,
                           suppress_health_check=list(HealthCheck))(given(files())(attack.run))
        checked()
        more = memory() - before
    assert not said.getvalue(), said.getvalue()
    assert more < KILOBYTES
    print(f"{attack.seen.total() - 1} lies: {attack.seen['refused']} refused in a line, {attack.seen['loaded'] - 1} "
          f"loaded as they should be; {more / 1000:.0f} MB more")


def memory():
    """The most memory this process ever had, in kB."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


if __name__ == "__main__":
    main()
