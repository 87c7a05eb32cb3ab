"""Ranks of msrun, started by the launchers: they give what one process gives, and where one fails all end."""
import importlib
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

from benchmarks.ranks import free_port
from mindspore_maml.cli.errors import InputError
from mindspore_maml.devices import launch, orphans
from mindspore_maml.devices.launch import Watch, read_place
from mindspore_maml.training import checkpoint
from mindspore_maml.training.run_log import read_metrics

ROOT = Path(__file__).resolve().parent.parent
LAUNCH, COMPARE = ROOT / "src" / "devices" / "launch.py", ROOT / "tests" / "compare_shares.py"
TRAIN_ON_RANKS, EVALUATE_ON_RANKS = "run_distribute_train_cpu.sh", "run_distribute_eval_cpu.sh"
PRESET = """
task_num: 5
n_way: 3
k_qry: 2
update_step: 1
update_step_test: 1
network:
  - {layer: max_pool2d, kernel: 4, stride: 4}
  - {layer: flatten}
  - {layer: linear}
"""
EPOCHS = 10
AT_MOST = 60   # seconds that ranks may live on where one of them, or their launcher, is killed
pytestmark = pytest.mark.cpu_only


def environment(**changes):
    return os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT),
                         "MASTER": f"127.0.0.1:{free_port()}"} | changes


def run(command, folder, **changes):
    """A command to its end in `folder`: its exit status, and what it printed on both outputs."""
    done = subprocess.run([str(part) for part in command], cwd=folder, env=environment(**changes), capture_output=True,
                          text=True, check=False, timeout=580)
    return done.returncode, done.stdout + done.stderr


def start(command, folder):
    """A command that goes on running in `folder`; a rank is missed after 8 seconds, not MindSpore's 30."""
    return subprocess.Popen([str(part) for part in command], cwd=folder, env=environment(MS_NODE_TIMEOUT="8"),
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def read_until(beginning, process):
    """The lines that a process prints up to one with this beginning."""
    lines = []
    while not lines or not lines[-1].startswith(beginning):
        lines.append(process.stdout.readline())
        assert lines[-1], "".join(lines)
    return lines


def launched(script, *arguments):
    return ["bash", ROOT / "script" / script, *arguments]


def run_here(program, *flags, folder, monkeypatch):
    """A program of src/programs in this process, which works alone, with `folder` as the current one."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [program, *map(str, flags), "--workers", "1"])
    importlib.import_module(f"mindspore_maml.programs.{program}").main()


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    preset = tmp_path_factory.mktemp("preset") / "small.yaml"
    preset.write_text(PRESET, encoding="utf-8")
    return "--preset", preset, "--log_every", 1, "--save_every", EPOCHS // 2


@pytest.fixture(scope="module")
def trained(flags, data_path, tmp_path_factory):
    """The folder of a training by 2 ranks, and what it printed."""
    folder = tmp_path_factory.mktemp("ranks")
    status, printed = run(launched(TRAIN_ON_RANKS, 2, EPOCHS, data_path, *flags), folder)
    assert status == 0, printed
    return folder, printed


def test_ranks_give_what_one_process_gives_and_refuse_what_differs(data_path, tmp_path):
    status, printed = run([sys.executable, LAUNCH, 3, COMPARE, data_path, 1, "second order",
                           "first order, the tasks' sum", "MAML++"], tmp_path, PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}")
    *_, last, complaint = printed.splitlines()
    assert (status, last) == (2, "equal"), printed
    assert re.fullmatch(r"error: rank 2 has weights with the digest \w+, rank 0 has \w+; expected the same",
                        complaint), printed


def test_rank_0_alone_prints_and_writes(trained):
    folder, printed = trained
    assert [int(epoch) for epoch in re.findall(r"^epoch: (\d+) step: 1, loss is", printed, re.M)] == \
        list(range(1, EPOCHS + 1))
    (logs,) = (folder / "rank_logs").iterdir()
    assert printed.startswith(f"ranks 0 to 1 of 2 run here, with logs in {logs}\n")
    assert "DISTRIBUTED" not in printed
    assert {path.name for path in folder.iterdir()} == {"ckpt_outputs", "rank_logs", "train.log"}
    assert {path.name for path in logs.iterdir()} == {
        "rank_0.log", "rank_1.log", "scheduler.log", "msrun.log"}


def weights(path):
    return checkpoint.load(path).tensors


def test_one_process_trains_the_same_weights(trained, flags, data_path, tmp_path, monkeypatch):
    run_here("train", "--data_path", data_path, "--epoch", EPOCHS, *flags, folder=tmp_path,
             monkeypatch=monkeypatch)
    expected = weights(tmp_path / "ckpt_outputs")
    for name, value in weights(trained[0] / "ckpt_outputs").items():
        np.testing.assert_allclose(value, expected[name], atol=1e-4, err_msg=name)
    of_ranks, of_one = ([(record["loss"], record["accuracy"]) for record in read_metrics(
        folder / "ckpt_outputs" / "metrics.jsonl")] for folder in (trained[0], tmp_path))
    np.testing.assert_allclose(of_ranks, of_one, rtol=1e-4)
    assert {path.name for path in (tmp_path / "ckpt_outputs").iterdir()} == {
        path.name for path in (trained[0] / "ckpt_outputs").iterdir()}


def test_one_process_goes_on_from_what_ranks_saved(trained, data_path, tmp_path, monkeypatch):
    half = trained[0] / "ckpt_outputs" / f"maml-{EPOCHS // 2}_1.ckpt"
    run_here("train", "--data_path", data_path, "--ckpt", half, "--epoch", EPOCHS, "--output_dir", "on",
             folder=tmp_path, monkeypatch=monkeypatch)
    expected = weights(trained[0] / "ckpt_outputs")
    for name, value in weights(tmp_path / "on").items():
        np.testing.assert_allclose(value, expected[name], atol=1e-4, err_msg=name)


def test_ranks_go_on_bit_for_bit_and_one_that_is_killed_ends_all_and_is_named(trained, data_path, tmp_path):
    half = trained[0] / "ckpt_outputs" / f"maml-{EPOCHS // 2}_1.ckpt"
    flags = "--ckpt", half, "--output_dir", "ckpt_outputs", "--keep", 0
    with start(launched(TRAIN_ON_RANKS, 2, 100000, data_path, *flags), tmp_path) as training:
        read_until(f"epoch: {EPOCHS + 1} step", training)
        processes = processes_in(tmp_path)
        rank_1 = next(process for process, told in processes.items() if told.get("RANK_ID") == "1")
        os.kill(rank_1, signal.SIGKILL)
        began = time.monotonic()
        printed, _ = training.communicate(timeout=100)
    assert time.monotonic() - began < AT_MOST
    assert training.returncode == 2
    assert printed.splitlines()[-1].startswith("error: rank 1 was killed by SIGKILL; ")
    assert [process for process in processes if Path(f"/proc/{process}").exists()] == []
    assert checkpoint.load(tmp_path / "ckpt_outputs").epoch > EPOCHS   # rank 0 saved what was learned

    name = f"maml-{EPOCHS}_1.ckpt"
    found, expected = (weights(folder / "ckpt_outputs" / name) for folder in (tmp_path, trained[0]))
    assert found.keys() == expected.keys()
    assert [name for name, value in expected.items() if not np.array_equal(found[name], value)] == []


def processes_in(folder):
    """What msrun started in a folder: the environment of each, by its process."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = dict(entry.partition("=")[::2] for entry in (process / "environ").read_text().split("\0"))
            if (process / "cwd").readlink() == folder and "MS_ROLE" in told:
                found[int(process.name)] = told
        except (OSError, ValueError):
            continue
    return found


def test_ranks_evaluate_as_one_process_does_and_end_with_their_launcher(trained, data_path, tmp_path, monkeypatch,
                                                                        capsys):
    path = trained[0] / "ckpt_outputs"
    with start(launched(EVALUATE_ON_RANKS, 2, data_path, path, "--test_batches", 100000), tmp_path) as evaluation:
        found = read_until("[", evaluation) + [evaluation.stdout.readline()]
        processes = processes_in(tmp_path)
        evaluation.kill()
        began = time.monotonic()
        while processes_in(tmp_path):
            assert time.monotonic() - began < AT_MOST
            time.sleep(0.5)
    assert sorted(told["MS_ROLE"] for told in processes.values()) == ["MS_SCHED", "MS_WORKER", "MS_WORKER"]
    run_here("evaluate", "--data_path", data_path, "--ckpt", path, "--test_batches", 2, folder=tmp_path,
             monkeypatch=monkeypatch)
    alone = [line for line in capsys.readouterr().out.splitlines(keepends=True) if line.startswith("[")]
    assert found[-2:] == alone[:2]


def test_a_launcher_that_is_killed_lets_rank_0_save_and_ends_it_by_force_where_it_does_not(monkeypatch):
    """The watching thread itself, with a parent that is the launcher for a while."""
    parents, sent, slept = iter([7, 7, 5, 5, 1]), [], []
    monkeypatch.setattr(orphans.os, "getppid", lambda: next(parents))
    monkeypatch.setattr(orphans.os, "kill", lambda process, number: sent.append((process, number)))
    monkeypatch.setattr(orphans.time, "sleep", slept.append)
    orphans._watch(5)
    assert sent == [(os.getpid(), signal.SIGTERM), (os.getpid(), signal.SIGKILL)]
    assert slept == [1, 1, 1, orphans.TO_SAVE]
    assert orphans.TO_SAVE + 2 * orphans.EVERY < AT_MOST


def test_a_rank_that_differs_is_refused_before_anything_is_written(flags, data_path, tmp_path, monkeypatch):
    def refuse(*_):
        raise InputError("rank 1 has --seed 6, rank 0 has 5; expected the same")

    monkeypatch.setattr(importlib.import_module("mindspore_maml.programs.train"), "check_same_on_all_ranks", refuse)
    with pytest.raises(InputError, match="rank 1 has --seed 6"):
        run_here("train", "--data_path", data_path, *flags, folder=tmp_path, monkeypatch=monkeypatch)
    assert list(tmp_path.iterdir()) == []


def test_who_failed_is_named_and_not_whom_the_launcher_ended_for_it(capsys, tmp_path):
    (tmp_path / "rank_0.log").write_text("error: --data_path gone: no such folder; expected one\n")
    watch = Watch.__new__(Watch)
    watch.logs, watch.interrupted, watch.codes, watch.forced = tmp_path, 0, {0: 2, 1: -signal.SIGKILL}, {1}
    assert (watch._conclude(), capsys.readouterr().err) == (2, "")   # rank 0's own line was shown already
    watch.forced = set()
    assert (watch._conclude(), capsys.readouterr().err[:36]) == (2, "error: rank 1 was killed by SIGKILL;")
    (tmp_path / "rank_1.log").write_text("error: --data_path gone: no such folder; expected one\n")
    watch.codes, watch.forced = {0: 0, 1: -signal.SIGKILL}, {1}   # all was done, and it did not end in time
    assert (watch._conclude(), capsys.readouterr().err) == (0, "")
    watch.codes, watch.forced = {1: 2, 0: -signal.SIGSEGV}, set()   # which had said why it ends
    assert (watch._conclude(), capsys.readouterr().err) == (2, "")


def test_a_rank_that_crashes_when_all_is_done_has_not_failed(tmp_path):
    """MindSpore's own end of a process may; a rank that crashes before it is done has failed."""
    crash = "import os, signal\nfrom mindspore_maml.cli.program import run_program\n" \
            "def crash(): os.kill(os.getpid(), signal.SIGSEGV)\n"
    (tmp_path / "done.py").write_text(f"import atexit\n{crash}atexit.register(crash)\nrun_program(lambda: print('me'))")
    (tmp_path / "not_done.py").write_text(f"{crash}run_program(crash)")
    status, printed = run([sys.executable, LAUNCH, 2, tmp_path / "done.py"], tmp_path)
    assert (status, printed.splitlines()[1:]) == (0, ["me"])
    status, printed = run([sys.executable, LAUNCH, 2, tmp_path / "not_done.py"], tmp_path)
    assert (status, "was killed by SIGSEGV" in printed) == (2, True), printed


def test_a_rank_that_never_comes_is_not_waited_for_long(flags, data_path, tmp_path):
    began = time.monotonic()
    status, printed = run(launched(TRAIN_ON_RANKS, 1, 5, data_path, *flags), tmp_path, NODES="2", MEET_SECONDS="5")
    assert (status, time.monotonic() - began < 120) == (2, True)
    assert "error: rank 0: the 2 ranks did not all meet in time; expected " in printed.splitlines()[-1]


@pytest.mark.parametrize(("device_num", "told", "words"), [
    ("0", {}, "DEVICE_NUM is '0'; expected a whole number from 1"),
    ("2", {"NODES": "two"}, "NODES is 'two'"),
    ("2", {"NODES": "2", "NODE_RANK": "2", "MASTER": "h:8118"}, "NODE_RANK is '2'; expected .* from 0 to 1"),
    ("2", {"NODES": "2"}, "MASTER is ''; expected the first machine's address"),
    ("1000", {}, "DEVICE_NUM is '1000'; expected a whole number from 1 to"),
    *[("2", {"MASTER": f"{host}:8118"}, "expected the first machine's address") for host in ("a b", "-x", "", "a\n")],
    ("2", {"MASTER": "127.0.0.1:80"}, "the port of MASTER is '80'; expected a whole number from 1024"),
])
def test_a_place_that_makes_no_sense_is_refused(device_num, told, words):
    with pytest.raises(InputError, match=words):
        read_place(device_num, told)


def test_a_launcher_without_a_program_says_how_it_is_called(monkeypatch):
    for arguments, message in ((["2"], "expected launch.py DEVICE_NUM PROGRAM"),
                               (["2", "--x"], "PROGRAM --x: no such file; expected a program")):
        monkeypatch.setattr("sys.argv", ["launch.py", *arguments])
        with pytest.raises(InputError, match=message):
            launch.main()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_launcher_stopped_while_its_ranks_start_leaves_none(number, status, tmp_path):
    """And nothing in `rank_logs` is touched that is not of this launch."""
    (tmp_path / "rank_logs").mkdir()
    (tmp_path / "rank_logs" / "mine").write_text("mine")
    (tmp_path / "waits.py").write_text("import time\ntime.sleep(60)\n")
    for wait in (0, 0.3, 1.0):
        launcher = start([sys.executable, LAUNCH, 2, tmp_path / "waits.py"], tmp_path)
        read_until("ranks 0 to 1", launcher)
        time.sleep(wait)
        launcher.send_signal(number)
        began = time.monotonic()
        printed, _ = launcher.communicate(timeout=30)
        assert (launcher.returncode, processes_in(tmp_path)) == (status, {}), printed
        assert time.monotonic() - began < 10
    assert (tmp_path / "rank_logs" / "mine").read_text() == "mine"
    assert len(list((tmp_path / "rank_logs").iterdir())) == 4


def test_a_port_that_is_taken_is_refused():
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        with pytest.raises(InputError, match=r"MASTER: port \d+ cannot be had .*; expected a free one"):
            read_place("2", {"MASTER": f"127.0.0.1:{taken.getsockname()[1]}"})
