"""The curves: what they show for known figures, of which runs, and what plot.py and a training make of them."""
import json
import sys

import numpy as np
import pytest

from mindspore_maml.cli.errors import InputError
from mindspore_maml.pictures.curves import (
    MOST_POINTS,
    PAUSE,
    PICTURE,
    RunPicture,
    draw_learning_curve,
    draw_runs,
    read_runs,
)
from mindspore_maml.programs import plot
from mindspore_maml.training.run_log import FILE_NAME


def is_picture(path):
    return path.read_bytes()[:4] == b"\x89PNG"


def write_run(folder, records, n_way=None):
    folder.mkdir(parents=True)
    (folder / FILE_NAME).write_text("".join(json.dumps(record) + "\n" for record in records))
    if n_way:
        (folder / "config.yaml").write_text(f"n_way: {n_way}\n")
    return folder


@pytest.fixture
def tested(tmp_path):
    """A run with test passes and everything measured by inner step, and an evaluation of it."""
    records = [{"step": 1, "accuracy": 0.3, "accuracies": [0.2, 0.3]},
               {"step": 2, "accuracy": 0.5, "accuracies": [0.2, 0.5], "test_accuracy": 0.4, "test_interval_95": 0.1,
                "test_accuracies": [0.1, 0.3, 0.4]},
               {"step": 4, "accuracy": 0.7, "accuracies": [0.2, 0.7], "test_accuracy": 0.6, "test_interval_95": 0.1,
                "test_accuracies": [0.2, 0.5, 0.6]}]
    folder = write_run(tmp_path / "first" / "out", records, n_way=5)
    (folder / "found.json").write_text(json.dumps({"accuracies": [0.2, 0.5, 0.6, 0.65]}))
    for number, content in enumerate(("[]", "{}", "no JSON", '{"accuracies": "many"}')):
        (folder / f"other{number}.json").write_text(content)
    return folder


@pytest.fixture
def validated(tmp_path):
    """A run of another number of classes, in a folder of the same name."""
    records = [{"step": 1, "accuracy": 0.2}, {"step": 3, "accuracy": 0.4, "val_accuracy": 0.35, "val_interval_95": 0.1}]
    return write_run(tmp_path / "second" / "out", records, n_way=20)


def points(axes):
    """The curves of a panel that are not guessing: their points."""
    return [line.get_xydata().tolist() for line in axes.lines if line.get_transform() == axes.transData]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_curve_shows_the_records(tmp_path):
    records = [{"step": step, "loss": 2 / step, "accuracy": 1 - 0.8 / step} for step in (1, 11, 21)]
    figure = draw_learning_curve(records, 5, tmp_path / "curve.png")
    assert is_picture(tmp_path / "curve.png")
    loss, accuracy = figure.axes
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[r["step"], r[name]] for r in records])
        assert name in axes.get_ylabel()
    assert accuracy.lines[1].get_ydata()[0] == 0.2   # guessing


def test_several_runs_are_drawn_together(tested, validated, tmp_path):
    figure = draw_runs(read_runs([tested, validated, tested]), tmp_path / "runs.png")
    assert is_picture(tmp_path / "runs.png")
    by_epoch, by_step = figure.axes
    assert points(by_epoch) == [[[1, 0.3], [2, 0.5], [4, 0.7]], [[2, 0.4], [4, 0.6]],
                                [[1, 0.2], [3, 0.4]], [[3, 0.35]]]
    np.testing.assert_allclose(points(by_step)[0], [[0, 0.2], [1, 0.5]])   # the mean of three batches
    assert points(by_step)[1:] == [[[0, 0.2], [1, 0.5], [2, 0.6]],         # the last of the test passes
                                   [[0, 0.2], [1, 0.5], [2, 0.6], [3, 0.65]]]
    assert sorted(line.get_ydata()[0] for line in by_epoch.lines if line.get_transform() != by_epoch.transData) \
        == [0.05, 0.2]
    assert legend(figure) == ["first/out", "second/out", "training", "test", "validation", "found.json", "guessing"]
    assert [line.get_color() for line in by_epoch.lines[:4]] == ["C0", "C0", "C1", "C1"]
    for axes in figure.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()


@pytest.mark.parametrize("panels", [1, 2])
def test_the_legend_covers_no_curve_and_nothing_is_cut_off(panels, tested, validated, tmp_path):
    long = write_run(tmp_path / ("a_name_that_takes_a_good_deal_of_room_" * 4), [{"step": 1, "accuracy": 0.5}])
    figure = draw_runs(read_runs([tested, validated, long][2 - panels:]), tmp_path / "runs.png")
    assert len(figure.axes) == panels
    figure.draw_without_rendering()   # the file had other pixels
    box = figure.legends[0].get_window_extent()
    for axes in figure.axes:
        assert not box.overlaps(axes.get_tightbbox())
    for artist in (*figure.axes, *figure.legends):
        (left, bottom), (right, top) = figure.bbox.get_points()
        (x0, y0), (x1, y1) = artist.get_tightbbox().get_points()
        assert left <= x0 < x1 <= right
        assert bottom <= y0 < y1 <= top


def test_a_run_without_inner_steps_has_one_panel(validated, tmp_path):
    figure = draw_runs(read_runs([validated]), tmp_path / "runs.png")
    assert len(figure.axes) == 1
    assert legend(figure) == ["out", "training", "validation", "guessing"]


def test_a_long_curve_is_averaged(tmp_path):
    count = 10 * MOST_POINTS
    folder = write_run(tmp_path / "long", [{"step": step, "accuracy": step % 2} for step in range(1, count + 1)])
    (curve,) = points(draw_runs(read_runs([folder]), tmp_path / "runs.png").axes[0])
    np.testing.assert_allclose(curve, [[10 * number + 5.5, 0.5] for number in range(MOST_POINTS)])


def test_the_picture_of_a_training_is_refreshed_now_and_then(tested, monkeypatch, capsys):
    now = 100.0
    monkeypatch.setattr("mindspore_maml.pictures.curves.time.monotonic", lambda: now)
    path, picture = tested / PICTURE, RunPicture(tested)
    picture.refresh()
    assert is_picture(path)
    for passed, at_once, drawn in ((PAUSE - 1, False, False), (PAUSE - 1, True, True), (PAUSE, False, True)):
        path.unlink(missing_ok=True)
        now += passed
        picture.refresh(at_once)
        assert path.exists() == drawn
    assert capsys.readouterr().out == ""


def test_a_picture_that_cannot_be_drawn_does_not_stop_a_training(tmp_path, capsys):
    RunPicture(write_run(tmp_path / "empty", [])).refresh()
    RunPicture(tmp_path / "missing").refresh()
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2
    assert all(line.startswith(f"{PICTURE} is not drawn: ") for line in printed)


def draw(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["plot.py", *map(str, arguments)])
    return plot.main()


def test_the_program_draws_runs_into_a_file(tested, validated, tmp_path, monkeypatch, capsys):
    out = tmp_path / "new" / "both.png"
    assert draw(monkeypatch, tested, validated, "--out", out) == 0
    assert is_picture(out)
    assert capsys.readouterr().out == f"{out}\n"


@pytest.mark.parametrize(("arguments", "message"), [
    ([], "RUN"),
    (["nowhere"], f"nowhere: holds no {FILE_NAME}; expected"),
    (["empty"], f"{FILE_NAME}: holds no record yet"),
    (["first/out", "--out", "runs.doc"], "--out runs.doc: no such kind of picture; expected .*.png"),
    (["first/out", "--out", "/proc/self/runs.png"], "--out /proc/self/runs.png: cannot write"),
    (["first/out", "--bogus"], "--bogus"),
])
def test_the_program_refuses(arguments, message, tested, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "empty", [])
    with pytest.raises(InputError, match=message) as refusal:
        draw(monkeypatch, *arguments)
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.rglob("*.png"))
