"""predict.py, and eval.py --classes, as a user types them: a folder a class, other images, and what is said of them."""
import contextlib
import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from own_images import CLASSES, shape, write_folders
from PIL import Image

from mindspore_maml.cli.errors import InputError
from mindspore_maml.programs import evaluate as eval_program
from mindspore_maml.programs import predict

WAYS = 4


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """support/, a folder a class with 1 to 4 images, and query/ with two of each class and a damaged one."""
    folder = tmp_path_factory.mktemp("mine")
    write_folders(folder / "support", WAYS, seed=1)
    (folder / "query").mkdir()
    draws = np.random.default_rng(2)
    for number, name in enumerate(CLASSES[:WAYS] * 2):
        shape(name, draws).save(folder / "query" / f"{number} {name}.png")
    (folder / "query" / "broken.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def predicted(trained_path, mine):
    """One run that writes all it can, and what it printed."""
    out, stdout, stderr = mine / "out", io.StringIO(), io.StringIO()
    arguments = ("--ckpt", trained_path, "--support", mine / "support", "--query", mine / "query", "--json", "-",
                 "--csv", out / "table.csv", "--picture", out / "picture.png")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        patch.setattr("sys.argv", ["predict.py", *map(str, arguments)])
        assert predict.main() == 0
    return SimpleNamespace(stdout=stdout.getvalue(), stderr=stderr.getvalue()), out


def test_every_image_gets_a_class_and_a_probability(predicted):
    results = json.loads(predicted[0].stdout)   # nothing else is on standard output
    assert results["support_images"] == {name: number + 1 for number, name in enumerate(CLASSES[:WAYS])}
    assert [Path(each["file"]).name for each in results["images"]] \
        == sorted(f"{number} {name}.png" for number, name in enumerate(CLASSES[:WAYS] * 2))
    right = 0
    for each in results["images"]:
        ranked = sorted(each["probabilities"], key=each["probabilities"].get, reverse=True)
        assert [each["class"], each["second"]] == ranked[:2]
        assert each["probability"] == each["probabilities"][ranked[0]]
        assert sum(each["probabilities"].values()) == pytest.approx(1)
        right += Path(each["file"]).stem.endswith(each["class"])
    assert right >= 6


def test_the_table_shows_them_in_columns(predicted):
    lines = predicted[0].stderr.splitlines()
    assert any("broken.jpg: not readable" in line and "left out" in line for line in lines)
    head = next(number for number, line in enumerate(lines) if line.startswith("file"))
    rows = lines[head + 1:head + 1 + 2 * WAYS]
    for row, each in zip(rows, json.loads(predicted[0].stdout)["images"]):
        expected = [each["file"], each["class"], f"{each['probability']:.3f}", each["second"],
                    f"{each['second_probability']:.3f}"]
        assert row.split() == " ".join(expected).split()
    assert "12 inner steps on 10 support images of 4 classes, statistics of the support images" \
        in lines[head + 1 + 2 * WAYS]


def test_csv_and_picture_hold_the_same(predicted):
    done, out = predicted
    with (out / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row, each in zip(rows, json.loads(done.stdout)["images"], strict=True):
        assert (row["file"], row["class"]) == (each["file"], each["class"])
        assert float(row[f"p({each['second']})"]) == each["second_probability"]
    with Image.open(out / "picture.png") as picture:
        assert len(picture.convert("L").getcolors()) > 20


@pytest.mark.parametrize(("changes", "message"), [
    ({"--support": "missing"}, "--support .*missing: no such folder"),
    ({"--support": "query"}, "--support .*query: holds no folders"),
    ({"--support": "bad"}, "a/broken.png: not readable"),
    ({"--support": "hollow"}, "hollow: b holds no images"),
    ({"--support": "single"}, "single: holds one class; expected at least 2"),
    ({"--query": "nothing"}, "--query .*nothing: no such file or folder"),
    ({"--query": "hollow/b"}, "--query .*hollow/b: this folder holds no images"),
    ({"--query": "query/broken.jpg"}, "--query: none of 1 files can be read"),
    ({"--json": "support"}, "--json .*support: cannot write this file .*folder"),
    ({"--csv": "support"}, "--csv .*support: cannot write this file .*folder"),
    ({"--csv": "query/broken.jpg/a.csv"}, "--csv .*: cannot make this folder"),
    ({"--picture": "folder.png"}, "--picture .*folder.png: cannot write this file .*folder"),
    ({"--picture": "out.doc"}, r"--picture .*out\.doc: no such kind of picture"),
    ({"--ckpt": "missing"}, "--ckpt .*missing: no such file or folder"),
])
def test_what_cannot_be_is_one_line(trained_path, mine, changes, message, monkeypatch):
    for folder in ("bad/a", "bad/b", "hollow/a", "hollow/b", "single/a", "folder.png"):
        (mine / folder).mkdir(parents=True, exist_ok=True)
        if folder not in ("hollow/b", "folder.png"):
            shape("cross", np.random.default_rng(1)).save(mine / folder / "x.png")
    (mine / "bad/a/broken.png").write_bytes(b"\x89PNG nothing")
    arguments = {"--ckpt": trained_path, "--support": mine / "support", "--query": mine / "query"}
    arguments |= {flag: mine / name for flag, name in changes.items()}
    monkeypatch.setattr("sys.argv", ["predict.py", *(str(part) for pair in arguments.items() for part in pair)])
    if {"--json", "--csv", "--picture"} & set(changes):   # refused before any work
        monkeypatch.setattr(predict, "learn_from_folder", None)
    with pytest.raises(InputError, match=message):
        predict.main()


def evaluate(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["eval.py", *map(str, arguments)])
    return eval_program.main()


def test_evaluation_draws_tasks_from_own_classes(trained_path, mine, monkeypatch, capsys):
    out = mine / "eval.json"
    assert evaluate(monkeypatch, "--ckpt", trained_path, "--classes", mine / "support", "--task_num", 2, "--workers", 1,
                    "--test_batches", 3, "--json", out, "--csv", mine / "eval.csv",
                    "--confusion", mine / "eval.png") == 0
    printed = capsys.readouterr().out
    assert f"left out, for --k_spt 1 and a query image need 2 images: {CLASSES[0]}" in printed
    assert "k_qry 15 -> 1: the smallest class has 2 images" in printed
    results = json.loads(out.read_text())
    assert (results["tasks"], results["n_way"], results["k_qry"]) == (6, 3, 1)
    assert results["mean"] > 0.5
    assert (set(results["by_character"]), results["by_alphabet"]) == (set(CLASSES[1:WAYS]), {})
    assert (mine / "eval.csv").read_text().startswith("task,question,class,found,probability\n1,1,")
    assert (mine / "eval.png").read_bytes()[:4] == b"\x89PNG"


def test_where_the_classes_are_known_there_is_a_confusion_matrix(trained_path, mine, monkeypatch, capsys):
    write_folders(mine / "known", 3, seed=3)   # 1, 2 and 3 images
    arguments = ["--ckpt", trained_path, "--support", mine / "support", "--query", mine / "known", "--csv",
                 mine / "known.csv", "--json", mine / "known.json", "--confusion", mine / "known.png"]
    monkeypatch.setattr("sys.argv", ["predict.py", *map(str, arguments)])
    assert predict.main() == 0
    results = json.loads((mine / "known.json").read_text())
    assert np.sum(results["confusion"], axis=1).tolist() == [1, 2, 3, 0]
    assert np.trace(results["confusion"]) == sum(each["class"] == each["true"] for each in results["images"]) >= 4
    with (mine / "known.csv").open(newline="", encoding="utf-8") as file:
        assert [row["true"] for row in csv.DictReader(file)] == [each["true"] for each in results["images"]]
    assert (mine / "known.png").read_bytes()[:4] == b"\x89PNG"
    monkeypatch.setattr("sys.argv", ["predict.py", *map(str, [*arguments[:5], mine / "query", *arguments[-2:]])])
    with pytest.raises(InputError, match="--confusion .*: no image of --query lies in a folder that has the name of"):
        predict.main()


def test_evaluation_without_any_images_is_refused(trained_path, mine, monkeypatch):
    with pytest.raises(InputError, match="--data_path is missing; .* or --classes"):
        evaluate(monkeypatch, "--ckpt", trained_path, "--workers", 1)
    with pytest.raises(InputError, match="--classes .*query: holds no folders"):
        evaluate(monkeypatch, "--ckpt", trained_path, "--workers", 1, "--classes", mine / "query")
