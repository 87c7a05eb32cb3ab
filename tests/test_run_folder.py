"""The folder of a run: one run, one process at a time, and what is of another is refused, never mixed or lost."""
import json
import os
import subprocess
import sys
import time

import pytest
import yaml
from checkpoints import RUN, training_options, write

from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.locks import HeldError, is_free, locked
from mindspore_maml.training.checkpoint import BEST_NAME, load
from mindspore_maml.training.continuing import changed_options, refuse_changes
from mindspore_maml.training.from_options import refuse_other_run
from mindspore_maml.training.run_folder import LOCK, claim, home_of
from mindspore_maml.training.run_log import CONFIG, FILE_NAME, begin_metrics, read_metrics, run_of

OTHER = "20270101-120000-fedcba"


@pytest.fixture
def options(tmp_path):
    return training_options(output_dir=str(tmp_path / "out"))


def of_a_run(folder, run=RUN, steps=(1, 3)):
    """A folder as a training leaves it; without a `run`, as it did before runs had an id."""
    folder.mkdir(exist_ok=True)
    for step in steps:
        write(folder, step, run=run)
    lines = [{"run": run}] if run else []
    lines += [{"step": step, "loss": 1.0, "accuracy": 0.5} for step in steps]
    (folder / FILE_NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / CONFIG).write_text(f"n_way: 3\nrun: {run}\n" if run else "n_way: 3\n")
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != LOCK}


def test_a_new_run_marks_its_folder(options, tmp_path, capsys):
    with claim(options) as folder:
        assert (tmp_path / "out" / LOCK).exists()
    content = yaml.safe_load((tmp_path / "out" / CONFIG).read_text())
    assert (content["run"], content["n_way"], content["history"][0]["from_epoch"]) == (folder.run, 3, 0)
    assert (tmp_path / "out" / FILE_NAME).read_text() == json.dumps({"run": folder.run}) + "\n"
    assert f"run {folder.run} in {tmp_path / 'out'}\noptions:\n  preset: maml\n" in capsys.readouterr().out
    assert sorted(contents(tmp_path / "out")) == [CONFIG, FILE_NAME]
    with claim(options) as again:   # nothing was trained: nothing would be lost
        assert again.run != folder.run
    assert run_of(tmp_path / "out") == again.run


def test_a_folder_with_a_run_is_refused_and_names_the_choices(options, tmp_path):
    before = contents(of_a_run(tmp_path / "out"))
    with pytest.raises(InputError, match=rf"holds run {RUN} already; expected --ckpt .*out to go on with it, another "
                                         rf"--output_dir or --overwrite") as refusal, claim(options):
        pass
    assert "\n" not in str(refusal.value)
    assert contents(tmp_path / "out") == before
    for name in ("maml-1_1.ckpt", "maml-3_1.ckpt"):
        (tmp_path / "out" / name).unlink()
    with pytest.raises(InputError, match="already; expected another --output_dir or --overwrite"), claim(options):
        pass


def test_overwrite_moves_the_old_run_aside_whole(options, tmp_path):
    options = options.but(overwrite=True)
    for number in (1, 2):
        (of_a_run(tmp_path / "out") / "mine.txt").write_text("kept")
        before = contents(tmp_path / "out")
        with claim(options) as folder:
            assert folder.run not in (RUN, None)
            assert not (tmp_path / f"out-old-{number}" / LOCK).exists()   # nobody holds the old run now
        assert contents(tmp_path / f"out-old-{number}") == before
        assert sorted(contents(tmp_path / "out")) == [CONFIG, FILE_NAME]


def test_a_second_process_is_refused_and_the_first_is_named(options, tmp_path):
    with claim(options), pytest.raises(InputError, match=rf"process {os.getpid()} on .* writes to it"), claim(options):
        pass
    with claim(options):
        pass


def test_a_lock_dies_with_its_process(tmp_path):
    code = f"from mindspore_maml.cli.locks import locked\nimport time\nwith locked({str(tmp_path / LOCK)!r}, 'me'):\n" \
           "    print('held', flush=True)\n    time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    assert not is_free(tmp_path / LOCK)
    with pytest.raises(HeldError, match="^me$"), locked(tmp_path / LOCK, "I"):
        pass
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 5
    while not is_free(tmp_path / LOCK):
        assert time.monotonic() < deadline
    with locked(tmp_path / LOCK, "I"):
        assert (tmp_path / LOCK).read_text() == "I"
    assert not (tmp_path / LOCK).exists()


def test_going_on_keeps_the_id_and_writes_a_history(options, tmp_path):
    checkpoint = load(of_a_run(tmp_path / "out") / "maml-3_1.ckpt")
    with claim(options.but(meta_lr=0.5), checkpoint, 3) as folder:
        assert folder.run == RUN
    assert [record["step"] for record in read_metrics(tmp_path / "out" / FILE_NAME)] == [1, 3]
    history = yaml.safe_load((tmp_path / "out" / CONFIG).read_text())["history"]
    assert (history[-1]["from_epoch"], history[-1]["changed"]) == (3, {"meta_lr": [0.003, 0.5]})


def test_going_on_from_an_earlier_epoch_sets_later_ones_aside(options, tmp_path):
    out = of_a_run(tmp_path / "out", steps=(1, 3, 5))
    write(out, 5, name=BEST_NAME)
    with claim(options, load(out / "maml-1_1.ckpt"), 1):
        pass
    assert sorted(contents(out / "set-aside-1")) == ["maml-3_1.ckpt", "maml-5_1.ckpt", BEST_NAME, FILE_NAME]
    assert [record["step"] for record in read_metrics(out / "set-aside-1" / FILE_NAME)] == [1, 3, 5]
    assert [record["step"] for record in read_metrics(out / FILE_NAME)] == [1]


def test_a_checkpoint_of_another_run_does_not_go_on_there(options, tmp_path):
    of_a_run(tmp_path / "out")
    checkpoint = load(of_a_run(tmp_path / "other", OTHER))
    with pytest.raises(InputError, match=f"holds run {RUN} already, and .*run {OTHER}, preset maml.* does not belong"):
        claim(options, checkpoint, 3).__enter__()
    branch = options.but(output_dir=str(tmp_path / "branch"))   # a run of its own, which says where it is from
    with claim(branch, checkpoint, 3) as folder:
        assert folder.run not in (RUN, OTHER)
        assert (folder.history[0]["from_run"], folder.history[0]["from_epoch"]) == (OTHER, 3)


def test_a_folder_of_before_runs_had_an_id_goes_on_and_gets_one(options, tmp_path):
    out = of_a_run(tmp_path / "out", run=None)
    checkpoint = load(out)
    assert checkpoint.run is None
    assert home_of(checkpoint) == out
    with claim(options, checkpoint, 3) as folder:
        pass
    assert run_of(out) == folder.run
    refuse_other_run(checkpoint)   # its older checkpoints still load


def test_the_home_of_a_checkpoint_is_its_own_runs_folder(tmp_path):
    assert home_of(load(of_a_run(tmp_path / "out"))) == tmp_path / "out"
    (tmp_path / "out" / CONFIG).unlink()
    assert home_of(load(tmp_path / "out")) is None


def test_what_does_not_belong_together_is_refused(tmp_path):
    out = of_a_run(tmp_path / "out")
    refuse_other_run(load(out))
    path, *_ = write(out, 7, run=OTHER)
    with pytest.raises(InputError, match=f"run {OTHER}, preset maml.* does not belong to run {RUN}"):
        refuse_other_run(load(out))
    refuse_other_run(load(path), named_folder=False)
    begin_metrics(out / FILE_NAME, OTHER, 9)
    with pytest.raises(InputError, match=f"{CONFIG} is of run {RUN} and {FILE_NAME} of run {OTHER}"):
        run_of(out)


def test_what_a_killed_run_left_half_written_is_swept(options, tmp_path):
    out = tmp_path / "out"
    (out / ".profile-xyz").mkdir(parents=True)
    for name in (".maml-accs-abc.png", ".maml-3_1-abc.ckpt", ".maml-3_1-abc.tmp", ".config-abc.yaml", ".mine"):
        (out / name).touch()
    with claim(options):
        assert sorted(path.name for path in out.glob(".*")) == [LOCK, ".mine"]


def test_options_that_would_make_another_run_are_refused(options, tmp_path):
    checkpoint = load(of_a_run(tmp_path / "out"))
    for name, value in (("seed", 2), ("n_way", 4), ("split", "shuffled"), ("network", [{"layer": "flatten"}])):
        changed = training_options(**{name: value, "given": frozenset([name])})
        with pytest.raises(InputError, match=f"{name}.*: the run of .*maml-3_1.ckpt was started with"):
            refuse_changes(changed, checkpoint)
    refuse_changes(training_options(seed=1, meta_lr=9, given=frozenset(["seed", "meta_lr"])), checkpoint)
    assert changed_options(training_options(), checkpoint) == {}
