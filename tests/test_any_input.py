"""Any input at all: every reader and flag answers with a value or one line, in 10 s and 1 GB, whatever it is given.

`python -m pytest -s tests/test_any_input.py --hypothesis-profile=long` tries some 10,000 inputs, new ones each time,
and says how many there were; INPUTS in the environment is another number.
"""
import contextlib
import functools
import io
import json
import math
import os
import re
import signal
import string
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import BENCH, DATA, DEMO, EVAL, EXPORT, OPTIONS, PLOT, PREDICT, TRAIN, options_of
from mindspore_maml.cli.presets import PRESET_FOLDER, check_values, read_preset
from mindspore_maml.cli.run_options import Options
from mindspore_maml.data import own_classes
from mindspore_maml.data.archives import unpack
from mindspore_maml.data.images import read_images
from mindspore_maml.data_preprocess import load_images
from mindspore_maml.Omniglot import find, load_npy
from mindspore_maml.pictures.curves import draw_learning_curve, draw_runs, read_runs
from mindspore_maml.training.checkpoint import load
from mindspore_maml.training.run_log import FILE_NAME, read_metrics
from mindspore_maml.training.sizes import refuse_impossible
from tests.networks import NETWORKS

SECONDS, GIGABYTE = 10, 10**6   # kB
INPUTS = int(os.environ.get("INPUTS", "10000"))   # of the long form
CASES = {"flags": 600, "presets": 400, "values": 200, "notes": 150, "checkpoints": 60, "metrics": 150, "runs": 12,
         "results": 60, "pictures": 200, "archives": 120, "arrays": 200, "classes": 120,
         "class arrays": 120}
TRIED: Counter = Counter()


def cases(name):
    """Let one test try its cases, and count them: the same every time in the suite, new ones in the long form."""
    is_long = settings.get_current_profile_name() == "long"
    count = math.ceil(CASES[name] * INPUTS / sum(CASES.values())) if is_long else CASES[name]

    def tried(test):
        inner = test.hypothesis.inner_test

        @functools.wraps(inner)
        def counted(*arguments, **named):
            TRIED[name] += 1
            inner(*arguments, **named)
        test.hypothesis.inner_test = counted
        return settings(max_examples=count, derandomize=not is_long, deadline=None, database=None,
                        suppress_health_check=list(settings.default.suppress_health_check))(test)
    return tried


class HangsError(BaseException):
    """Not an `Exception`, for no reader to take it for its own."""


@contextlib.contextmanager
def in_time():
    def ring(*arguments):
        raise HangsError(f"more than {SECONDS} s")
    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def answer(call, *arguments):
    """What `call` returns, or None where it refuses in one line; anything else fails the test."""
    with in_time(), contextlib.redirect_stdout(io.StringIO()):
        try:
            return call(*arguments)
        except InputError as error:
            assert 0 < len(str(error).splitlines()) == 1
            assert len(str(error)) < 3000
        except SystemExit as ended:
            assert ended.code == 0   # --help, --list_presets
    return None


def memory(name):
    return int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


@pytest.fixture(scope="module", autouse=True)
def little_memory():
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")   # the peak counts from here
    before = memory("VmRSS")
    yield
    more = memory("VmHWM") - before
    print(f"\n{TRIED.total()} inputs, with {more / 1000:.0f} MB of memory more than before")
    assert more < GIGABYTE


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("inputs")


def test_cases_are_enough():
    assert sum(CASES.values()) >= 2000


# ---- what may stand in a file or behind a flag

NUMBERS = st.one_of(st.integers(-3, 50), st.sampled_from([10**6, 10**9, 10**10, 2**31, 2**63, -1]), st.integers(),
                    st.floats(), st.just(400).map(lambda power: 10**power))
ODD_TEXTS = st.one_of(
    st.sampled_from(["9", "a", "a/", "1,"]).map(lambda piece: piece * 3000),
    st.sampled_from(["", " ", "-", "--", "nan", "inf", "1e9", "1e400", "0x_", "\0", "a\nb", "\udce9", "\ud800", "$x$",
                     "é", "文", "true", "null", "1,2,3", ",", "../..", "/", "/dev/zero", "/dev/full", "/proc/self/mem",
                     "~", "%s%n", "{}", "@file", "x" * 256]))
TEXTS = st.one_of(ODD_TEXTS, st.text(max_size=20), st.text(string.printable, max_size=20))
PLAIN = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
KEYS = st.one_of(TEXTS, st.sampled_from(["layer", "step"]))
VALUES = st.recursive(PLAIN, lambda inner: st.one_of(
    st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)), max_leaves=8)
NAMES = [option.name for option in OPTIONS]


def fitting(option):
    """Values that the option takes."""
    if option.choices:
        return st.sampled_from(option.choices)
    few = {int: st.integers(0, 3).map(lambda more: int(max(option.low, 0)) + more), bool: st.booleans(),
           float: st.floats(max(option.low, 0), min(option.high, 9)), list: st.just([3, 4]), str: st.just("nowhere"),
           tuple: st.just(("nowhere",))}
    return few[option.kind]


def some_options(values):
    """Mappings of a few options' names to values; `values` makes those of an option."""
    return st.lists(st.sampled_from(OPTIONS), max_size=4, unique_by=lambda option: option.name).flatmap(
        lambda options: st.fixed_dictionaries({option.name: values(option) for option in options}))


MOSTLY_FITTING = some_options(lambda option: st.one_of(fitting(option), fitting(option), fitting(option), VALUES))


# ---- flags

def one_flag(option):
    if option.kind is bool:
        return st.sampled_from([[f"--{option.name}"], [f"--no_{option.name}"]])
    numbers = NUMBERS.filter(lambda number: abs(number) < 10**30)
    fit = fitting(option).map(lambda value: ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value)
    return st.one_of(fit, fit, fit, fit, numbers, TEXTS).map(lambda value: [f"--{option.name}={value}"])


def command_lines(program):
    flags = st.one_of([one_flag(option) for option in options_of(program)])
    parts = st.one_of(*[flags] * 12, TEXTS.map(lambda text: [text]))
    lines = st.lists(parts, max_size=4).map(lambda parts: sum(parts, []))
    return st.tuples(st.just(program), lines)


@cases("flags")
@given(st.one_of([command_lines(program) for program in (TRAIN, EVAL, DATA, BENCH, PLOT, PREDICT, EXPORT, DEMO)]))
def test_flags(command_line):
    program, arguments = command_line
    complete = {BENCH: [], PLOT: ["run"], PREDICT: ["--ckpt=a", "--support=b", "--query", "c", "d"],
                EXPORT: ["--ckpt=a", "--support=b", "--file_format=ONNX", "--file_name=c"]}
    complete = complete.get(program, ["--data_path", "nowhere"])
    with contextlib.redirect_stderr(io.StringIO()):
        options = answer(parse, program, "", [*complete, *arguments])
    if options is not None and program in (TRAIN, EVAL, BENCH):
        answer(refuse_impossible, options)
    if options is not None and program in (TRAIN, EVAL, DATA):
        answer(find, options.data_path)


def test_sizes_that_cannot_be_are_refused_by_what_they_take():
    flags = ["--n_way=1000", "--k_spt=1000", "--k_qry=1000", "--task_num=4096", "--imgsz=512"]
    with pytest.raises(InputError, match="4096 tasks of 1000 classes .* would take 8.59 PB of memory"):
        refuse_impossible(parse(TRAIN, "", ["--data_path=x", *flags]))
    options = parse(TRAIN, "", ["--data_path=x"])
    for layer, words in (({"filters": 10**9}, "weights, for each of 8 tasks, would take"),
                         ({"filters": 64, "kernel": 1, "padding": 10**5}, "what the network makes of")):
        network = [{"layer": "conv2d", **layer}, {"layer": "reduce_mean"}, {"layer": "linear"}]
        with pytest.raises(InputError, match=words):
            refuse_impossible(options.but(network=network))
    for preset in PRESET_FOLDER.glob("*.yaml"):
        refuse_impossible(parse(TRAIN, "", ["--data_path=x", "--preset", str(preset)]))


# ---- presets, and options from elsewhere

PRESET_TEXT = (PRESET_FOLDER / "maml++.yaml").read_text(encoding="utf-8")
PIECES = ["- ", "&a ", "*a", "{", "}", "[", "]", ": ", "? ", "| ", "> ", "!!int ", "!!float ", "!!binary ", "!!set ",
          "!!timestamp ", "!!python/object:x ", "2001-01-01", "2001-99-99", "0x_", "0b", ".inf", "<<: ", "1:60:60", "~",
          "'", '"', "\n", "  ", "\t", "%YAML 9.9\n", "---\n", "...\n", "#", "\\x", "n_way", "network", "layer"]


@st.composite
def changed_texts(draw, text):
    """A text in which pieces were put in, taken out or repeated."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        piece = draw(st.one_of(st.sampled_from(PIECES), TEXTS))
        text = text[:start] + piece * draw(st.sampled_from([1, 1, 3, 2000])) + text[start + draw(st.integers(0, 9)):]
    return text


def written(values):
    """YAML of any values; those that YAML has no letters for are left as Python shows them."""
    try:
        return yaml.safe_dump(values)
    except (yaml.YAMLError, ValueError):
        return repr(values)[:10**6]


LAYERS = st.lists(st.fixed_dictionaries(
    {"layer": st.sampled_from(["conv2d", "bn", "relu", "max_pool2d", "reduce_mean", "flatten", "linear", "residual"])},
    optional=dict.fromkeys(["filters", "kernel", "stride", "padding", "bias", "eps", "units", "init", "layers"],
                           st.one_of(st.integers(1, 64), st.integers(1, 64), VALUES))), max_size=4).map(
    lambda layers: [*layers, {"layer": "flatten"}, {"layer": "linear"}])
YAML_TEXTS = st.one_of(
    st.text(max_size=50), st.lists(st.sampled_from(PIECES), max_size=30).map("".join), changed_texts(PRESET_TEXT),
    st.dictionaries(st.one_of(st.sampled_from(NAMES), st.just("network"), PLAIN), VALUES, max_size=4).map(written),
    MOSTLY_FITTING.map(written), LAYERS.map(lambda layers: written({"network": layers})),
    st.lists(VALUES, max_size=4).map(lambda layers: written({"network": layers})))


@cases("presets")
@given(YAML_TEXTS)
def test_presets(folder, text):
    path = folder / "preset.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    values = answer(read_preset, str(path))
    if values is not None and "network" in values:
        options = parse(TRAIN, "", ["--data_path", "x", "--task_num", "1", "--imgsz", "28"])
        answer(refuse_impossible, options.but(**values))


@cases("values")
@given(st.one_of(MOSTLY_FITTING, st.dictionaries(
    st.one_of(st.sampled_from([*NAMES, "network", "description"]), TEXTS), VALUES, max_size=3)))
def test_values(values):
    answer(check_values, values, "here")


# ---- checkpoints

WEIGHT = [{"name": "net.0.weight", "data": ms.Tensor(np.ones((2, 2), np.float32))}]
NOTES = st.one_of(VALUES.map(json.dumps), TEXTS, st.sampled_from(["[" * 5000, '{"a":' * 5000, "[" + "1," * 60000]),
                  st.dictionaries(st.sampled_from([*NAMES, "network"]), VALUES, max_size=3).map(json.dumps),
                  MOSTLY_FITTING.map(json.dumps), LAYERS.map(lambda layers: json.dumps({"network": layers})))
STATES = st.one_of(NOTES, *[st.fixed_dictionaries({"seed": value, "drawn": value}).map(json.dumps)
                            for value in (VALUES, st.integers(0, 9), st.integers(0, 9))])


def write_checkpoint(path, notes):
    ms.save_checkpoint(WEIGHT, str(path), append_dict=notes, crc_check=True)
    path.chmod(0o644)
    return path


def adopt(path):
    checkpoint = load(path)
    checkpoint.completed(Options(given=frozenset(), network=[]), [*NAMES, "network"])
    return checkpoint


@cases("notes")
@given(st.one_of(st.integers(0, 9), st.integers(0, 9), st.integers(-2**31, 2**31), st.floats(), TEXTS), NOTES, STATES)
def test_checkpoint_notes(folder, epoch, options, episodes):
    notes = {"epoch": epoch, "options": options, "episodes": episodes}
    try:
        path = write_checkpoint(folder / "notes.ckpt", notes)
    except (UnicodeEncodeError, ValueError, RuntimeError):   # MindSpore does not write them either
        return
    checkpoint = answer(adopt, path)
    if checkpoint is not None:
        assert checkpoint.epoch >= 0
        assert isinstance(checkpoint.options, dict)


@st.composite
def changed_bytes(draw, content):
    """Bytes with some changed, taken out, put in or cut off."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(content)))
        content[start:start + draw(st.integers(0, 4))] = draw(st.binary(max_size=8))
    return bytes(content[:draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))])


@cases("checkpoints")
@given(st.data())
def test_checkpoint_files(folder, data):
    path = folder / "whole.ckpt"
    if not path.exists():
        write_checkpoint(path, {"epoch": 3, "options": "{}", "episodes": '{"seed": 1, "drawn": 3}'})
    (folder / "changed.ckpt").write_bytes(data.draw(changed_bytes(path.read_bytes())))
    answer(adopt, folder / "changed.ckpt")


# ---- what a training and an evaluation write

FIGURES = [prefix + name for prefix in ("", "test_", "val_") for name in
        ("accuracy", "loss", "interval_95", "accuracies", "losses")] + ["milliseconds", "learning_rate"]
LIKELY = st.one_of(st.floats(0, 1), st.lists(st.floats(0, 1), min_size=1, max_size=3))
RECORDS = st.one_of(
    st.fixed_dictionaries({"step": st.integers(1, 9)}, optional=dict.fromkeys(FIGURES, LIKELY)),
    st.fixed_dictionaries({"step": st.one_of(st.integers(1, 9), VALUES)},
                          optional=dict.fromkeys(FIGURES, st.one_of(LIKELY, VALUES))))
LINES = st.one_of(RECORDS.map(json.dumps), RECORDS.map(json.dumps), st.text(max_size=30),
                  st.sampled_from(["[" * 5000, "{}", "[]", "3", "null", '{"step": ' + "9" * 5000 + "}"]))


def write_run(folder, lines, config="n_way: 5", results="{}"):
    folder.mkdir(exist_ok=True)
    for name, text in ((FILE_NAME, "".join(line + "\n" for line in lines)), ("config.yaml", config),
                       ("found.json", results)):
        (folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    return folder


@cases("metrics")
@given(st.lists(LINES, max_size=5))
def test_metrics(folder, lines):
    records = answer(read_metrics, write_run(folder / "run", lines) / FILE_NAME)
    if records:
        steps = [record["step"] for record in records]
        assert steps == sorted(set(steps))
        (run,) = answer(read_runs, [folder / "run"])
        run.by_epoch(), run.by_step()


@cases("runs")
@given(st.lists(RECORDS.map(json.dumps), min_size=1, max_size=3), YAML_TEXTS, VALUES.map(json.dumps))
def test_runs_are_drawn(folder, lines, config, results):
    run = write_run(folder / "_run $x_ 文", lines, config, results)
    runs = answer(read_runs, [run])
    if runs:
        draw_runs(runs, folder / "runs.png")
        draw_learning_curve(runs[0].records, runs[0].n_way or 5, folder / "curve.png")


@cases("results")
@given(st.one_of(VALUES.map(json.dumps), st.text(max_size=30), st.just("[" * 5000),
                 VALUES.map(lambda value: json.dumps({"accuracies": value}))), YAML_TEXTS)
def test_results_and_options_beside_a_run(folder, results, config):
    run = write_run(folder / "beside", ['{"step": 1, "accuracy": 0.5}'], config, results)
    (run,) = answer(read_runs, [run])
    run.by_step()


def test_pipes_beside_a_run_are_not_waited_for(folder):
    run = write_run(folder / "pipes", ['{"step": 1, "accuracy": 0.5}'])
    for name in ("config.yaml", "found.json"):
        (run / name).unlink()
        os.mkfifo(run / name)
    (read,) = answer(read_runs, [run])
    assert (read.n_way, read.evaluations) == (None, {})
    (run / FILE_NAME).unlink()
    os.mkfifo(run / FILE_NAME)
    for reader, path in ((read_runs, [run]), (read_metrics, run / FILE_NAME), (load, run / FILE_NAME)):
        assert answer(reader, path) is None


def test_a_locale_of_ascii_alone(folder):
    write_run(folder / "é文", ['{"step": 1, "accuracy": 0.5}'])
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    program = [sys.executable, str(Path(__file__).parent.parent / "plot.py")]
    for arguments, status in ((["é文", "--out", "é.png"], 0), (["é"], 2), (["é文", "--out", "é/é.doc"], 2)):
        done = subprocess.run([*program, *arguments], cwd=folder, env=environment, capture_output=True, text=True,
                              errors="replace", check=False)
        assert done.returncode == status, done.stderr
        assert len((done.stdout + done.stderr).splitlines()) == 1


# ---- pictures, archives, arrays

def picture_bytes(kind):
    content = io.BytesIO()
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(content, kind)
    return content.getvalue()


PICTURES = [picture_bytes(kind) for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "EPS")]


@cases("pictures")
@given(st.sampled_from(PICTURES).flatmap(changed_bytes) | st.binary(max_size=60))
def test_pictures(folder, content):
    (folder / "it.png").write_bytes(content)
    images, kept = answer(read_images, [folder / "it.png"], 8, 3, "photographs", True)
    assert images.shape == (len(kept), 3, 8, 8)


def archive_bytes():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for top in ("images_background", "images_evaluation"):
            archive.writestr(f"{top}/A/c/1.png", picture_bytes("PNG"))
    return content.getvalue()


@cases("archives")
@given(changed_bytes(archive_bytes()) | st.binary(max_size=60))
def test_archives(tmp_path_factory, content):
    place = tmp_path_factory.mktemp("archive")
    (place / "it.zip").write_bytes(content)
    answer(unpack, [place / "it.zip"], place / "out")
    assert set(os.listdir(place)) <= {"it.zip", "out"}


def array_bytes(array):
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    return content.getvalue()


ARRAYS = [array_bytes(np.arange(256).reshape(4, 1, 1, 8, 8).astype(kind)) for kind in (np.uint8, np.float32, np.int64)]
HEADS = st.one_of(TEXTS, st.builds(
    "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}".format,
    st.sampled_from(["|u1", "<f8", "<f2", ">i4", "|O", "|b1", "<c8", "<M8[s]", "|S9", "<U4"]),
    st.lists(st.one_of(st.integers(0, 9), NUMBERS), max_size=6).map(tuple)))


def with_head(head):
    head = head.encode("utf-8", "surrogatepass")[:60000]
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(256)


@cases("arrays")
@given(st.one_of(st.sampled_from(ARRAYS).flatmap(changed_bytes), HEADS.map(with_head), st.binary(max_size=60)))
def test_arrays(folder, content):
    (folder / "omniglot.npy").write_bytes(content)
    images = answer(load_npy, folder / "omniglot.npy", 8, 1)
    if images is not None:
        assert images.dtype == np.uint8
        assert images.shape[2:] == (1, 8, 8)


# ---- what the data were made of

RECIPE = st.fixed_dictionaries({"folder": st.just("nowhere"), "test_folder": st.just(""), "val_fraction": st.just(0.5),
                                "imgsz": st.sampled_from([8, 8, 0, -8, 10**9]), "imgc": st.just(1)}) | VALUES
CLASS_NOTES = st.fixed_dictionaries({
    "recipe": RECIPE, "made_of": st.just("") | VALUES, "counts": st.just([1, 3]) | st.lists(NUMBERS) | VALUES,
    "names": st.just(["a", "b"]) | VALUES, "n_train": st.integers(-1, 3) | VALUES}).map(json.dumps) | NOTES


@cases("classes")
@given(CLASS_NOTES, st.sampled_from([(4, 1, 8, 8), (0, 1, 8, 8), (4, 8, 8), ()]))
def test_notes_of_classes(folder, notes, shape):
    with (folder / "classes.npz").open("wb") as file:
        np.savez(file, images=np.ones(shape, np.uint8),
                 notes=np.frombuffer(notes.encode("utf-8", "surrogatepass"), np.uint8))
    classes = answer(own_classes.load, folder / "classes.npz", 8, 1)
    if classes is not None:
        assert len(classes) == 2


@cases("class arrays")
@given(NOTES | st.fixed_dictionaries({"folder": VALUES, "made_of": VALUES, "array": VALUES}).map(json.dumps))
def test_notes_of_an_array(folder, notes):
    place = folder / "noted"
    place.mkdir(exist_ok=True)
    (place / "omniglot.npy").write_bytes(ARRAYS[0])
    (place / "omniglot.json").write_bytes(notes.encode("utf-8", "surrogatepass"))
    assert answer(load_images, place, 8, 1).shape == (4, 1, 1, 8, 8)


def test_layers_of_any_kind_still_pass():
    for layers in NETWORKS.values():
        assert check_values({"network": layers}, "here") == {"network": layers}
