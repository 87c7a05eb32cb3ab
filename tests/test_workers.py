"""Workers: processes that share a batch give what one process gives, and one that dies is reported in one line."""
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor
from networks import SIZE, STRIDED, WAYS, inner, network

from mindspore_maml.devices import device
from mindspore_maml.devices.batch_share import Call, Share, contribution, shares_of
from mindspore_maml.layers.masks import Masks
from mindspore_maml.learner import Learner
from mindspore_maml.meta import Meta
from mindspore_maml.training import checkpoint
from mindspore_maml.training.run_log import read_metrics
from tests.stress.programs import COMPILED_SOON

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.cpu_only


@pytest.mark.parametrize("workers", [2])
def test_workers_give_what_one_process_gives(workers, data_path):
    done = subprocess.run([sys.executable, str(ROOT / "tests" / "compare_shares.py"), str(data_path), str(workers)],
                          cwd=ROOT, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (done.stdout.strip().splitlines()[-1:], done.returncode) == (["equal"], 0), done.stdout + done.stderr


def test_a_thread_that_ends_meanwhile_is_not_bound(monkeypatch):
    threads, nobody = os.listdir("/proc/self/task"), str(2**22 + 1)   # more than any process has for a number
    monkeypatch.setattr(device.os, "listdir", lambda path: [nobody, *threads])
    device.bind(os.sched_getaffinity(0))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 9])
def test_every_task_is_in_one_share_and_shares_are_even(count):
    shares = shares_of(7, count)
    assert [task for share in shares for task in share.of([np.arange(7)])[0]] == list(range(7))
    sizes = [share.stop - share.start for share in shares]
    assert len(shares) == min(count, 7)
    assert max(sizes) - min(sizes) <= 1
    assert sum(share.part for share in shares) == pytest.approx(1)


def test_dropout_drops_the_same_however_tasks_are_shared_out():
    net = network([STRIDED, {"layer": "dropout", "rate": 0.3}, {"layer": "reduce_mean"}, {"layer": "linear"}])
    draws, labels = np.random.default_rng(0), np.tile(np.arange(WAYS, dtype=np.int32), (2, 1))
    x_spt, x_qry = draws.random((2, 2, WAYS, 1, SIZE, SIZE), dtype=np.float32)

    def masks(x, seed=(1, 5)):
        return Masks(Learner(net, len(x), WAYS).chain).drawn_for((), Tensor(x), seed)[1][0].asnumpy()
    whole = masks(x_spt)
    np.testing.assert_array_equal(whole, np.concatenate([masks(x_spt[:1]), masks(x_spt[1:])]))
    assert 0.5 < (whole > 0).mean() < 0.9
    for other in (whole[[1, 0]], masks(x_spt, seed=(1, 6)), masks(x_spt, seed=(2, 5))):
        assert (whole != other).mean() > 0.2
    batch, call = (x_spt, labels, x_qry, labels), Call("meta_gradient", (5,))
    meta = Meta(net, inner(order="first"))
    *parts, expected = (contribution(meta, call, share.of(batch), share)
                        for share in (Share(0, 1, 2), Share(1, 2, 2), Share(0, 2, 2)))
    for values in zip(expected, *parts, strict=True):
        np.testing.assert_allclose(values[1] + values[2], values[0], rtol=1e-4, atol=1e-6)


def test_a_worker_that_dies_is_named_and_what_was_learned_is_saved(data_path, tmp_path):
    training = start(data_path, tmp_path)
    os.kill(children(training.pid)[1], signal.SIGKILL)
    _, complaint = training.communicate(timeout=60)
    assert (training.returncode, len(complaint.splitlines())) == (2, 1), complaint
    assert complaint.startswith("error: --workers 2: worker 2 was killed by SIGKILL; ")
    saved = checkpoint.load(tmp_path)
    last = read_metrics(tmp_path / "metrics.jsonl")[-1]["step"]
    assert (saved.epoch, saved.episodes["drawn"], int(saved.tensors["global_step"][0])) == (last, last, last)
    assert f"saved after epoch {last}: --ckpt {saved.path} goes on from there" in complaint


STALLING = """
import os, signal, socket, sys
from mindspore import nn
from mindspore_maml.devices import forked
from mindspore_maml.devices.batch_share import Call, LostProcessError, Share
forked.LOOK_EVERY, forked.LONGEST_IDLE, forked.LONGEST_CALL, forked.TO_END = 0.1, 1, 3, 0.5

class OddError(Exception):
    def __init__(self, one, other):
        super().__init__(one)

def send_a_part(number):
    def sendall(end, message):
        end.send(message[:9])
        os.kill(os.getpid(), number)
    socket.socket.sendall = sendall   # of this worker
    return []

class Stand_in(nn.Cell):
    inner = None
    def sleep(self, batch):
        import time
        time.sleep(60)
    def stop(self, batch):
        os.kill(os.getpid(), signal.SIGSTOP)
    def stop_in_sending(self, batch):
        return send_a_part(signal.SIGSTOP)
    def die_in_sending(self, batch):
        return send_a_part(signal.SIGKILL)
    def spin(self, batch):
        while True:
            pass
    def fail(self, batch):
        raise KeyError("missing")
    def fail_oddly(self, batch):
        raise OddError("it", 1)

import numpy as np
for method in sys.argv[1:]:
    workers = forked.Forked(Stand_in(), 1)
    try:
        workers.total(Call(method), [np.zeros(1)])
    except Exception as error:
        print(method, type(error).__name__, error, "| fail" in str(error.__cause__).replace("in ", "| "))
"""


def test_a_worker_that_does_not_answer_is_named_and_ends_with_the_program():
    began = time.monotonic()
    methods = ["sleep", "stop", "stop_in_sending", "die_in_sending", "spin", "fail", "fail_oddly"]
    done = subprocess.run([sys.executable, "-c", STALLING, *methods], cwd=ROOT, capture_output=True, text=True,
                          check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    advice = "expected an answer (--workers 1 does without)"
    idle = f"--workers 1: worker 1 has not worked for N s, since it is stopped; {advice} False"
    assert re.sub(r"[\d.]+ s", "N s", done.stdout).splitlines() == [
        f"sleep LostProcessError --workers 1: worker 1 has not worked for N s; {advice} False",
        f"stop LostProcessError {idle}", f"stop_in_sending LostProcessError {idle}",
        "die_in_sending LostProcessError --workers 1: worker 1 was killed by SIGKILL; expected all to work to the end "
        "(where memory ran out, try fewer) False",
        f"spin LostProcessError --workers 1: worker 1 has not answered in N s; {advice} False",
        "fail KeyError 'missing' True", "fail_oddly RuntimeError OddError: it False"]
    assert time.monotonic() - began < 50   # nothing waits for the one that sleeps


def test_a_signal_to_all_processes_still_saves_the_epoch(data_path, tmp_path):
    training = start(data_path, tmp_path)
    os.killpg(training.pid, signal.SIGINT)
    _, complaint = training.communicate(timeout=60)
    assert complaint.startswith("interrupted after epoch")
    assert len(list(tmp_path.glob("maml-*_1.ckpt"))) == 1


def test_no_worker_outlives_the_program(data_path, tmp_path):
    training = start(data_path, tmp_path)
    workers = children(training.pid)
    assert len(workers) == 2
    training.kill()
    training.communicate()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline, "a worker still runs"
        time.sleep(0.1)


def start(data_path, folder):
    """A training by two workers that would never end, in its first epochs."""
    flags = {"data_path": data_path, "output_dir": folder, "workers": 2, "task_num": 2, "k_qry": 1, "log_every": 1,
             "epoch": 100000, "preset": COMPILED_SOON[1]}
    training = subprocess.Popen(
        [sys.executable, str(ROOT / "omniglot_train.py"), *(f"--{name}={value}" for name, value in flags.items())],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while "epoch: 2 step" not in training.stdout.readline():
        assert training.poll() is None
    return training


def children(pid):
    """Processes started by a process."""
    return [int(number) for task in Path(f"/proc/{pid}/task").iterdir()
            for number in (task / "children").read_text().split()]


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("tasks", [1, 6, 7, 8, 32])
def test_parts_divide_the_tasks_and_leave_no_thread_idle(threads, tasks, monkeypatch):
    monkeypatch.setattr(device._running, "threads", threads)
    sizes = [device.tasks_at_once(tasks, images) for images in (2, 25, 75, 500)]
    assert all(tasks % size == 0 and size >= min(2 * threads, tasks) for size in sizes)
    assert sizes == sorted(sizes, reverse=True)   # more images of a task, fewer tasks at a time
