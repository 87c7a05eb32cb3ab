"""What training and evaluation report: log lines, metrics.jsonl, mean and interval."""
import fcntl
import json
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from checkpoints import RUN

from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import TRAIN
from mindspore_maml.training.evaluation import bracketed, mean_and_interval
from mindspore_maml.training.reporters import Reporter, Start, kinds_for, remaining_line, reporting
from mindspore_maml.training.run_log import Figure, begin_metrics, log_lines, read_metrics, read_run, step_lines


def record(step, loss=1.5):
    return {"step": step, "loss": loss, "accuracy": 0.5, "milliseconds": 2.0, "learning_rate": 0.001}


def start(folder, *flags, done=0):
    return Start(folder, done, parse(TRAIN, "", ["--data_path", "x", "--epoch", "10", *flags]))


def report(folder, *steps):
    with reporting(start(folder)) as tell:
        for step in steps:
            tell("report", record(step))


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
    with reporting(start(tmp_path)) as tell:
        tell("report", record(1))
        assert read_metrics(tmp_path / "metrics.jsonl") == [record(1)]   # the file is still open
    assert capsys.readouterr().out.splitlines() == [*log_lines(record(1)), "1 of 10 epochs"]


ON_A_TERMINAL = """
import argparse, pathlib, sys
from mindspore_maml.cli.messages import log
from mindspore_maml.cli.program import run_program
from mindspore_maml.training.reporters import Start, reporting
options = argparse.Namespace(epoch=4, display_epoch=0, tensorboard=False, reporter="")
def main():
    with reporting(Start(pathlib.Path(sys.argv[1]), 0, options)) as tell:
        for epoch in range(1, 5):
            tell("compiling", "the step")
            tell("report", {"step": epoch, "loss": 1.5, "accuracy": .5, "milliseconds": 2.0})
            tell("advance", epoch)
            log.info("a message")
run_program(main)
"""


def test_a_bar_on_a_terminal_makes_room_for_lines_and_says_what_is_compiled(tmp_path):
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(Path(__file__).parent.parent)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.execv(sys.executable, [sys.executable, "-c", ON_A_TERMINAL, str(tmp_path)])
    shown = b""
    try:
        while more := os.read(terminal, 4096):
            shown += more
    except OSError:   # it has ended
        os.waitpid(pid, 0)
    on_screen = [line.rsplit("\r", 1)[-1] for line in shown.decode().split("\r\n")]
    *lines, bar, _ = on_screen
    assert lines == [line for epoch in range(1, 5) for line in (
        *log_lines({"step": epoch, "loss": 1.5, "accuracy": 0.5, "milliseconds": 2.0}), "a message")]
    assert re.fullmatch(r"100%\|█+\| 4/4 \[[^a-z]*epoch/s\] *", bar)   # nothing is compiled any more
    assert b"compiling the step]" in shown


class Own(Reporter):
    """A reporter of one's own."""

    heard: ClassVar[list] = []

    def advance(self, done):
        self.heard.append((self.start.options.epoch, done))

    def close(self):
        self.heard.append("closed")


def test_a_reporter_of_ones_own_is_told_and_closed(tmp_path):
    Own.heard.clear()
    with reporting(start(tmp_path, "--reporter", f"{__name__}:Own")) as tell:
        tell("report", record(1))
        tell("advance", 1)
    assert Own.heard == [(10, 1), "closed"]
    with pytest.raises(InputError, match="--reporter os:path: os has another kind of path; expected a subclass of"):
        kinds_for(start(tmp_path, "--reporter", "os:path").options)


VALIDATED = {"val_accuracy": 0.75, "val_interval_95": 0.01, "val_loss": 1.0}


def events_in(folder):
    """(step, purged) or (step, name, value) of what TensorBoard would read, in the order of the files."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        data = path.read_bytes()
        while data:   # records: a length of 8 bytes, its checksum of 4, the event, its checksum
            length = int.from_bytes(data[:8], "little")
            event = event_pb2.Event.FromString(data[12:12 + length])
            data = data[16 + length:]
            yield from ((event.step, value.tag, value.simple_value) for value in event.summary.value)
            if event.HasField("session_log"):
                yield event.step, "start"


def test_tensorboard_has_every_number_at_its_epoch(tmp_path):
    pytest.importorskip("tensorboardX")
    with reporting(start(tmp_path, "--tensorboard")) as tell:
        tell("report", record(1))
        tell("report", record(4) | VALIDATED | {"accuracies": [0.2, 0.5]})
    with reporting(start(tmp_path, "--tensorboard", done=2)) as tell:   # gone on with: epoch 4 is to be done again
        tell("report", record(4, loss=1.25))
    found = list(events_in(tmp_path / "tensorboard"))
    assert (4, "validation/accuracy", 0.75) in found
    assert [event for event in found if event[1] in ("training/loss", "start")] == [
        (1, "start"), (1, "training/loss", 1.5), (4, "training/loss", 1.5), (3, "start"), (4, "training/loss", 1.25)]
    assert {name for _, name, *_ in found} == {
        "start", "validation/accuracy", "validation/interval_95", "validation/loss", "training/loss",
        "training/accuracy", "training/milliseconds", "training/learning_rate"}


def test_tensorboard_without_its_package_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(InputError, match=r"--tensorboard: tensorboardX is not installed; .*\[tensorboard\]"):
        kinds_for(start(tmp_path, "--tensorboard").options)


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


def test_values_by_inner_step_are_whole_however_many_there_are():
    numbers = [number / 8192 for number in range(1500)]   # NumPy would leave most of them out, and break the line
    (line,) = step_lines("Training", {"accuracies": numbers})
    assert line == f"Training Accuracies: [{' '.join(f'{number:.3f}' for number in numbers)}]"


@pytest.mark.parametrize(("figure", "words"), [
    (Figure(float, 0, 1), "a number from 0 to 1"), (Figure(int, 1, 10**6), "a whole number from 1 to 1e+06"),
    (Figure(float, -1e38, 2, by_step=True), "a list of up to 1001, each a number from -1e+38 to 2")])
def test_what_a_figure_must_be_in_words(figure, words):
    assert str(figure) == words
