"""What ends a program is one line and a status; what it writes is whole, and never takes the place of a device."""
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from src.cli.atomic_files import filling, replacing, write_json
from src.cli.errors import InputError

ROOT = Path(__file__).parent.parent


def run(body, *arguments, folder, **options):
    code = f"import sys\nfrom src.cli.errors import InputError\nfrom src.cli.program import run_program\n" \
           f"def main():\n    {body}\nrun_program(main)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=folder, env=environment, text=True, check=False,
                          **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})


@pytest.mark.parametrize(("body", "status", "said"), [
    ("return 0", 0, ""),
    ("return 7", 7, ""),
    ("raise InputError('--flag is 1; expected 2')", 2, "error: --flag is 1; expected 2\\n"),
    ("open('/missing/file')", 2, "error: /missing/file: cannot be read or written (No such file or directory)\\n"),
])
def test_what_ends_a_program_is_a_line_and_a_status(body, status, said, tmp_path):
    done = run(body, folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", said.replace("\\n", "\n"))
    assert not list(tmp_path.iterdir())


def test_an_unforeseen_error_is_a_line_with_the_place_of_a_report(tmp_path):
    done = run("return {}['missing']", folder=tmp_path)
    [report] = tmp_path.iterdir()
    assert done.returncode == 1
    assert done.stderr == f"error: unforeseen KeyError: 'missing'; its traceback is in {report}\n"
    text = report.read_text()
    assert "Traceback (most recent call last)" in text
    assert "mindspore 2." in text


def test_a_reader_that_goes_is_no_error(tmp_path):
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as gone:
        gone.wait()
        done = run("print('x' * 100000, flush=True)", folder=tmp_path, stdout=gone.stdin)
    assert (done.returncode, done.stderr) == (141, "")


def test_standard_output_that_is_full_does_not_end_a_program(tmp_path):
    with Path("/dev/full").open("w") as full:
        done = run("print('lost', flush=True); print('lost too', flush=True); return 3", folder=tmp_path, stdout=full)
    assert done.returncode == 3
    assert done.stderr == "standard output cannot be written (No space left on device); going on without it\n"


def test_a_log_is_appended_to_under_a_dated_head(tmp_path):
    for number in (1, 2):
        done = run("print('line'); raise InputError('wrong')", "--log_file", "x.log", folder=tmp_path)
        assert (done.stdout, done.stderr) == ("line\n", "error: wrong\n")
        lines = (tmp_path / "x.log").read_text().splitlines()
        assert len(lines) == 3 * number
        assert lines[-3].startswith("== 2") and lines[-3].endswith(" -c --log_file x.log")
        assert lines[-2:] == ["line", "error: wrong"]


@pytest.mark.parametrize("path", ["/dev/full", "missing/x.log", "."])
def test_a_log_that_cannot_be_written_is_refused(path, tmp_path):
    done = run("print('line')", "--log_file", path, folder=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"error: --log_file {path}: cannot write this file (")


def write(path, text):
    with replacing(path) as temporary:
        temporary.write_text(text)


def test_only_regular_files_are_replaced(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert ((tmp_path / "real").read_text(), (tmp_path / "real").stat().st_mode & 0o777) == ("new", 0o640)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe"):   # nobody reads: it does not wait
        write(tmp_path / "pipe", "text")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write(tmp_path / "pipe", "text")
    assert os.read(reader, 9) == b"text"
    os.close(reader)
    write("/dev/null", "text")
    for path, words in ((tmp_path, "a folder"), ("/dev/full", "No space left")):
        with pytest.raises(InputError, match=f"--json {path}: cannot write this file .*{words}"):
            write_json(path, {})
    assert [stat.S_ISCHR(Path(path).stat().st_mode) for path in ("/dev/null", "/dev/full")] == [True, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe", "real"]


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path):
    code = f"from src.cli.atomic_files import replacing\nimport time\nwith replacing({str(tmp_path / 'x.json')!r}):\n" \
           "    print('ready', flush=True)\n    time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    write_json(tmp_path / "x.json", 1)
    assert len(list(tmp_path.iterdir())) == 2
    process.kill()
    process.communicate()
    time.sleep(0.1)
    write_json(tmp_path / "x.json", 2)
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
    (tmp_path / ".made-abcdefgh").mkdir()
    with filling(tmp_path / "made") as folder:
        (folder / "file").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "x.json"]


FILL = """
import resource, sys, json
sys.path[:0] = [{root!r}, {root!r} + "/tests"]
from pathlib import Path
from checkpoints import write, training_options, RUN
from src.cli.program import run_program
from src.pictures.curves import RunPicture
from src.training.run_folder import claim
from src.training.run_log import Reporter

def attempt(kind, folder):
    if kind == "config":
        claim(training_options(output_dir=str(folder))).__enter__()
    elif kind == "checkpoint":
        write(folder)
    elif kind == "picture":
        (folder / "config.yaml").write_text("n_way: 3")
        (folder / "metrics.jsonl").write_text(json.dumps(dict(step=1, loss=1.0, accuracy=0.5)) + chr(10))
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
        RunPicture(folder).refresh()
    elif kind == "metrics":
        with Reporter(folder, 0, 10**6) as reporter:
            while True:
                reporter.report(dict(step=1, loss=1.0, accuracy=0.5, milliseconds=1.0, learning_rate=1.0))
for kind in ("config", "checkpoint", "picture", "metrics"):
    for LIMIT in map(int, sys.argv[2:]):
        folder = Path(sys.argv[1]) / f"{{kind}}-{{LIMIT}}"
        folder.mkdir()
        unlimited = resource.RLIM_INFINITY
        if kind != "picture":
            resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, unlimited))
        try:
            attempt(kind, folder)
            print("RESULT", kind, LIMIT, "whole")
        except Exception as error:
            print("RESULT", kind, LIMIT, type(error).__name__, str(error).count(chr(10)))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
""".replace("(LIMIT, LIMIT)", "(LIMIT, resource.RLIM_INFINITY)")
SIZES = (0, 1, 10, 50, 100, 300, 600, 1000, 2000, 3000)


def test_a_limit_at_any_size_is_one_line_and_leaves_nothing_half_written(tmp_path):
    done = subprocess.run([sys.executable, "-c", FILL.format(root=str(ROOT)), str(tmp_path), *map(str, SIZES)],
                          capture_output=True, text=True, check=False)
    found = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("RESULT")]
    assert len(found) == 4 * len(SIZES), done.stderr
    for kind, limit, outcome, *lines in found:
        folder = tmp_path / f"{kind}-{limit}"
        names = {path.name for path in folder.iterdir()} - {".lock"}
        if kind == "picture":
            assert (outcome, "maml-accs.png" in names) == ("whole", False)   # a warning, and on it goes
        elif outcome != "whole":
            assert (outcome in ("InputError", "OSError"), lines) == (True, ["0"]), (kind, limit, outcome)
        if kind == "metrics":
            assert outcome == "InputError"
            assert all(json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines())
        assert not [name for name in names if name.startswith(".")], (kind, limit)
        if kind == "checkpoint":
            assert ("maml-3_1.ckpt" in names) == (outcome == "whole")
    assert done.stdout.count("maml-accs.png is not drawn") == len(SIZES)
