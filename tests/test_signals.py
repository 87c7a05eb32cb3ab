"""Signals: a program ends with their status whatever it is doing, saves where it can, and leaves nothing behind."""
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
IMPORTING = """
from src.cli.signals import end_while_importing
end_while_importing()
print("ready", flush=True)
import mindspore
import time
time.sleep(30)
"""
WORKING = """
from src.cli.signals import end_while_importing
end_while_importing()
import sys, time
from pathlib import Path
from src.cli.atomic_files import replacing
from src.cli.program import run_program

def main():
    with replacing(Path(sys.argv[1]) / "never.txt"):
        print("ready", flush=True)
        time.sleep(30)
run_program(main)
"""
TRAINING = """
from src.cli.signals import end_while_importing
end_while_importing()
import sys, time
from pathlib import Path
from src.cli.atomic_files import replacing
from src.cli.program import run_program
from src.cli.signals import INTERRUPTED, Interruption

def main():
    with replacing(Path(sys.argv[1]) / "never.txt"), Interruption() as interruption:
        print("ready", flush=True)
        while not interruption.received or len(sys.argv) > 2:
            sum(range(10**6))
        return INTERRUPTED + interruption.received
run_program(main)
"""


def start(code, *arguments):
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize(("code", "said"), [(IMPORTING, ""), (WORKING, "interrupted\n"), (TRAINING, "")])
def test_a_signal_ends_a_program_with_its_status(code, said, number, status, tmp_path):
    process = start(code, tmp_path)
    time.sleep(0.3)   # for an import to be on its way
    process.send_signal(number)
    assert process.communicate(timeout=20) == ("", said)
    assert process.returncode == status
    assert [path.name for path in tmp_path.iterdir()] == (["never.txt"] if code == TRAINING else [])


def test_pressed_twice_is_one_wish_and_a_third_time_ends_at_once(tmp_path):
    process = start(TRAINING, tmp_path, "never ends")
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 130
    assert not list(tmp_path.iterdir())


def test_two_ways_to_the_program_are_one_press(tmp_path):
    """A terminal sends Ctrl-C to all processes, and a script may pass it on besides."""
    process = start(TRAINING, tmp_path, "never ends")
    for _ in range(2):
        for _ in range(3):
            process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    assert process.poll() is None
    process.kill()
    process.communicate()


def test_a_hangup_stays_ignored_under_nohup(tmp_path):
    process = start(f"import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n{TRAINING}", tmp_path)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
