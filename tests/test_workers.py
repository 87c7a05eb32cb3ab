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
from src.devices.batch_share import Share
from src.training import checkpoint
from src.training.run_log import read_metrics

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.cpu_only


@pytest.mark.parametrize("workers", [3])
def test_workers_give_what_one_process_gives(workers, data_path):
    done = subprocess.run([sys.executable, str(ROOT / "tests" / "compare_shares.py"), str(data_path), str(workers)],
                          cwd=ROOT, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (done.stdout.strip().splitlines()[-1:], done.returncode) == (["equal"], 0), done.stdout + done.stderr


@pytest.mark.parametrize("count", [1, 2, 3, 7, 9])
def test_every_task_is_in_one_share_and_shares_are_even(count):
    shares = Share(10, 17, 32).split(count)
    assert [task for share in shares for task in range(share.start, share.stop)] == list(range(10, 17))
    sizes = [share.stop - share.start for share in shares]
    assert len(shares) == min(count, 7)
    assert max(sizes) - min(sizes) <= 1
    assert sum(share.part for share in shares) == pytest.approx(7 / 32)
    assert shares[-1].within(Share(10, 17, 32)) == slice(7 - sizes[-1], 7)


def test_a_worker_that_dies_is_named_and_what_was_learned_is_saved(data_path, tmp_path):
    training = start(data_path, tmp_path)
    os.kill(children(training.pid)[1], signal.SIGKILL)
    _, complaint = training.communicate(timeout=60)
    assert (training.returncode, len(complaint.splitlines())) == (2, 1), complaint
    assert complaint.startswith("error: --workers 2: worker 2 was killed by SIGKILL; ")
    saved = checkpoint.load(tmp_path)
    last = read_metrics(tmp_path / "metrics.jsonl")[-1]["step"]
    assert (saved.epoch, saved.episodes["drawn"], int(saved.tensors["global_step"].asnumpy()[0])) == (last, last, last)
    assert f"saved after epoch {last}: --ckpt {saved.path} goes on from there" in complaint


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
