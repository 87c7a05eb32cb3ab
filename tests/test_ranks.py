"""Ranks of msrun, started by the launchers: they give what one process gives, and where one fails all end."""
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from src.cli.errors import InputError
from src.devices.launch import read_place
from src.training import checkpoint

ROOT = Path(__file__).resolve().parent.parent
TRAIN, EVALUATE = "run_distribute_train_cpu.sh", "run_distribute_eval_cpu.sh"
PRESET = """
task_num: 6
n_way: 3
k_qry: 2
update_step: 2
network:
  - {layer: conv2d, filters: 8, stride: 2, padding: 1, bias: false}
  - {layer: bn}
  - {layer: relu}
  - {layer: conv2d, filters: 8, stride: 2, padding: 1, bias: false}
  - {layer: bn}
  - {layer: relu}
  - {layer: reduce_mean}
  - {layer: linear}
"""
EPOCHS = 20   # later, a ReLU that rounding pushes over its edge has grown into the third digit of the weights


def free_port():
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def environment(**changes):
    return os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT),
                         "MASTER": f"127.0.0.1:{free_port()}"} | changes


def run(command, folder, **changes):
    """A command to its end in `folder`: its exit status, and its last lines on both outputs."""
    done = subprocess.run([str(part) for part in command], cwd=folder, env=environment(**changes), capture_output=True,
                          text=True, check=False, timeout=580)
    return done.returncode, done.stdout + done.stderr


def launched(script, *arguments):
    return ["bash", ROOT / "script" / script, *arguments]


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    preset = tmp_path_factory.mktemp("preset") / "small.yaml"
    preset.write_text(PRESET, encoding="utf-8")
    return "--preset", preset, "--log_every", 10, "--save_every", EPOCHS // 2


@pytest.fixture(scope="module")
def trained(flags, data_path, tmp_path_factory):
    """The folder of a training by 2 ranks, and what it printed."""
    folder = tmp_path_factory.mktemp("ranks")
    status, printed = run(launched(TRAIN, 2, EPOCHS, data_path, *flags), folder)
    assert status == 0, printed
    return folder, printed


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_give_what_one_process_gives(ranks, data_path, tmp_path):
    status, printed = run([sys.executable, ROOT / "src/devices/launch.py", ranks, ROOT / "tests/compare_shares.py",
                           data_path, 1], tmp_path, PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}")
    assert (status, printed.splitlines()[-1]) == (0, "equal"), printed


def test_rank_0_alone_prints_and_writes(trained):
    folder, printed = trained
    assert [int(epoch) for epoch in re.findall(r"^epoch: (\d+) step: 1, loss is", printed, re.M)] == \
        list(range(1, EPOCHS + 1, 10))
    assert printed.startswith(f"ranks 0 to 1 of 2 run here, with logs in {folder / 'rank_logs'}\n")
    assert "DISTRIBUTED" not in printed
    assert {path.name for path in folder.iterdir()} == {"ckpt_outputs", "rank_logs", "train.log"}
    assert {path.name for path in (folder / "rank_logs").iterdir()} == {
        "rank_0.log", "rank_1.log", "scheduler.log", "msrun.log"}


def weights(folder):
    return {name: value.asnumpy() for name, value in checkpoint.load(folder / "ckpt_outputs").tensors.items()}


def test_a_run_that_goes_on_with_ranks_ends_bit_for_bit_the_same(trained, data_path, tmp_path):
    start = trained[0] / "ckpt_outputs" / f"maml-{EPOCHS // 2}_1.ckpt"
    status, printed = run(launched(TRAIN, 2, EPOCHS, data_path, "--ckpt", start, "--output_dir", "ckpt_outputs"),
                          tmp_path)
    assert status == 0, printed
    found, expected = weights(tmp_path), weights(trained[0])
    assert found.keys() == expected.keys()
    assert [name for name, value in expected.items() if not np.array_equal(found[name], value)] == []


def test_one_process_trains_the_same_weights(trained, flags, data_path, tmp_path):
    status, printed = run([sys.executable, ROOT / "omniglot_train.py", "--data_path", data_path, "--epoch", EPOCHS,
                           "--workers", 1, *flags], tmp_path)
    assert status == 0, printed
    for name, value in weights(tmp_path).items():
        np.testing.assert_allclose(weights(trained[0])[name], value, atol=1e-4, err_msg=name)


def test_evaluation_by_ranks_is_that_of_one_process(trained, data_path, tmp_path):
    common = ["--test_batches", 2]
    found = run(launched(EVALUATE, 2, data_path, trained[0] / "ckpt_outputs", *common), tmp_path)
    alone = run([sys.executable, ROOT / "eval.py", "--data_path", data_path, "--ckpt", trained[0] / "ckpt_outputs",
                 "--workers", 1, *common], tmp_path)
    assert (found[0], alone[0]) == (0, 0), found[1] + alone[1]
    assert found[1].splitlines()[-4:] == alone[1].splitlines()[-4:]


def test_a_rank_that_is_killed_ends_all_and_is_named(flags, data_path, tmp_path):
    with subprocess.Popen([str(part) for part in launched(TRAIN, 2, 100000, data_path, *flags, "--log_every", 1)],
                          cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as training:
        while "epoch: 3 step" not in training.stdout.readline():
            assert training.poll() is None
        processes = ranks_in(tmp_path)
        os.kill(processes[1], signal.SIGKILL)
        began = time.monotonic()
        printed, _ = training.communicate(timeout=100)
    assert time.monotonic() - began < 60
    assert training.returncode == 2
    assert printed.splitlines()[-1].startswith("error: rank 1 was killed by SIGKILL; ")
    saved = checkpoint.load(tmp_path / "ckpt_outputs")   # rank 0 saved what was learned
    assert saved.epoch >= 3
    assert not any(Path(f"/proc/{process}").exists() for process in processes.values())


def ranks_in(folder):
    """The processes of ranks that work in a folder, by rank."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = dict(entry.partition("=")[::2] for entry in (process / "environ").read_text().split("\0"))
            if (process / "cwd").readlink() == folder and told.get("MS_ROLE") == "MS_WORKER":
                found.setdefault(int(told["RANK_ID"]), int(process.name))
        except (OSError, ValueError):
            continue
    return found


def test_ranks_with_other_options_are_refused(flags, data_path, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(f"import os, runpy, sys\nsys.path.insert(0, {str(ROOT)!r})\n"
                       f"sys.argv += ['--seed', str(5 + int(os.environ['RANK_ID']))]\n"
                       f"runpy.run_path({str(ROOT / 'omniglot_train.py')!r}, run_name='__main__')\n")
    status, printed = run([sys.executable, ROOT / "src/devices/launch.py", 2, program, "--device_target", "CPU",
                           "--data_path", data_path, *flags], tmp_path)
    assert status == 2
    complaints = [line for line in printed.splitlines() if line.startswith("error")]
    assert complaints == ["error: rank 1 has --seed 6, rank 0 has 5; expected the same"]
    assert not (tmp_path / "ckpt_outputs").exists()


def test_a_rank_that_never_comes_is_not_waited_for_long(flags, data_path, tmp_path):
    began = time.monotonic()
    status, printed = run(launched(TRAIN, 1, 5, data_path, *flags), tmp_path, NODES="2", MEET_SECONDS="5")
    assert (status, time.monotonic() - began < 120) == (2, True)
    assert "error: rank 0: the 2 ranks did not all meet in time; expected " in printed.splitlines()[-1]


@pytest.mark.parametrize(("device_num", "told", "words"), [
    ("0", {}, "DEVICE_NUM is '0'; expected a whole number from 1"),
    ("2", {"NODES": "two"}, "NODES is 'two'"),
    ("2", {"NODES": "2", "NODE_RANK": "2", "MASTER": "h:8118"}, "NODE_RANK is '2'; expected .* from 0 to 1"),
    ("2", {"NODES": "2"}, "MASTER is ''; expected the first machine's address"),
    ("2", {"MASTER": "127.0.0.1:80"}, "the port of MASTER is '80'; expected a whole number from 1024"),
])
def test_a_place_that_makes_no_sense_is_refused(device_num, told, words):
    with pytest.raises(InputError, match=words):
        read_place(device_num, told)


def test_a_port_that_is_taken_is_refused():
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        with pytest.raises(InputError, match=r"MASTER: port \d+ cannot be had .*; expected a free one"):
            read_place("2", {"MASTER": f"127.0.0.1:{taken.getsockname()[1]}"})
