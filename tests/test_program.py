"""What ends a program is one line and a status; what it writes is whole, and never takes the place of a device."""
import importlib
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mindspore_maml.cli.atomic_files import filling, refuse_unwritable, replacing, write_json
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.screen import Log

ROOT = Path(__file__).parent.parent


def run(body, *arguments, folder, **options):
    code = "import sys\nfrom mindspore_maml.cli.errors import InputError\n" \
           "from mindspore_maml.cli.program import run_program\n" \
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
    code = "from mindspore_maml.cli.atomic_files import replacing\nimport time\n" \
           f"with replacing({str(tmp_path / 'x.json')!r}):\n" \
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


SIZES = (0, 1, 10, 50, 100, 300, 600, 1000, 2000, 3000)   # bytes, all below a checkpoint's and a picture's
PAGES = range(10)   # of 4096 bytes, left on a disk


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory):
    """A folder on a disk of its own, of a megabyte; None where this user may not mount one."""
    place = tmp_path_factory.mktemp("disk")
    mount = shutil.which("mount")
    if not mount or subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], check=False,
                                   capture_output=True).returncode:
        yield None
    else:
        yield place
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory, small_disk):
    """What came of each kind of write, by what was against it: folder, kind, whole, refused or not drawn, and why."""
    places = {how: tmp_path_factory.mktemp(how) for how in ("limit", "gone", "readonly")}
    places |= {"full": small_disk} if small_disk else {}
    numbers = {"limit": SIZES, "gone": [0], "readonly": [0], "full": PAGES}
    tasks = [f"{how}:{place}:{','.join(map(str, numbers[how]))}" for how, place in places.items()]
    done = subprocess.run([sys.executable, str(ROOT / "tests" / "spoiled_writes.py"), *tasks], capture_output=True,
                          text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    found = {how: [] for how in places}
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            how, folder, *outcome = json.loads(line.removeprefix("RESULT "))
            found[how].append((Path(folder), *outcome))
    assert [len(found[how]) for how in places] == [5 * len(numbers[how]) for how in places]
    assert done.stdout.count("maml-accs.png is not drawn: ") == done.stdout.count('"not drawn"') > len(SIZES)
    return found


def assert_nothing_is_half_written(folder, kind, outcome, text):
    names = {path.name for path in folder.iterdir()}
    assert not [name for name in names if name.startswith(".")]
    assert "\n" not in text
    if kind == "picture":   # a warning, and on it goes
        assert ("maml-accs.png" in names, outcome) in ((True, "whole"), (False, "not drawn"))
    if kind == "metrics":
        assert outcome == "refused"
        assert all(json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines())
    if kind in ("checkpoint", "config"):
        name = {"checkpoint": "maml-3_1.ckpt", "config": "config.yaml"}[kind]
        assert (name in names) == (outcome == "whole")


def test_a_limit_at_any_size_is_one_line_and_leaves_nothing_half_written(spoiled):
    for folder, kind, *outcome in spoiled["limit"]:
        assert_nothing_is_half_written(folder, kind, *outcome)
        assert outcome[0] == {"picture": "not drawn"}.get(kind, "refused") or kind == "config"


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(spoiled):
    if "full" not in spoiled:
        pytest.skip("this user may not mount a disk")
    for folder, kind, *outcome in spoiled["full"]:
        assert_nothing_is_half_written(folder, kind, *outcome)
        assert outcome[0] != "refused" or "No space left on device" in outcome[1], outcome
    checkpoints = [outcome for _, kind, outcome, _ in spoiled["full"] if kind == "checkpoint"]
    assert 0 < checkpoints.count("whole") < len(PAGES)   # it takes some pages


def test_a_folder_that_was_removed_is_one_line(spoiled):
    for folder, kind, outcome, text in spoiled["gone"]:
        assert kind == "picture" or (outcome == "refused" and "No such file" in text), (kind, text)
        assert ("\n" in text, folder.exists()) == (False, False)


def test_a_read_only_disk_is_one_line_and_of_a_picture_a_warning(spoiled):
    found = {kind: outcome for _, kind, outcome, _ in spoiled["readonly"]}
    assert found == {"log": "whole", "metrics": "whole",   # which are open already
                     "config": "refused", "checkpoint": "refused", "picture": "not drawn"}
    for folder, kind, outcome, text in spoiled["readonly"]:
        if outcome == "refused":
            assert_nothing_is_half_written(folder, kind, outcome, text)
            assert "Read-only file system" in text


def test_a_log_that_was_removed_is_begun_anew(tmp_path):
    log = Log(tmp_path / "x.log", ["a program"])
    (tmp_path / "x.log").unlink()
    log.write("line\n")
    assert (tmp_path / "x.log").read_text() == "line\n"


@pytest.mark.parametrize(("path", "reason"), [
    ("/proc/no", "No such file"), (f"{__file__}/x", "File exists"), (str(ROOT), "a folder"),
    ("x" * 300, "too long"), ("/dev/missing", "Permission denied")])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(path, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=rf"--json .*: cannot .* this (file|folder) \(.*{reason}"):
        refuse_unwritable(path, "--json")
    assert not list(tmp_path.iterdir())


def test_a_place_that_can_be_written_is_left_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").write_text("kept")
    (tmp_path / "link").symlink_to("there")
    for path in ("", "-", "new.json", "new/folder/x.json", "there", "link", "/dev/null"):
        refuse_unwritable(path, "--json")
    assert (sorted(os.listdir(tmp_path)), (tmp_path / "there").read_text()) == (["link", "new", "there"], "kept")
    assert not list((tmp_path / "new" / "folder").iterdir())


@pytest.mark.parametrize(("program", "flags", "flag"), [
    ("evaluate", ["--data_path", "missing"], "--json"), ("plot", ["missing"], "--out"),
    ("predict", ["--support", "missing", "--query", "missing"], "--json"),
    ("predict", ["--support", "missing", "--query", "missing"], "--csv"),
    ("export", ["--support", "missing", "--file_format", "ONNX"], "--file_name")])
def test_programs_look_at_the_places_of_their_results_first(program, flags, flag, monkeypatch):
    more = [] if program == "plot" else ["--ckpt", "missing"]
    monkeypatch.setattr(sys, "argv", [f"{program}.py", *flags, *more, flag, "/proc/no.png"])
    with pytest.raises(InputError, match=f"^{flag} /proc/no.png.*: cannot write this file"):
        importlib.import_module(f"mindspore_maml.programs.{program}").main()
