"""Lake's challenge as it is published: every figure is measured once for a network, and the table says all of them."""
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import published, results
from benchmarks.cells import CELLS, Cell
from mindspore_maml.cli.errors import InputError

WHERE = "x", "y.zip"   # Omniglot, and the runs


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """The flags of every evaluation that is asked for; each finds another figure."""
    made = []

    def evaluate(flags):
        made.append(flags)
        value = 0.01 * len(made)
        return {"error": value, "interval_95": 0.005} if "runs" in flags else {"mean": 1 - value, "interval_95": 0.005}
    monkeypatch.setattr(published, "evaluate", evaluate)
    (tmp_path / "maml-5_1.ckpt").write_bytes(b"one network")
    return made


def test_nothing_is_measured_twice(calls, tmp_path):
    path = tmp_path / "maml-5_1.ckpt"
    known = published.lake_results(path, *WHERE)
    assert len(calls) == 8
    assert {(flags["statistics"], flags.get("views", 1), "runs" in flags) for flags in calls} == {
        (statistics, views, runs) for statistics in ("support", "query") for views in (1, published.VIEWS["views"])
        for runs in (False, True)}
    assert published.lake_results(path, *WHERE) == known
    assert len(calls) == 8
    path.write_bytes(b"another network")
    published.lake_results(path, *WHERE)
    assert len(calls) == 16


def test_the_table_says_every_figure(calls, tmp_path):
    text = published.lake_table(published.lake_results(tmp_path / "maml-5_1.ckpt", *WHERE))
    people, program, support, query = text.splitlines()[2:]
    assert ("4.5 %" in people, "3.3 %" in program) == (True, True)
    for row, first in ((support, 1), (query, 2)):   # of either number of views the support's statistics come first
        assert row.endswith("".join(f"| {number}.0 ± 0.5 % " for number in range(first, 9, 2)) + "|")


def test_a_training_takes_the_body_of_a_finished_run(tmp_path):
    first = Cell("first", "", CELLS["background-classifier"].flags | {"epoch": 5})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "CELLS", {"first": first})
        folder = tmp_path / "first"
        folder.mkdir()
        with pytest.raises(InputError, match="the run first, .* is at epoch 0; expected it finished"):
            results.network_of("first", Namespace(runs=tmp_path))
        (folder / "maml-5_1.ckpt").touch()
        assert results.network_of("first", Namespace(runs=tmp_path)) == Path(folder / "maml-5_1.ckpt")
