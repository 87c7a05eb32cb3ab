"""Signals: a program ends with their status whatever it is doing, saves where it can, and leaves nothing behind."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mindspore_maml.cli.signals import TO_ANSWER

ROOT = Path(__file__).parent.parent
IMPORTING = """
from mindspore_maml.cli.signals import end_while_importing
end_while_importing()
print("ready", flush=True)
import mindspore
import time
time.sleep(30)
"""
WORKING = """
from mindspore_maml.cli.signals import end_while_importing
end_while_importing()
import sys, time
from pathlib import Path
from mindspore_maml.cli.atomic_files import replacing
from mindspore_maml.cli.program import run_program

def main():
    with replacing(Path(sys.argv[1]) / "never.txt"):
        print("ready", flush=True)
        time.sleep(30)
run_program(main)
"""
TRAINING = """
from mindspore_maml.cli.signals import end_while_importing
end_while_importing()
import sys, time
from pathlib import Path
from mindspore_maml.cli.atomic_files import replacing
from mindspore_maml.cli.program import run_program
from mindspore_maml.cli.signals import INTERRUPTED, Interruption

def main():
    with replacing(Path(sys.argv[1]) / "never.txt"), Interruption() as interruption:
        print("ready", flush=True)
        while not interruption.received or len(sys.argv) > 2:
            sum(range(10**6))
        return INTERRUPTED + interruption.received
run_program(main)
"""

COMPILING = """
from mindspore_maml.cli.signals import end_while_importing
end_while_importing()
import sys, time
from mindspore import Tensor, nn
from mindspore.ops import constexpr
from mindspore_maml.cli.program import run_program
from mindspore_maml.cli.signals import INTERRUPTED, Interruption

@constexpr
def slow():
    print("ready", flush=True)
    time.sleep(0.5)
    return sum(1 for _ in range(10**6))

class Graph(nn.Cell):
    def construct(self, x):
        return x + slow()

def train():
    with Interruption() as interruption:
        print(Graph()(Tensor(1)), flush=True)
        return INTERRUPTED + interruption.received
run_program({"train": train, "evaluate": lambda: print(Graph()(Tensor(1)))}[sys.argv[1]])
"""
STUCK = """
import ctypes
lock = ctypes.create_string_buffer(256)

def stay():
    ctypes.CDLL(None).pthread_mutex_lock(lock)
    ctypes.CDLL(None).pthread_mutex_lock(lock)   # for ever, whatever signal comes
"""
CAUGHT = """
def stay():
    for seconds in (1, 0.2):   # the signal comes in the first; both together in less than the program may take
        try:
            time.sleep(seconds)
        except BaseException as error:
            print(type(error).__name__, file=sys.stderr, flush=True)
"""
SOON = "from mindspore_maml.cli import signals\nsignals.TO_ANSWER = 1\n"
THREADS = """
import threading
def stay():
    threading.Thread(target=time.sleep, args=[60]).start()   # which the end of an interpreter would wait for
    time.sleep(60)
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


@pytest.mark.parametrize(("code", "stay", "said", "saves"), [
    (WORKING, STUCK, "interrupted\n", False), (TRAINING, STUCK, "interrupted\n", False),
    (WORKING, CAUGHT, "StoppedError\ninterrupted\n", True), (WORKING, THREADS, "interrupted\n", False)])
def test_one_signal_ends_a_program_in_time_wherever_it_is(code, stay, said, saves, tmp_path):
    """In native code that does not return, where MindSpore catches everything, and where a thread goes on."""
    code = code.replace("def main():", f"{stay}\ndef main():").replace("time.sleep(30)", "stay()")
    code = code.replace("sum(range(10**6))", "stay()").replace("Interruption()", "Interruption(lambda: False)")
    process = start(SOON + code, tmp_path)
    time.sleep(0.3)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20) == ("", said)
    assert time.monotonic() - began < 10 - TO_ANSWER + 1
    assert process.returncode == 143
    assert bool(list(tmp_path.iterdir())) == saves


def test_a_step_that_takes_long_is_finished_where_steps_are_unsaved(tmp_path):
    code = SOON + TRAINING.replace("sum(range(10**6))", "time.sleep(3)")
    process = start(code.replace("Interruption()", "Interruption(lambda: True)"), tmp_path)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 143
    assert [path.name for path in tmp_path.iterdir()] == ["never.txt"]


@pytest.mark.parametrize(("work", "number", "status", "printed"), [
    ("evaluate", signal.SIGINT, 130, ("", "interrupted\n")), ("train", signal.SIGTERM, 143, ("1000001\n", ""))])
def test_a_signal_while_a_graph_is_compiled(work, number, status, printed, tmp_path):
    program = tmp_path / "program.py"   # MindSpore reads what it compiles from a file
    program.write_text(COMPILING)
    process = subprocess.Popen([sys.executable, str(program), work], cwd=tmp_path, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.communicate(timeout=20) == printed
    assert process.returncode == status
    assert [path.name for path in tmp_path.iterdir()] == ["program.py"]


def goes_on_after(process, number):
    process.send_signal(number)
    time.sleep(0.3)
    assert process.poll() is None


def test_pressed_twice_is_one_wish_and_a_third_time_ends_at_once(tmp_path):
    process = start(TRAINING, tmp_path, "never ends")
    for _ in range(2):
        goes_on_after(process, signal.SIGINT)
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


def test_the_signal_that_wakes_the_main_thread_means_nothing_from_outside(tmp_path):
    process = start(WORKING, tmp_path)
    goes_on_after(process, signal.SIGUSR1)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20) == ("", "interrupted\n")
    assert process.returncode == 143


def test_a_hangup_stays_ignored_under_nohup(tmp_path):
    process = start(f"import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n{TRAINING}", tmp_path)
    goes_on_after(process, signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
