"""Lake's runs: read from a folder or an archive, answered by eval.py, and what is refused."""
import json
import re
import shutil
import zipfile

import numpy as np
import pytest
from checkpoints import write
from small_omniglot import draw

from mindspore_maml.cli.errors import InputError
from mindspore_maml.data.lake_runs import LABELS, read_runs
from mindspore_maml.programs import evaluate

WAYS, RUNS = 3, 2


def make_runs(folder):
    """Runs whose questions are the examples themselves, in another order."""
    for run in (f"run{number:02}" for number in range(1, RUNS + 1)):
        lines = []
        for number in range(WAYS):
            answer = (number + 1) % WAYS
            draw(folder / run / "training" / f"class{number + 1:02}.png", 80 * number, (30, 30), "1")
            draw(folder / run / "test" / f"item{number + 1:02}.png", 80 * answer, (30, 30), "1")
            lines.append(f"{run}/test/item{number + 1:02}.png {run}/training/class{answer + 1:02}.png\n")
        (folder / run / LABELS).write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.fixture
def runs(tmp_path):
    return make_runs(tmp_path / "all_runs")


def zipped(folder, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def test_folder_and_archive_hold_the_same(runs, tmp_path):
    found = [read_runs(path) for path in (runs, zipped(runs, tmp_path / "all_runs.zip"))]
    for each in found:
        assert (each.names, each.n_way) == (("run01", "run02"), WAYS)
        assert each.answers.tolist() == [[1, 2, 0]] * RUNS
    examples, questions = found[0].images(12, 1)
    assert (examples.shape, questions.shape, examples.dtype) == ((2, 3, 1, 12, 12), (2, 3, 1, 12, 12), np.uint8)
    assert (examples[0, 0, 0, 0, 0], examples[0, 0, 0, -1, -1]) == (255, 0)   # ink is high
    assert all(np.array_equal(a, b) for a, b in zip(found[1].images(12, 1), (examples, questions)))


def evaluated(monkeypatch, capsys, tmp_path, *arguments):
    monkeypatch.setattr("sys.argv", ["eval.py", *map(str, arguments), "--workers", "1", "--json",
                                     str(tmp_path / "r.json")])
    assert evaluate.main() == 0
    return capsys.readouterr().out, json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("views", [1, 3])
def test_eval_prints_the_error_of_each_run_and_the_mean(runs, tmp_path, monkeypatch, capsys, views):
    path, *_ = write(tmp_path / "ckpt", n_way=5, task_num=4) if (tmp_path / "ckpt").mkdir() is None else ()
    printed, results = evaluated(monkeypatch, capsys, tmp_path, "--ckpt", path, "--runs", runs, "--statistics",
                                 "support", "--views", views)
    lines = re.findall(r"^\[([\d.]+)\]$", printed, re.MULTILINE)
    assert len(lines) == RUNS + 1
    errors = list(map(float, lines))
    assert errors[-1] == pytest.approx(np.mean(errors[:-1]), abs=1e-6) == pytest.approx(results["error"], abs=1e-6)
    assert list(results["errors"].values()) == pytest.approx(errors[:-1], abs=1e-6)
    assert re.search(rf"2 runs, 3-way 1-shot, .* statistics of the support images(, {views} views.*)?$", printed)


def test_a_run_is_a_batch_of_one_task_for_whoever_shares_it_out(runs, monkeypatch):
    found = []
    monkeypatch.setattr("sys.argv", ["eval.py", "--ckpt", "x", "--runs", str(runs), "--task_num", "32"])
    monkeypatch.setattr(evaluate.device, "set_up_for", lambda options: found.append(options.task_num) or 1)
    with pytest.raises(InputError, match="--ckpt x: no such file"):
        evaluate.main()
    assert found == [1]


def spoil(runs, kind):
    labels = runs / "run02" / LABELS
    if kind == "empty":
        shutil.rmtree(runs)
        runs.mkdir()
    elif kind == "lost":
        (runs / "run02" / "test" / "item02.png").unlink()
    elif kind == "outside":
        labels.write_text("run02/test/item01.png ../../secret.png\n", encoding="utf-8")
    elif kind == "torn":
        labels.write_text("run02/test/item01.png\n", encoding="utf-8")
    elif kind == "one":
        labels.write_text("run02/test/item01.png run02/training/class01.png\n", encoding="utf-8")
    elif kind == "fewer":
        labels.write_text("".join(labels.read_text(encoding="utf-8").splitlines(keepends=True)[:2]), encoding="utf-8")
    else:
        (runs / "run02" / "training" / "class01.png").write_bytes(b"no picture")


@pytest.mark.parametrize(("kind", "message"), [
    ("empty", "holds no folder with a class_labels.txt"), ("lost", "run02/test/item02.png: no such file"),
    ("outside", "a line is 'run02/test/item01.png ../../secret.png'"), ("torn", "expected two files"),
    ("one", "names 1 classes"), ("fewer", "run02 has 2 classes and 2 questions; expected 3 and 3"),
    ("damaged", "class01.png: not readable")])
def test_what_is_no_run_is_refused(runs, kind, message):
    spoil(runs, kind)
    with pytest.raises(InputError, match=re.escape(message)):
        read_runs(runs)


def test_no_such_archive(tmp_path):
    with pytest.raises(InputError, match="no such file or folder; expected all_runs.zip"):
        read_runs(tmp_path / "none.zip")
    (tmp_path / "bad.zip").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"bad.zip: damaged"):
        read_runs(tmp_path / "bad.zip")
