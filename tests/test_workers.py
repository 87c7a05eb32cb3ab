"""Workers: processes that share a batch give what one process gives, and one that dies is reported in one line."""
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from src.devices import device

ROOT = Path(__file__).parent.parent
# A process that has run a graph cannot share it out any more, so each comparison has a process of its own.
COMPARE = """
import sys
import numpy as np
from benchmarks.cases import random_batch, read_options
from src.devices import device
from src.training.from_options import make_meta
from src.devices.shares import share_out

options = read_options("")
assert device.set_up_for(options) == 2
meta = make_meta(options)
workers = share_out(meta, 2)
batch = random_batch(options)
for epoch in (0, 1):
    workers.epoch = epoch
    (loss, accuracy, found), expected = workers.meta_gradient(*batch), meta.meta_gradient(*batch)
    np.testing.assert_allclose([loss.asnumpy(), accuracy.asnumpy()], [e.asnumpy() for e in expected[:2]], rtol=1e-5)
    assert [(a.shape, a.dtype) for a in found] == [(b.shape, b.dtype) for b in expected[2]]
    whole = [np.concatenate([value.asnumpy().ravel() for value in gradient]) for gradient in (found, expected[2])]
    # On noise a ReLU may lie on its edge, which one sum in another order pushes over: a wrong share would be far off.
    difference = np.linalg.norm(whole[0] - whole[1]) / np.linalg.norm(whole[1])
    assert difference < 1e-2, difference
    for parameter in meta.trainable_params():   # the workers must see what the optimizer does
        parameter.set_data(parameter * 1.1)
for found, expected in zip(workers.walk(*batch, 2), meta.walk(*batch, 2)):
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), atol=1e-4)
print("equal")
"""
SMALL = ("--workers", "2", "--n_way", "3", "--k_spt", "1", "--k_qry", "2", "--update_step", "2")
READING = "Use the compilation cache"   # MindSpore's warning where it reads a graph


@pytest.mark.parametrize(("flags", "read_graphs"), [
    (("--order", "second", "--task_num", "4"), True),
    (("--preset", "maml++", "--task_num", "4"), True),
    (("--preset", "modelzoo", "--order", "first", "--task_num", "3"), False),     # a sum over the tasks; unequal shares
])
def test_workers_give_what_one_process_gives(flags, read_graphs, tmp_path):
    program = tmp_path / "compare.py"
    program.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{COMPARE}")
    done = compare([str(program)], flags)
    assert (READING in done.stderr) == read_graphs


def test_workers_compile_for_themselves_where_mindspore_finds_no_program_file():
    done = compare(["-c", COMPARE], ("--order", "first", "--task_num", "4"))
    assert READING not in done.stderr


def compare(program, flags):
    """Run a comparison with MindSpore's warnings."""
    done = subprocess.run([sys.executable, *program, *SMALL, *flags], cwd=ROOT, capture_output=True, text=True,
                          check=False, env={**os.environ, "GLOG_v": "2"})
    assert (done.stdout.strip().splitlines()[-1:], done.returncode) == (["equal"], 0), done.stderr
    return done


def test_a_worker_that_dies_ends_the_training_in_one_line(data_path, tmp_path):
    training = start(data_path, tmp_path)
    worker = children(training.pid)[0]
    os.kill(worker, signal.SIGKILL)
    _, complaint = training.communicate(timeout=60)
    assert (training.returncode, len(complaint.splitlines())) == (2, 1), complaint
    assert complaint.startswith("error: --workers 2: one of")


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
             "epoch": 100000}
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


@pytest.mark.parametrize(("threads", "tasks", "images", "expected"), [
    (1, 8, 25, 2), (1, 8, 2, 8), (1, 7, 75, 7), (1, 1, 75, 1), (4, 32, 25, 8), (4, 32, 75, 8), (4, 6, 75, 6),
])
def test_parts_are_small_but_leave_no_thread_idle(threads, tasks, images, expected, monkeypatch):
    monkeypatch.setattr(device._running, "threads", threads)
    assert device.tasks_at_once(tasks, images) == expected


@pytest.mark.skipif(not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="a system without large pages")
def test_tensors_lie_where_large_pages_were_asked_for():
    device.use_large_pages()
    mappings = re.findall(r"^Size: +(\d+) kB.*?^VmFlags:(.*?)$", Path("/proc/self/smaps").read_text(), re.M | re.S)
    assert max((int(size) for size, flags in mappings if " hg" in flags), default=0) * 1024 >= device.POOL
