"""The checkpoint reader believes bytes and no claims, and what it writes and reads is what MindSpore does."""
import binascii
import os
import subprocess
import sys
import threading
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from checkpoints import fresh
from checkpoints import write as write_small
from mindspore.train.checkpoint_pb2 import Checkpoint

from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import EVAL
from mindspore_maml.training import checkpoint, checkpoint_file
from mindspore_maml.training.from_options import load_trained
from tests.test_any_input import in_time

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("float32", "float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A checkpoint with optimizer and notes, and the network that it fits."""
    path, *_ = write_small(tmp_path_factory.mktemp("small"))
    return path, fresh()[1]


def test_mindspore_reads_what_is_written(tmp_path):
    draws = np.random.default_rng(1)
    values = {kind: draws.integers(0, 9, (2, 3, 4)).astype(kind) for kind in KINDS}
    values |= {"epoch": np.array(7), "text": "{é文}", "long": np.zeros(300, np.float32)}
    checkpoint_file.write(tmp_path / "it.ckpt", values)
    found = ms.load_checkpoint(str(tmp_path / "it.ckpt"), crc_check=True)
    assert found.keys() == values.keys()
    for name, value in values.items():
        np.testing.assert_array_equal(found[name] if isinstance(value, str) else found[name].asnumpy(), value)
    assert same(checkpoint_file.read(tmp_path / "it.ckpt", "it"), values)


@pytest.mark.parametrize("crc_check", [True, False])
def test_what_mindspore_writes_is_read(tmp_path, crc_check):
    draws = np.random.default_rng(1)
    values = {kind: draws.integers(0, 9, (2, 3)).astype(kind) for kind in KINDS}
    named = [{"name": name, "data": ms.Tensor(value)} for name, value in values.items()]
    halves = draws.normal(size=9).astype(np.float32)
    named += [{"name": "bfloat16", "data": ms.Tensor(halves, ms.bfloat16)},
              {"name": "bool", "data": ms.Tensor([True, False])}]
    ms.save_checkpoint(named, str(tmp_path / "it.ckpt"), append_dict={"epoch": 3, "note": "é"}, crc_check=crc_check)
    found = checkpoint_file.read(tmp_path / "it.ckpt", "it")
    np.testing.assert_allclose(found.pop("bfloat16"), halves, rtol=2 ** -8)
    assert same(found, values | {"bool": np.array([True, False]), "epoch": np.array(3), "note": "é"})


def same(found, expected):
    return found.keys() == expected.keys() and all(
        value == expected[name] if isinstance(value, str) else
        value.dtype == expected[name].dtype and np.array_equal(value, expected[name]) for name, value in found.items())


# ---- lies

def tensor(message, name):
    return next(value.tensor for value in message.value if value.tag == name)


def dims(*numbers):
    def change(message):
        del tensor(message, "net.0.weight").dims[:]
        tensor(message, "net.0.weight").dims.extend(numbers)
    return change


def content(change, name="net.0.weight"):
    def changed(message):
        tensor(message, name).tensor_content = change(tensor(message, name).tensor_content)
    return changed


def number(value, name="net.0.weight"):
    return content(lambda old: old[:-4] + np.float32(value).tobytes(), name)


def as_kind(kind, width):
    def change(message):
        it = tensor(message, "net.0.weight")
        it.tensor_type, it.tensor_content = kind, it.tensor_content[:len(it.tensor_content) // 4 * width]
    return change


def extra(name="extra", dims=(), content=bytes(4), count=1):
    def change(message):
        for place in range(count):
            value = message.value.add(tag=f"{name}{place}" if count > 1 else name)
            value.tensor.tensor_type, value.tensor.tensor_content = "Float32", content
            value.tensor.dims.extend(dims)
    return change


def of_maps(message):
    value = message.value.add(tag="map")
    for _ in range(300_000):
        value.maptensor.tensor.add()


LIES = {
    "no dims": (dims(), r"'net.0.weight' has dims \[\] of Float32 and 108 bytes, which do not go together"),
    "dims of none": (dims(0), "do not go together"),
    "dims below none": (dims(-1, 4), "do not go together"),
    "dims that overflow": (dims(2**62, 108), "do not go together"),
    "40 dims": (dims(*[1] * 39, 27), "do not go together"),
    "1000 dims": (dims(*[1] * 999, 27), "damaged"),
    "other dims": (dims(27), r"net\.0\.weight has shape \(27,\); expected \(3, 1, 3, 3\)"),
    "no content": (content(lambda _: b""), "do not go together"),
    "half a number": (content(lambda old: old[:-1]), "do not go together"),
    "a huge tensor of 4 bytes": (extra(dims=(20000, 20000)), "do not go together"),
    "50,000 tensors": (extra(count=50_000), "holds more than 10000 values"),
    "300,000 maps": (of_maps, "damaged"),
    "a name twice": (extra("net.0.weight", (3, 1, 3, 3), bytes(108)), "holds 'net.0.weight' twice"),
    "a long name": (extra("n" * 5000), "damaged"),
    "Int8": (as_kind("Int8", 1), "net.0.weight is of type int8; expected float32"),
    "Bool": (as_kind("Bool", 1), "net.0.weight is of type bool; expected float32"),
    "UInt8": (as_kind("UInt8", 1), "net.0.weight is of type uint8; expected float32"),
    "Int32": (as_kind("Int32", 4), "net.0.weight is of type int32; expected float32"),
    "Int4": (as_kind("Int4", 4), "'net.0.weight' is of type 'Int4'; expected one of Float32"),
    "a type of escapes": (as_kind("\x1b[2J\n", 4), r"is of type '\\x1b\[2J\\n'"),
    "no number": (number(np.nan), "net.0.weight holds nan; expected finite numbers"),
    "infinite": (number(-np.inf), "net.0.weight holds inf; expected finite numbers of at most 10000"),
    "huge": (number(3e38), r"net.0.weight holds 3e\+38; expected"),
    "beyond what is saved": (number(-1.1e4), "net.0.weight holds 11000; expected"),
    "a long text": (content(lambda _: bytes(400_004), "options"), "'options' is a text of 100001 letters; expected at"),
    "a text of no letters": (content(lambda _: b"\xff" * 8, "options"), "damaged"),
    "an epoch of texts": (content(lambda _: b"", "epoch"), "do not go together"),
}


@pytest.mark.parametrize(("lie", "message"), LIES.values(), ids=LIES)
def test_lies_are_refused_in_one_line(small, tmp_path, lie, message):
    path, meta = small
    read = Checkpoint()
    read.ParseFromString(path.read_bytes()[:-17])
    lie(read)
    bytes_ = read.SerializePartialToString()
    for tail in (b"", b"crc_num" + binascii.crc32(bytes_).to_bytes(10, "big")):
        (tmp_path / "lie.ckpt").write_bytes(bytes_ + tail)
        with in_time(), pytest.raises(InputError, match=message) as refusal:
            checkpoint.load(tmp_path / "lie.ckpt").put_into(meta)
        assert str(refusal.value).isprintable()


def test_flipped_bits_are_refused_or_harmless(small, tmp_path):
    """Of a file without a checksum: what is loaded all the same has sound weights."""
    path, meta = small
    whole = path.read_bytes()[:-17]
    for place in np.random.default_rng(1).integers(0, 8 * len(whole), 120):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        (tmp_path / "flipped.ckpt").write_bytes(flipped)
        try:
            checkpoint.load(tmp_path / "flipped.ckpt").put_into(meta)
        except InputError:
            continue
        assert all(np.abs(parameter.asnumpy()).max() <= checkpoint.LARGEST for parameter in meta.get_parameters())


@pytest.mark.parametrize("damage", [number(np.inf, "moment1.net.0.weight"), number(np.nan, "moment2.net.0.weight")])
def test_what_an_optimizer_remembers_is_finite(small, tmp_path, damage):
    read = Checkpoint()
    read.ParseFromString(small[0].read_bytes()[:-17])
    damage(read)
    (tmp_path / "lie.ckpt").write_bytes(read.SerializeToString())
    _, _, optimizer = fresh()
    with pytest.raises(InputError, match=r"moment\d\.net\.0\.weight holds (inf|nan); expected finite numbers$"):
        checkpoint.load(tmp_path / "lie.ckpt").resume(optimizer)


def test_a_network_is_not_made_before_the_file_is_seen_to_hold_it(small, tmp_path):
    """Options that claim a network of 4 GB, or a head of a gigabyte, beside weights of a few bytes."""
    values = checkpoint_file.read(small[0], "it")
    wide = values | {"options": values["options"].replace('"filters": 3', '"filters": 30000')}
    head = values | {"net.7.weight": np.zeros((2, 250_000), np.float32)}
    for lie, message in ((wide, r"net\.0\.weight has shape \(3, 1, 3, 3\); expected \(30000, 1"),
                         (head, r"net\.7\.weight has shape \(2, 250000\); expected \(1000, 3\)")):
        assert lie["options"] != values["options"] or lie is head
        checkpoint_file.write(tmp_path / "lie.ckpt", lie)
        options = parse(EVAL, "", ["--data_path", ".", "--ckpt", str(tmp_path / "lie.ckpt"), "--n_way", "1000",
                                   "--task_num", "1", "--k_spt", "1", "--k_qry", "1"])
        with in_time(), pytest.raises(InputError, match=message):
            load_trained(options)


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    many = {str(name): np.zeros(1, np.float32) for name in range(10_001)}
    for values in (many, {"large": np.zeros(10**8, np.float32)}):
        with pytest.raises(InputError, match=r"expected at most 10000 in 400 MB"):
            checkpoint_file.write(tmp_path / "it.ckpt", values)
    assert not list(tmp_path.iterdir())


# ---- files that are none, and files that change

def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "maml-20_1.ckpt")
    for path in (tmp_path, tmp_path / "maml-20_1.ckpt"):
        with in_time(), pytest.raises(InputError, match="a pipe, not a regular file|no such file or folder"):
            checkpoint.load(path)


def test_a_file_that_changes_while_it_is_read_is_refused(small, tmp_path):
    """Written over, grown and cut off, again and again."""
    path, ended = tmp_path / "it.ckpt", threading.Event()
    values = {f"net.{place}.weight": np.full(1000, place, np.float32) for place in range(200)}
    checkpoint_file.write(path, values)
    whole, outcomes = path.read_bytes(), set()

    def write():
        turn = 0
        while not ended.is_set():
            turn += 1
            with path.open("r+b") as file:
                file.seek(turn % 7 * 1000)
                file.write(whole[turn % 7 * 1000:][:400_000])
                file.truncate(len(whole) - turn % 3 * 1000)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(60):
            try:
                found = checkpoint_file.read(path, "it")
                outcomes.add("read")
                assert same(found, values)
            except InputError as error:
                outcomes.add("changed" if "changed while" in str(error) else "damaged")
    finally:
        ended.set()
        writer.join()
    assert outcomes & {"changed", "damaged"}


def test_any_message_of_the_schema_is_loaded_soundly_or_refused():
    """In a process of its own: a crash is seen as one."""
    done = subprocess.run([sys.executable, "-m", "tests.stress.checkpoints", "--cases", "300"], cwd=ROOT,
                          env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("300 lies: ")
