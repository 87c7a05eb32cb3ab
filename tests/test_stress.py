"""Attacks of tests/stress, for a moment each: kills and reports change nothing, and memory stays flat.

That on checkpoints is in test_checkpoint_file.py, and what that of signals looks for in test_signals.py.
"""
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from tests.stress import memory
from tests.stress.programs import COMPILED_SOON, ROOT


def test_memory_stays_flat(data_path, tmp_path):
    samples = memory.of_training(data_path, tmp_path / "out", 200, *COMPILED_SOON)
    assert len(samples) == 101   # every second epoch, and the last one
    assert memory.growth(samples) < 0.03
    samples = memory.of_evaluation(data_path, tmp_path / "out", 20)
    assert len(samples) == 21   # the last line is the mean
    assert memory.growth(samples) < 0.03


def test_growth_is_seen():
    assert memory.growth(np.linspace(100, 110, 100)) == pytest.approx(0.077, abs=0.01)
    assert memory.growth(np.array([50.0] * 10 + [100.0] * 90)) == 0


def test_neither_kills_nor_what_is_reported_saved_and_measured_on_the_way_change_a_bit(data_path):
    command = [sys.executable, "-m", "tests.stress.kills", "--data_path", str(data_path), "--kills", "1", "--epochs",
               "12"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert re.match(r"1 kills: 1 runs of 12 epochs ended bit-equal to one never killed; ", done.stdout)


def test_kills_inside_saves_lose_nothing():
    command = [sys.executable, "-m", "tests.stress.saves", "--kills", "8"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("8 kills inside saves: ")


def test_no_time_is_measured_by_a_clock_that_may_be_set_back():
    assert [path for path in (ROOT / "src").rglob("*.py") if "time.time()" in path.read_text(encoding="utf-8")] == []
