"""A folder has one owner, also where the file system knows no locks: three starts in one moment, and dead owners."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mindspore_maml.cli import locks, owner_files

ROOT = Path(__file__).resolve().parent.parent
HOLDS = """
import errno, fcntl, sys

def unknown(*arguments):
    raise OSError(errno.ENOLCK, "No locks available")

if sys.argv[2] == "none":
    fcntl.flock = unknown
from mindspore_maml.cli.locks import HeldError, locked

print("ready", flush=True)
sys.stdin.readline()
try:
    with locked(sys.argv[1], "somebody"):
        print("mine", flush=True)
        sys.stdin.readline()
except HeldError as error:
    print(error, flush=True)
"""


def start(path, kind):
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(path), kind], stdin=subprocess.PIPE, bufsize=0,
                               stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.parametrize("kind", ["flock", "none"])
def test_of_three_starts_in_one_moment_one_has_the_folder(kind, tmp_path):
    for dead in (False, True):
        if dead and kind == "none":
            (tmp_path / ".lock-owner").write_text(json.dumps(owner_files._this_process() | {"start": 1, "text": "x"}))
        processes = [start(tmp_path / ".lock", kind) for _ in range(3)]
        for process in processes:
            process.stdin.write(b"go\n")
        said = [process.stdout.readline() for process in processes]
        for process in processes:
            process.communicate(timeout=30)
        # Who owns it may not be written yet when another one looks.
        assert sorted(line == b"mine\n" for line in said) == [False, False, True], said
        assert all(line.startswith((b"mine", b"somebody", b"another process")) for line in said), said
        assert not list(tmp_path.iterdir())


@pytest.fixture
def without_flock(monkeypatch):
    def unknown(*_):
        raise OSError(locks.errno.ENOLCK, "No locks available")
    monkeypatch.setattr(locks.fcntl, "flock", unknown)


DEAD = ({"start": 1}, {"pid": 2 ** 22 + 1}, {"boot": "another", "pid": 1})
LIVING = ({}, {"host": "another", "start": 1}, {"namespace": "a container's", "start": 1})


@pytest.mark.parametrize("change", [*DEAD, *LIVING])
def test_what_a_dead_process_left_is_taken_over_and_what_may_live_is_not(change, tmp_path, without_flock):
    owner = owner_files._this_process() | {"text": "process 7"} | change
    (tmp_path / ".lock-owner").write_text(json.dumps(owner))
    if change in DEAD:
        with locks.locked(tmp_path / ".lock", "me"):
            assert json.loads((tmp_path / ".lock-owner").read_text())["text"] == "me"
        assert not list(tmp_path.iterdir())
        return
    with pytest.raises(locks.HeldError, match=r"process 7 \(where that was killed, remove .*/\.lock-owner\)"), \
            locks.locked(tmp_path / ".lock", "me"):
        pass
    assert json.loads((tmp_path / ".lock-owner").read_text()) == owner


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"host": 3}', b"pipe"])
def test_a_file_that_says_nothing_counts_as_living(content, tmp_path, without_flock):
    path = tmp_path / ".lock-owner"
    os.mkfifo(path) if content == b"pipe" else path.write_bytes(content)
    with pytest.raises(locks.HeldError, match="another process"), locks.locked(tmp_path / ".lock", "me"):
        pass
    assert path.exists()
