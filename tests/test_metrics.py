"""What training and evaluation report: log lines, metrics.jsonl, mean and interval."""
import json

import numpy as np
import pytest
from checkpoints import RUN

from mindspore_maml.cli.errors import InputError
from mindspore_maml.training.evaluation import bracketed, mean_and_interval
from mindspore_maml.training.run_log import Reporter, begin_metrics, log_lines, read_metrics, read_run, remaining_line


def record(step, loss=1.5):
    return {"step": step, "loss": loss, "accuracy": 0.5, "milliseconds": 2.0, "learning_rate": 0.001}


def report(folder, *steps):
    with Reporter(folder, 0, 10) as reporter:
        for step in steps:
            reporter.report(record(step))


def test_log_lines_are_the_modelzoos():
    accuracy = float(np.float32(0.5775))   # as read back from the device: 0.5774999856948853
    lines = log_lines({"step": 1, "loss": 1.2703509330749512, "accuracy": accuracy, "milliseconds": 499.59})
    assert lines == ("epoch: 1 step: 1, loss is 1.2703509330749512", "epoch: 1 step: 1, accuracy is 0.5775",
                     "epoch time: 499.590 ms, per step time: 499.590 ms")


def test_accuracies_by_inner_step_are_a_line():
    lines = log_lines(record(1) | {"accuracies": [0.205, 0.66512, 1], "losses": [1.6, 0.9, 0.25]})
    assert lines == (*log_lines(record(1)), "Training Accuracies: [0.205 0.665 1.000]",
                     "Training Losses: [1.600 0.900 0.250]")


def test_lines_of_the_higher_example_count_epochs_in_fractions():
    reported = {"step": 41, "loss": 0.7349, "accuracy": 0.85833, "milliseconds": 114.6}
    assert log_lines(reported, 300)[3:] == ("[Epoch 0.13] Train Loss: 0.73 | Acc: 85.83 | Time: 0.11",)
    assert log_lines(reported) == log_lines(reported, 300)[:3]
    tested = record(300) | {"test_accuracy": 0.9, "test_interval_95": 0.01, "test_loss": 0.25}
    assert log_lines(tested, 300)[3:] == (
        "Test pass after epoch 300: accuracy 0.9000 +- 0.0100 (95 % interval), loss 0.2500",
        "[Epoch 1.00] Train Loss: 1.50 | Acc: 50.00 | Time: 0.00",
        "[Epoch 1.00] Test Loss: 0.25 | Acc: 90.00")


def test_records_are_whole_on_the_disk_before_report_returns(tmp_path, capsys):
    with Reporter(tmp_path, 0, 10) as reporter:
        reporter.report(record(1))
        assert read_metrics(tmp_path / "metrics.jsonl") == [record(1)]   # the file is still open
    assert capsys.readouterr().out.splitlines() == [*log_lines(record(1)), "1 of 10 epochs"]


@pytest.mark.parametrize(("pace", "line"), [
    (None, "31 of 20000 epochs"),
    (0.2163, "31 of 20000 epochs, 1 h 12 min left"),
    (0.015, "31 of 20000 epochs, 5 min left"),
    (0.004, "31 of 20000 epochs, 80 s left")])
def test_what_is_left_is_a_line(pace, line):
    assert remaining_line(31, 20000, pace) == line
    assert remaining_line(20000, 20000, pace) == "20000 of 20000 epochs"


def test_torn_last_line_is_dropped_and_does_not_spoil_the_next(tmp_path):
    path = tmp_path / "metrics.jsonl"
    report(tmp_path, 1, 2)
    path.write_bytes(path.read_bytes()[:-7])
    assert read_metrics(path) == [record(1)]
    begin_metrics(path, RUN, 2)
    report(tmp_path, 2, 3)
    assert read_metrics(path) == [record(1), record(2), record(3)]
    assert all(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


def test_a_run_that_goes_on_leaves_no_step_twice(tmp_path):
    path = tmp_path / "metrics.jsonl"
    report(tmp_path, 1, 2, 3, 4)
    assert read_run(path) is None   # as before runs had an id
    begin_metrics(path, RUN, 2)
    report(tmp_path, 3)
    lines = [{"run": RUN}, record(1), record(2), record(3)]
    assert path.read_text().splitlines() == list(map(json.dumps, lines))
    assert (read_run(path), read_metrics(path)) == (RUN, [record(step) for step in (1, 2, 3)])


@pytest.mark.parametrize("line", ["nonsense", "[1]", "{}", '{"step": "a"}'])
def test_line_that_is_no_record_is_named(tmp_path, line):
    report(tmp_path, 1)
    path = tmp_path / "metrics.jsonl"
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=r"metrics\.jsonl, line 2"):
        read_metrics(path)


def test_missing_metrics_are_refused(tmp_path):
    with pytest.raises(InputError, match="not readable"):
        read_metrics(tmp_path / "metrics.jsonl")


def test_mean_and_interval():
    mean, interval = mean_and_interval([[0.0, 1.0], [0.5, 0.5]])
    assert mean == 0.5
    assert interval == pytest.approx(1.96 * np.sqrt(0.125) / 2)
    assert mean_and_interval([0.7]) == (0.7, 0.0)


def test_accuracies_print_as_arrays_of_one():
    assert bracketed(0.9608333) == "[0.9608333]"
    assert bracketed(1.0) == "[1.]"
