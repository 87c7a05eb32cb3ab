"""Input that is large or strange: long files, names with escapes and of no UTF-8, loops of links, arrays that lie."""
import csv
import json
import logging
import os
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from checkpoints import RUN
from checkpoints import write as write_checkpoint
from PIL import Image

from mindspore_maml import Omniglot
from mindspore_maml.cli.atomic_files import as_csv, as_json, replacing, result_file
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.messages import show_messages
from mindspore_maml.cli.options import EVAL
from mindspore_maml.data import own_classes
from mindspore_maml.data.origin import fingerprint
from mindspore_maml.Omniglot import load_npy
from mindspore_maml.OmniglotIter import OmniglotIter
from mindspore_maml.pictures.curves import MOST_EVALUATIONS, draw_runs, read_runs
from mindspore_maml.pictures.prediction import draw_prediction
from mindspore_maml.training import checkpoint, run_log
from mindspore_maml.training.from_options import load_trained

ROOT = Path(__file__).resolve().parent.parent
ESCAPES = "\x1b[2J\x9b31mred\nforged: a line"
NO_UTF_8 = os.fsdecode(b"bad\xff")


def write_metrics(path, steps, run=RUN, tail=""):
    lines = [{"run": run}, *({"step": step, "loss": 1.5, "accuracy": 0.5} for step in steps)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + tail)
    return path


@pytest.mark.parametrize("done", [0, 3, 4, 99])
@pytest.mark.parametrize("tail", ["", '{"step": 7, "loss', "\n"])
def test_metrics_are_cut_where_a_run_goes_on(done, tail, tmp_path):
    path = write_metrics(tmp_path / "metrics.jsonl", range(1, 7), tail=tail if tail != "\n" else "")
    run_log.begin_metrics(path, RUN, done)
    assert [record["step"] for record in run_log.read_metrics(path)] == [step for step in range(1, 7) if step <= done]
    assert run_log.read_run(path) == RUN
    assert path.read_bytes().endswith(b"\n")


@pytest.mark.parametrize(("steps", "run"), [([1, 2, 3, 2, 3, 4], RUN), ([1, 2, 3, 4], "20260101-120000-000000")])
def test_metrics_whose_steps_do_not_rise_or_of_another_run_are_written_anew(steps, run, tmp_path):
    path = write_metrics(tmp_path / "metrics.jsonl", steps, run)
    run_log.begin_metrics(path, RUN, 3)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"run": RUN}, *({"step": step, "loss": 1.5, "accuracy": 0.5} for step in (1, 2, 3))]


def test_long_metrics_are_cut_soon(tmp_path):
    path = write_metrics(tmp_path / "metrics.jsonl", range(1, 100_000))
    began = time.monotonic()
    run_log.begin_metrics(path, RUN, 90_000)
    assert time.monotonic() - began < 2   # read as JSON they take ten times as long as this took
    assert path.read_bytes().rpartition(b"{")[2].startswith(b'"step": 90000,')
    assert run_log.holds_record(path)


def test_of_many_evaluations_the_newest_are_drawn(tmp_path, caplog):
    write_metrics(tmp_path / "metrics.jsonl", [1, 2])
    for number in range(300):
        (tmp_path / f"{number}.json").write_text(json.dumps({"accuracies": [0.2, 0.5]}))
        os.utime(tmp_path / f"{number}.json", (number, number))
    with caplog.at_level(logging.INFO, "mindspore_maml"):
        (run,) = read_runs([tmp_path])
    assert set(run.evaluations) == {f"{number}.json" for number in range(300 - MOST_EVALUATIONS, 300)}
    assert "holds 300 evaluations; the newest 12 are drawn" in caplog.text
    draw_runs([run], tmp_path / "it.png")


OTHERS = """
import os, sys
from mindspore_maml.cli.atomic_files import make_folder
from mindspore_maml.cli.errors import InputError
from mindspore_maml.data.own_classes import class_folders
from mindspore_maml.data_preprocess import load_images
from mindspore_maml.training.checkpoint import load
if not os.getuid():   # a name that may do anything: not so without these capabilities, CAP_DAC_OVERRIDE and its like
    import ctypes
    libc, head, data = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert not libc.capset(head, data)
for call, *arguments in ((load, "shut.ckpt"), (load, "shut"), (class_folders, "shut"), (load_images, "shut", 8, 1),
                         (make_folder, "shut/x", "--output_dir")):
    try:
        print("not refused", call(*arguments))
    except InputError as error:
        print("refused" if "ermission denied" in str(error) else error)
"""


def test_other_users_files_and_folders_are_refused_in_one_line(tmp_path):
    (tmp_path / "shut").mkdir()
    (tmp_path / "shut.ckpt").touch(0)
    (tmp_path / "shut").chmod(0)
    done = subprocess.run([sys.executable, "-c", OTHERS], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stdout.splitlines()) == (0, ["refused"] * 5), done.stderr


# ---- what is shown

def test_what_is_said_is_one_line_without_escapes(capsys):
    log = logging.getLogger("mindspore_maml")
    before = log.handlers[:], log.level, log.propagate
    try:
        show_messages()
        log.warning(f"{ESCAPES}: holds no image")
    finally:
        log.handlers, log.level, log.propagate = before
    assert capsys.readouterr().out == "warning: \\x1b[2J\\x9b31mred\\nforged: a line: holds no image\n"


def test_a_checkpoint_says_what_it_is_in_one_line(tmp_path):
    it = checkpoint.Checkpoint(tmp_path, {}, options={"preset": ESCAPES})
    assert str(it).isprintable()


def test_cells_that_spreadsheets_take_for_formulas_are_texts():
    cells = ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "\t=1", "a=b", "", -1.5]
    (row,) = csv.reader(as_csv([cells]).decode().splitlines(keepends=True))
    assert row == ["'=cmd|' /C calc'!A0", "'+1", "'-1", "'@x", "'\t=1", "a=b", "", "-1.5"]


def test_no_json_holds_what_is_no_number(tmp_path):
    with pytest.raises(InputError, match="--json: a result is no finite number"):
        as_json({"mean": float("nan")})


def test_results_get_their_names_all_or_none(tmp_path):
    def write_all(last):
        with result_file(tmp_path / "a", "--csv") as first, result_file(tmp_path / "b", "--json") as second:
            first.write_text("new")
            second.write_text("new")
            last()

    def fails():
        raise TypeError("in the middle")

    (tmp_path / "a").write_text("old")
    with pytest.raises(TypeError):
        write_all(fails)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"
    write_all(lambda: None)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "new", "b": "new"}


@pytest.mark.parametrize("name", [NO_UTF_8, ESCAPES, "$x$", "\ud800"])
def test_any_name_of_a_class_is_drawn(name, tmp_path):
    images = np.zeros((2, 1, 8, 8), np.uint8)
    model = Namespace(numbers_=np.array([0, 1]), support_=images, classes_=np.array([name, "b"]),
                      options=lambda: Namespace(images="drawings"))
    answers = [{"class": name, "probability": 0.5, "known": True}] * 2
    draw_prediction(model, images, answers, tmp_path / f"{NO_UTF_8}.png")
    assert len(os.listdir(os.fsencode(tmp_path))) == 1


# ---- data

def test_an_array_of_floats_takes_no_more_than_its_images(tmp_path):
    """Sparse: three gigabytes that say zero are refused by some of them."""
    head = {"descr": "<f8", "fortran_order": False, "shape": (24_000, 20, 1, 28, 28)}
    with (tmp_path / "omniglot.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, head)
        file.truncate(file.tell() + 24_000 * 20 * 784 * 8)
    began = time.monotonic()
    with pytest.raises(InputError, match="all its numbers are the same"):
        load_npy(tmp_path / "omniglot.npy", 28, 1)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("values", [[0, 255], [255] * 3 + [0], [127, 128], [0, 0, 128, 128], [127, 127, 129, 200]])
def test_paper_is_told_by_the_median(values, tmp_path):
    images = np.resize(np.array(values, np.uint8), (4, 2, 1, 8, 8))
    np.save(tmp_path / "omniglot.npy", images)
    expected = 255 - images if np.median(images) >= 127.5 else images
    np.testing.assert_array_equal(load_npy(tmp_path / "omniglot.npy", 8, 1), expected)


def test_a_loop_of_links_is_no_folder_and_no_picture(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(tmp_path / name / "1.png")
        (tmp_path / name / "loop.png").symlink_to(tmp_path / name / "loop.png")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert fingerprint([tmp_path])
    classes = own_classes.build(tmp_path / "classes.npz", own_classes.Recipe(str(tmp_path), "", 0.5, 8, 1))
    assert classes.counts.tolist() == [1, 1]
    assert len(own_classes.load(tmp_path / "classes.npz", 8, 1)) == 2


@pytest.mark.parametrize("folder", ["", ".", "a"])
def test_classes_are_not_made_of_the_folder_a_program_happens_to_run_in(folder, tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(tmp_path / name / "1.png")
    monkeypatch.chdir(tmp_path)
    path = Path("classes.npz")
    notes = {"recipe": {"folder": folder, "test_folder": "", "val_fraction": 0.5, "imgsz": 8, "imgc": 1},
             "made_of": "x", "counts": [1, 1], "names": ["c", ESCAPES], "n_train": 1}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, images=np.ones((2, 1, 8, 8), np.uint8),
                 notes=np.frombuffer(json.dumps(notes).encode(), np.uint8))
    before = path.read_bytes()
    assert own_classes.load(path, 8, 1).names == ("c", ESCAPES)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("ink", "paper"), [(1, 1), (1, 1.0000000000000002), (0, 0), (255, 254.9)])
def test_ink_that_can_hardly_be_told_from_paper_is_refused(ink, paper, tmp_path):
    images = np.zeros((5, 4, 1, 8, 8), np.uint8)
    with pytest.raises(InputError, match="are the same, or nearly; expected two different values"):
        OmniglotIter(images, n_way=2, k_spt=1, k_qry=1, task_num=1, batches=1, seed=1, ink=ink,
                     paper=paper)
    path, *_ = write_checkpoint(tmp_path)
    flags = ["--data_path", ".", "--ckpt", str(path), "--ink", repr(ink), "--paper", repr(paper)]
    with pytest.raises(InputError, match="are the same, or nearly"):
        load_trained(parse(EVAL, "", flags))


def test_an_array_that_is_cut_off_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "omniglot.npy"
    np.save(path, np.random.default_rng(1).integers(0, 256, (40, 20, 1, 28, 28), np.uint8))
    refuse = Omniglot.refuse_beyond_memory

    def cut(*arguments):
        os.truncate(path, 5000)
        refuse(*arguments)

    monkeypatch.setattr(Omniglot, "refuse_beyond_memory", cut)
    with pytest.raises(InputError, match="cut off while it was read"):
        load_npy(path, 28, 1)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axes", [(0, 1, 2, 3, 4), (0, 1, 3, 4, 2)])
def test_arrays_in_any_order_are_the_same_images(order, axes, tmp_path):
    images = np.random.default_rng(1).integers(0, 100, (4, 2, 3, 8, 8), np.uint8)
    for kind, factor in ((np.uint8, 1), (np.float64, 255)):
        np.save(tmp_path / "omniglot.npy", np.asarray((images / factor).astype(kind).transpose(axes), order=order))
        np.testing.assert_array_equal(load_npy(tmp_path / "omniglot.npy", 8, 3), images)


def test_classes_that_are_little_on_the_disk_and_much_in_memory_are_refused(tmp_path):
    with (tmp_path / "classes.npz").open("wb") as file:
        np.savez_compressed(file, images=np.zeros((20_000, 1, 28, 28), np.uint8), notes=np.zeros(9, np.uint8))
    assert (tmp_path / "classes.npz").stat().st_size < 100_000
    with pytest.raises(InputError, match="its arrays are compressed"):
        own_classes.load(tmp_path / "classes.npz", 28, 1)
