"""The table of times to an accuracy, and the picture beside it, from made-up results."""
from benchmarks import progress
from mindspore_maml.training.protocols import PAPER, STRICT


def results():
    curve = {"250": {"mean": 0.91}, "500": {"mean": 0.96}, "1000": {"mean": 0.965}}
    return {name: {STRICT: curve} for name in progress.CURVES} | {
        progress.TIMED: {STRICT: curve, PAPER: {"250": {"mean": 0.95}, "1000": {"mean": 0.99}}},
        "step_ms": {progress.OURS: 600, progress.PEER: 1200}}


def test_a_goal_is_reached_at_the_first_checkpoint_that_has_it():
    assert progress.table(results()).splitlines()[2:] == [
        "| 90 %, strict | 250 | 2.5 | 5.0 |",
        "| 95 %, strict | 500 | 5.0 | 10.0 |",
        "| 97 %, strict | not reached | | |",
        "| 98.7 %, papers' protocol | 1000 | 10.0 | 20.0 |"]


def test_the_picture_is_drawn(tmp_path):
    progress.draw(results(), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
