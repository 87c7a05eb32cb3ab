"""The shell scripts, run by bash: arguments, interpreter, logs, exit status, a real run of each, and quickstart."""
import contextlib
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from mindspore_maml.devices import device
from tests.stress.programs import COMPILED_SOON

ROOT = Path(__file__).resolve().parent.parent
TRAINERS = [f"run_standalone_train_{name}.sh" for name in ("gpu", "ascend", "cpu")]
EVALUATORS = [f"run_eval_{name}.sh" for name in ("gpu", "ascend", "cpu")]
TRAINERS_ON_RANKS = [f"run_distribute_train_{name}.sh" for name in ("gpu", "ascend", "cpu")]
EVALUATORS_ON_RANKS = [f"run_distribute_eval_{name}.sh" for name in ("gpu", "ascend", "cpu")]
TARGETS = {"gpu": "GPU", "ascend": "Ascend", "cpu": "CPU"}


def bash(script, *arguments, folder, **environment):
    """Run a script in `folder` without standard input; variables that are None are unset."""
    changed = {"PYTHON": sys.executable, "GLOG_v": None, **environment}   # as users have it: what is said is said
    kept = {name: value for name, value in os.environ.items() if name not in changed}
    kept |= {name: str(value) for name, value in changed.items() if value is not None}
    return subprocess.run(["bash", str(ROOT / "script" / script), *map(str, arguments)], cwd=folder, env=kept,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def make_program(path, body):
    """An executable that stands in for Python."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def folder(tmp_path):
    """The caller's folder, with a space in its name."""
    path = tmp_path / "the caller"
    path.mkdir()
    return path


@pytest.fixture
def echo_python(tmp_path):
    """A Python that prints its arguments, one a line, and fails with status 7."""
    return make_program(tmp_path / "some where" / "python", r'printf "%s\n" "$@"; echo complaint >&2; exit 7')


def logged(path):
    """What each start of a program wrote to a log, without the dated heads."""
    first, *texts = re.split(r"^== \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+\.py .*\n", path.read_text(), flags=re.M)
    assert first == ""
    return texts


def target_of(launcher):
    return TARGETS[launcher.removesuffix(".sh").rsplit("_", 1)[1]]


@pytest.mark.parametrize("launcher", TRAINERS)
def test_trainers_hand_everything_on(launcher, folder, echo_python):
    done = bash(launcher, 3, 40, "my data", "--order", "first one", folder=folder, PYTHON=echo_python)
    # The log is the program's own affair.
    expected = ["-u", f"{ROOT}/omniglot_train.py", "--log_file", "train.log", "--device_target", target_of(launcher),
                "--device_id", "3", "--epoch", "40", "--data_path", "my data", "--order", "first one", "complaint"]
    assert done.stdout.splitlines() == expected
    assert done.returncode == 7


@pytest.mark.parametrize("launcher", EVALUATORS)
def test_evaluators_hand_everything_on(launcher, folder, echo_python):
    done = bash(launcher, 0, "/my data", "my ckpt", "--json", "-", folder=folder, PYTHON=echo_python)
    expected = ["-u", f"{ROOT}/eval.py", "--log_file", "eval.log", "--device_target", target_of(launcher),
                "--device_id", "0", "--data_path", "/my data", "--ckpt", "my ckpt", "--json", "-", "complaint"]
    assert done.stdout.splitlines() == expected
    assert done.returncode == 7


@pytest.mark.parametrize("launcher", TRAINERS_ON_RANKS + EVALUATORS_ON_RANKS)
def test_launchers_of_ranks_hand_everything_on(launcher, folder, tmp_path):
    python = make_program(tmp_path / "python", r'printf "%s\n" "$PYTHONPATH" "$@"; echo complaint >&2; exit 7')
    trains = launcher in TRAINERS_ON_RANKS
    arguments = [40, "my data"] if trains else ["my data", "my ckpt"]
    done = bash(launcher, 2, *arguments, "--order", "first one", folder=folder, PYTHON=python,
                PYTHONPATH="/of the user")
    log, program = ("train.log", "omniglot_train.py") if trains else ("eval.log", "eval.py")
    own = ["--epoch", "40", "--data_path", "my data"] if trains else ["--data_path", "my data", "--ckpt", "my ckpt"]
    assert done.stdout.splitlines() == [
        f"{ROOT}:/of the user", "-u", f"{ROOT}/src/devices/launch.py", "--log_file", log, "2", f"{ROOT}/{program}",
        "--device_target", target_of(launcher), *own, "--order", "first one", "complaint"]
    assert done.returncode == 7


def test_a_launcher_of_ranks_leaves_it_to_the_program_to_start_them_for_each_seed(folder, echo_python):
    done = bash(TRAINERS_ON_RANKS[2], 2, 40, "my data", "--k_qry", 3, "--seeds", "1,2", folder=folder,
                PYTHON=echo_python)
    assert done.stdout.splitlines() == [
        "-u", f"{ROOT}/omniglot_train.py", "--log_file", "train.log", "--ranks", "2", "--device_target", "CPU",
        "--epoch", "40", "--data_path", "my data", "--k_qry", "3", "--seeds", "1,2", "complaint"]
    assert done.returncode == 7


@pytest.mark.parametrize(("launchers", "names", "wrong"), [
    (TRAINERS, "DEVICE_ID EPOCH DATA_PATH", [
        [], [0], [0, 40], ["zero", 40, "data"], [-1, 40, "data"], [0, "4.5", "data"], [0, "", "data"],
        [0, 40, "--order", "first"], [0, 40, ""], [0, 40, "data", "more"]]),
    (EVALUATORS, "DEVICE_ID DATA_PATH CKPT_PATH", [
        [], [0], [0, "data"], ["data", "ckpt", 0], [0, "data", "--json", "-"], [0, "data", "ckpt", "more"]]),
    (TRAINERS_ON_RANKS, "DEVICE_NUM EPOCH DATA_PATH", [[], [2, 40], ["two", 40, "data"], [2, 40, "data", "more"]]),
    (EVALUATORS_ON_RANKS, "DEVICE_NUM DATA_PATH CKPT_PATH", [[], [2, "data"], [2, "data", "ckpt", "more"]]),
])
def test_wrong_arguments_are_answered_with_the_usage(launchers, names, wrong, folder, echo_python):
    for launcher in launchers:
        for arguments in wrong if launcher == launchers[0] else wrong[-1:]:
            done = bash(launcher, *arguments, folder=folder, PYTHON=echo_python)
            assert (done.returncode, done.stdout) == (2, ""), arguments
            assert done.stderr.startswith("usage: bash ")
            assert f"{launcher} {names} [" in done.stderr
            assert done.stderr.count("\n") == 1
    assert list(folder.iterdir()) == []


def test_the_interpreter_is_the_environments_else_python3(tmp_path, folder):
    shutil.copytree(ROOT / "script", tmp_path / "my project" / "script")
    launcher = tmp_path / "my project" / "script" / TRAINERS[2]
    make_program(tmp_path / "bin" / "python3", "echo the one on the path")
    own = make_program(tmp_path / "my project" / ".venv" / "bin" / "python", "echo the one of the project")
    found = {"PYTHON": None, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    assert bash(launcher, 0, 1, "d", folder=folder, **found).stdout == "the one of the project\n"
    own.unlink()
    assert bash(launcher, 0, 1, "d", folder=folder, **found).stdout == "the one on the path\n"


@pytest.mark.parametrize("launcher", [TRAINERS[2], EVALUATORS[2]])
def test_a_python_without_the_packages_is_refused_with_two_ways_to_get_them(launcher, folder, tmp_path):
    bare = make_program(tmp_path / "python", f"exec '{sys.executable}' -S -E \"$@\"")
    arguments = [0, 1, "d"] if launcher in TRAINERS else [0, "d", "c"]
    for python, words in ((bare, ("lacks mindspore", "quickstart.sh", "-m pip install -r")),
                          (tmp_path / "none", ("no such program", "PYTHON="))):
        done = bash(launcher, *arguments, folder=folder, PYTHON=python)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert all(word in done.stderr for word in words), done.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_script_passes_signals_on_and_ends_with_the_programs_status(number, folder, tmp_path):
    """As quickstart.sh does; the launchers are the program itself by then."""
    child = make_program(tmp_path / "child", "trap 'exit 5' TERM HUP; echo ready; while :; do sleep 0.05; done")
    script = f". '{ROOT}/script/common.sh'; set -e; pass_signals sh '{child}'; echo never"
    process = subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.communicate(timeout=20)[0] == ""
    assert process.returncode == 5


@pytest.mark.skipif(device.set_up() != "CPU", reason="MindSpore sees a GPU or an Ascend here")
@pytest.mark.parametrize(("launcher", "arguments"), [(TRAINERS[0], [0, 1]), (TRAINERS[1], [0, 1]),
                                                     (EVALUATORS[0], [0]), (EVALUATORS[1], [0])])
def test_a_missing_device_is_refused_in_one_line(launcher, arguments, folder, tmp_path):
    done = bash(launcher, *arguments, tmp_path, *([] if launcher in TRAINERS else [tmp_path]), folder=folder)
    assert done.returncode == 2
    assert done.stdout.count("\n") == 1
    assert f"--device_target {target_of(launcher)} --device_id 0: MindSpore sees no such device" in done.stdout
    assert "_cpu.sh" in done.stdout
    assert done.stderr == ""


def test_training_and_evaluation_on_the_cpu(data_path, folder):
    (folder / "some data").symlink_to(data_path)
    small = ["--task_num", 4]
    done = bash(TRAINERS[2], 0, 12, "some data", *COMPILED_SOON, *small, "--save_every", 5, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert logged(folder / "train.log") == [done.stdout]
    assert "epoch: 1 step: 1, loss is " in done.stdout
    assert "WARNING" not in done.stdout
    assert sorted(path.name for path in (folder / "ckpt_outputs").glob("*.ckpt")) == [
        "maml-10_1.ckpt", "maml-12_1.ckpt", "maml-5_1.ckpt"]

    refused = bash(EVALUATORS[2], 0, "some data", "nowhere", folder=folder)
    done = bash(EVALUATORS[2], 0, "some data", "ckpt_outputs", *small, "--test_batches", 2, "--json", "of/it.json",
                folder=folder)
    assert (refused.returncode, done.returncode, done.stderr) == (2, 0, "")
    assert logged(folder / "eval.log") == [refused.stdout, done.stdout]   # what was there before stays
    assert json.loads((folder / "of" / "it.json").read_text())["epoch"] == 12   # of a folder, the highest epoch


def test_a_signal_to_a_launcher_is_the_programs(data_path, folder):
    flags = [*map(str, COMPILED_SOON), "--task_num", "2", "--k_qry", "1", "--log_every", "1", "--workers", "1"]
    process = subprocess.Popen(["bash", str(ROOT / "script" / TRAINERS[2]), "0", "100000", str(data_path), *flags],
                               cwd=folder, env={**os.environ, "PYTHON": sys.executable}, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    while "2 of 100000 epochs, " not in (line := process.stdout.readline()):
        assert line or process.poll() is None
    os.killpg(process.pid, signal.SIGTERM)
    printed, complaints = process.communicate(timeout=120)
    assert (process.returncode, complaints) == (143, "")
    assert re.search(r"^interrupted after epoch \d+; --ckpt (.*maml-\d+_1\.ckpt) goes on from there$", printed, re.M)
    assert logged(folder / "train.log")[0].endswith(printed)
    assert sorted(path.suffix for path in (folder / "ckpt_outputs").iterdir()) == [".ckpt", ".jsonl", ".png", ".yaml"]


def test_a_terminal_shows_the_progress_bar_and_its_ctrl_c_saves(data_path, folder):
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen(["setsid", "--ctty", "bash", str(ROOT / "script" / TRAINERS[2]), "0", "100000",
                                str(data_path), *map(str, COMPILED_SOON), "--task_num", "2", "--k_qry", "1"],
                               cwd=folder, env={**os.environ, "PYTHON": sys.executable}, stdin=terminal,
                               stdout=terminal, stderr=terminal)
    os.close(terminal)
    printed = ""
    while not re.search(r"\| \d+/100000 \[[\d:]+<[\d:]+, .*epoch/s\]", printed):   # how much is left, too
        printed += os.read(screen, 10000).decode()
    os.write(screen, b"\x03")
    with contextlib.suppress(OSError):   # that is the end of a terminal
        while more := os.read(screen, 10000).decode():
            printed += more
    os.close(screen)
    assert process.wait(timeout=20) == 130
    assert re.search(r"[\r\n]interrupted after epoch \d+; --ckpt .*maml-\d+_1\.ckpt goes on from there\r\n", printed)
    log = (folder / "train.log").read_text()
    assert "epochs, " not in printed   # the bar says it
    assert "loss is" in log and "epoch/s" not in log


def test_bad_input_is_pythons_own_status(folder):
    done = bash(TRAINERS[2], 0, 0, ".", folder=folder)
    assert done.returncode == 2
    assert done.stdout.startswith("error: --epoch is '0'")
    assert logged(folder / "train.log") == [done.stdout]


SMALL = {"QUICKSTART_EPOCHS": 11, "QUICKSTART_TASKS": 2, "QUICKSTART_TEST_BATCHES": 2, "VENV": sys.prefix}


@pytest.fixture
def installed(tmp_path):
    """An environment that pip has finished with, of this Python: others run tests in the real one meanwhile."""
    make_program(tmp_path / "venv" / "bin" / "python", f"exec '{sys.executable}' \"$@\"")
    wanted = (ROOT / "requirements.txt", ROOT / "pyproject.toml")
    (tmp_path / "venv" / "installed").write_text("".join(file.read_text() for file in wanted))
    return {**SMALL, "VENV": tmp_path / "venv"}


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="these tests run outside a virtual environment")
def test_quickstart(data_path, folder, installed):
    done = bash("quickstart.sh", data_path, folder=folder, **installed)
    assert done.returncode == 0, done.stdout + done.stderr
    out = folder / "quickstart_outputs"
    assert {"ckpt", "train.log", "eval.log", "accuracy.json", "learning_curve.png", "test_task.png"} <= {
        path.name for path in out.iterdir()}
    assert json.loads((out / "accuracy.json").read_text())["tasks"] == 4
    assert {(out / name).read_bytes()[:4] for name in ("learning_curve.png", "test_task.png")} == {b"\x89PNG"}

    made = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = bash("quickstart.sh", data_path, folder=folder, **installed)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "training: done before" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == made


@pytest.mark.parametrize(("arguments", "message"), [
    (["no such folder"], "error: DATA_PATH no such folder: no such folder; expected one with Omniglot\n"),
    (["a", "b"], "usage: bash .*quickstart.sh [DATA_PATH]\n"), (["--help"], "usage: ")])
def test_quickstart_refuses(arguments, message, folder):
    done = bash("quickstart.sh", *arguments, folder=folder, **SMALL)
    assert (done.returncode, done.stdout) == (2, "")
    assert list(folder.iterdir()) == []
    assert all(part in done.stderr for part in message.split(".*"))


@pytest.mark.parametrize("version", ["3.9.18", "3.13.0"])
@pytest.mark.parametrize("script", ["quickstart.sh", "run_tests.sh"])
def test_a_python_that_does_not_suit_is_refused_at_once(version, script, tmp_path, folder):
    numbers = tuple(map(int, version.split(".")))
    stand_in = make_program(tmp_path / "python", f"""
if [ "$1" = --version ]; then echo Python {version}; exit; fi
exec '{sys.executable}' -c "import sys; sys.version_info = {numbers}; exec(sys.argv[1])" "$2"
""")
    venv = tmp_path / "venv"
    for environment in ({"PYTHON": stand_in}, {"PYTHON": None, "PATH": tools_with_python(tmp_path, stand_in)}):
        done = bash(script, folder=folder, VENV=venv, **environment)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"is Python {version}; expected Python 3.10 to 3.12" in done.stderr
        assert done.stderr.count("\n") == 1
    assert not venv.exists()
    assert list(folder.iterdir()) == []


def tools_with_python(tmp_path, stand_in):
    """A PATH with what the scripts need and only that Python."""
    tools = tmp_path / "tools"
    if not tools.exists():
        tools.mkdir()
        for name in ("bash", "dirname", "cat", "sh"):
            (tools / name).symlink_to(shutil.which(name))
        (tools / "python3").symlink_to(stand_in)
    return tools
