"""Training and evaluation as a user runs them: they learn, report, save, go on after an interruption, and refuse."""
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from checkpoints import write
from PIL import Image

from mindspore_maml import data_preprocess
from mindspore_maml.cli.errors import InputError
from mindspore_maml.Omniglot import TOP_FOLDERS
from mindspore_maml.programs import evaluate as evaluation
from mindspore_maml.programs import seeds
from mindspore_maml.programs import train as omniglot_train
from mindspore_maml.training import checkpoint
from mindspore_maml.training.evaluation import summary_line
from mindspore_maml.training.run_log import read_metrics
from tests.stress.programs import COMPILED_SOON

ROOT = Path(__file__).parent.parent
EPOCHS, SAVE_EVERY, LOG_EVERY = 200, 190, 4
LAYER = "  - {layer: conv2d, filters: 32, stride: 2, padding: 1, bias: false}\n  - {layer: bn}\n  - {layer: relu}\n"
PRESET = f"""
task_num: 16
k_qry: 3
meta_lr: 0.01
network:
{LAYER * 4}  - {{layer: reduce_mean}}
  - {{layer: linear}}
"""
TEST_BATCHES = ("--test_batches", "4", "--task_num", "16")


def command(program, *arguments):
    return [sys.executable, str(ROOT / program), "--device_target", ms.get_context("device_target"),
            *map(str, arguments)]


def run(program, *arguments, folder):
    """Run a program to its end in `folder`; its standard output, after checking that it had nothing to complain of."""
    done = subprocess.run(command(program, *arguments), cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def flags(data_path, tmp_path_factory):
    """What every training here is given: a small network on easy terms."""
    preset = tmp_path_factory.mktemp("preset") / "small.yaml"
    preset.write_text(PRESET, encoding="utf-8")
    return "--data_path", data_path, "--preset", preset


@pytest.fixture(scope="module")
def trained(flags, tmp_path_factory):
    """A whole training: its folder, and what it printed."""
    folder = tmp_path_factory.mktemp("trained")
    printed = run("omniglot_train.py", *flags, "--epoch", EPOCHS, "--save_every", SAVE_EVERY,
                  "--log_every", LOG_EVERY, "--no_rotate", "--augment", 0.5, "--ema_decay", 0.9, folder=folder)
    return folder / "ckpt_outputs", printed


@pytest.fixture(scope="module")
def evaluated(trained, data_path, tmp_path_factory):
    """What the evaluation of the training's folder printed, and its JSON."""
    folder = tmp_path_factory.mktemp("evaluated")
    printed = run("eval.py", "--data_path", data_path, "--ckpt", trained[0], *TEST_BATCHES, "--json", "sub/r.json",
                  "--csv", "sub/r.csv", "--confusion", "sub/r.png", folder=folder)
    return printed, json.loads((folder / "sub" / "r.json").read_text(encoding="utf-8")), folder / "sub"


def test_it_learns(trained):
    records = read_metrics(trained[0] / "metrics.jsonl")
    accuracy, loss = ([record[name] for record in records] for name in ("accuracy", "loss"))
    assert np.mean(loss[-10:]) < 0.75 * np.mean(loss[:5])
    assert np.mean(accuracy[-10:]) > max(0.6, np.mean(accuracy[:5]) + 0.15)   # guessing gets 0.2


def test_its_lines_say_what_metrics_hold(trained):
    folder, printed = trained
    records = read_metrics(folder / "metrics.jsonl")
    assert [record["step"] for record in records] == [*range(1, EPOCHS + 1, LOG_EVERY), EPOCHS]   # the last too
    assert all(set(record) == {"step", "loss", "accuracy", "milliseconds", "learning_rate"} for record in records)
    losses = re.findall(r"^epoch: (\d+) step: 1, loss is (\S+)$", printed, re.M)
    assert losses == [(str(record["step"]), str(record["loss"])) for record in records]
    accuracies = re.findall(r"^epoch: \d+ step: 1, accuracy is ([01]\.\d+)$", printed, re.M)
    np.testing.assert_allclose(list(map(float, accuracies)), [record["accuracy"] for record in records], atol=1e-6)
    times = re.findall(r"^epoch time: (\d+\.\d{3}) ms, per step time: \1 ms$", printed, re.M)
    np.testing.assert_allclose(list(map(float, times)), [record["milliseconds"] for record in records], atol=1e-3)
    assert len(re.findall(r"^epoch", printed, re.M)) == 3 * len(records)   # no other lines begin so


def test_checkpoints_are_saved_on_the_way_and_at_the_end(trained):
    assert {path.name for path in trained[0].iterdir()} == {
        f"maml-{SAVE_EVERY}_1.ckpt", f"maml-{EPOCHS}_1.ckpt", "metrics.jsonl", "config.yaml", "maml-accs.png"}


def test_a_run_that_goes_on_ends_as_if_never_interrupted(trained, data_path, tmp_path):
    folder, _ = trained
    # Neither preset nor --no_rotate nor --epoch are repeated: the checkpoint knows them. The test pass changes nothing.
    printed = run("omniglot_train.py", "--data_path", data_path, "--ckpt", folder / f"maml-{SAVE_EVERY}_1.ckpt",
                  "--output_dir", "on", "--eval_every", SAVE_EVERY + 3, "--eval_batches", 1, folder=tmp_path)
    assert re.search(rf"^Test pass after epoch {SAVE_EVERY + 3}: accuracy", printed, re.M)
    assert re.search(rf"^starting from .*maml-{SAVE_EVERY}_1.ckpt, at epoch {SAVE_EVERY + 1}$", printed, re.M)
    whole, continued = checkpoint.load(folder), checkpoint.load(tmp_path / "on")
    assert continued.path.name == f"maml-{EPOCHS}_1.ckpt"
    assert continued.episodes == whole.episodes
    assert continued.options["preset"] == whole.options["preset"]
    assert continued.tensors.keys() == whole.tensors.keys()
    for name, tensor in whole.tensors.items():
        np.testing.assert_array_equal(continued.tensors[name], tensor, err_msg=name)
    again = {record["step"]: record["loss"] for record in read_metrics(tmp_path / "on" / "metrics.jsonl")}
    before = {record["step"]: record["loss"] for record in read_metrics(folder / "metrics.jsonl")}
    assert again == {step: loss for step, loss in before.items() if step > SAVE_EVERY}


def test_evaluation_is_far_above_guessing(evaluated):
    printed, results, _ = evaluated
    assert results["mean"] > 0.6
    *batches, mean = map(float, re.findall(r"^\[([01]\.\d*)\]$", printed, re.M))
    assert batches == pytest.approx(results["batches"], abs=1e-6)
    assert mean == pytest.approx(results["mean"], abs=1e-6)
    assert results["mean"] == pytest.approx(np.mean(results["batches"]))
    assert 0 < results["interval_95"] < 0.1
    assert (results["tasks"], results["n_way"], results["k_spt"], results["k_qry"]) == (64, 5, 1, 15)
    assert "64 tasks, 5-way 1-shot, 15 query images a class, 3 inner steps" in printed.splitlines()[-1]


def test_every_question_is_told_of_with_its_classes(evaluated, data_path):
    _, results, folder = evaluated
    with (folder / "r.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 64 * 75
    assert np.mean([row["class"] == row["found"] for row in rows]) == pytest.approx(results["mean"])
    told = [(task["classes"][true], task["classes"][found], probability) for task in results["answers"]
            for true, found, probability in zip(task["true"], task["found"], task["probability"], strict=True)]
    assert told == [(row["class"], row["found"], float(row["probability"])) for row in rows]
    assert all(0.2 <= probability <= 1 for *_, probability in told)   # the highest of five
    by_alphabet, by_character = results["by_alphabet"], results["by_character"]
    for parts in (by_alphabet, by_character):
        assert sum(part["questions"] for part in parts.values()) == len(rows)
        assert np.average([part["accuracy"] for part in parts.values()],
                          weights=[part["questions"] for part in parts.values()]) == pytest.approx(results["mean"])
    assert {name.rpartition("/")[0] for name in by_character} == set(by_alphabet)
    archives = {path.parent.relative_to(data_path / "processed" / top).as_posix() for top in TOP_FOLDERS
                for path in (data_path / "processed" / top).rglob("*.png")}
    assert set(by_character) <= archives   # the names are those of Omniglot's folders
    worst = results["confused"][0]
    assert worst["times"] == sum(told_of[:2] == (worst["class"], worst["found"]) for told_of in told)
    assert 0 < worst["times"] <= worst["questions"] and worst["questions"] % 15 == 0
    with Image.open(folder / "r.png") as picture:
        assert len(picture.convert("L").getcolors()) > 20


def test_same_seed_same_figures(trained, data_path, evaluated, monkeypatch, capsys):
    results = evaluate(monkeypatch, capsys, "--data_path", data_path, "--ckpt", trained[0], *TEST_BATCHES)
    check_same(results, evaluated[1])
    other = evaluate(monkeypatch, capsys, "--data_path", data_path, "--ckpt", trained[0], *TEST_BATCHES, "--seed", "7")
    assert other["batches"] != results["batches"]


def test_a_protocol_sets_what_no_flag_says(trained, data_path, evaluated, monkeypatch, capsys):
    flags = "--data_path", data_path, "--ckpt", trained[0], *TEST_BATCHES
    strict = evaluate(monkeypatch, capsys, *flags, "--protocol", "strict")
    check_same(strict, evaluated[1] | {"protocol": "strict"})   # the defaults
    paper = evaluate(monkeypatch, capsys, *flags, "--protocol", "paper", "--k_qry", "2")
    assert (paper["k_qry"], paper["rotate"]) == (2, True)
    assert summary_line(paper).endswith("2 query images a class, classes rotated, 3 inner steps, protocol paper")


def check_same(results, expected):
    """Evaluations of equal figures; the probabilities of single answers, which are rounded, may differ in the last."""
    assert results | {"ckpt": None, "answers": None} == expected | {"ckpt": None, "answers": None}
    for task, other in zip(results["answers"], expected["answers"], strict=True):
        assert task["found"] == other["found"]
        assert task["probability"] == pytest.approx(other["probability"], abs=2e-4)


def evaluate(monkeypatch, capsys, *arguments):
    """The evaluation in this process; with `--json -` standard output is the JSON alone."""
    monkeypatch.setattr(sys, "argv", ["eval.py", *map(str, arguments), "--json", "-"])
    evaluation.main()
    return json.loads(capsys.readouterr().out)


def test_a_signal_saves_what_was_reported(soon, tmp_path):
    process = subprocess.Popen(command("omniglot_train.py", *soon, "--log_every", 1), cwd=tmp_path, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        while "loss is" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        printed, complaints = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    saved = checkpoint.load(tmp_path / "ckpt_outputs")
    records = read_metrics(tmp_path / "ckpt_outputs" / "metrics.jsonl")
    assert saved.epoch == records[-1]["step"] == printed.count("loss is") + 1
    assert complaints == f"interrupted after epoch {saved.epoch}; --ckpt {os.path.relpath(saved.path, tmp_path)} " \
                         f"goes on from there\n"


@pytest.fixture(scope="module")
def soon(data_path):
    """What a training is given of which it does not matter what it learns."""
    return "--data_path", data_path, *COMPILED_SOON, "--task_num", 2, "--workers", 1


def train(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["omniglot_train.py", *map(str, arguments)])
    return omniglot_train.main()


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint(trained, flags, tmp_path, monkeypatch):
    last = shutil.copy(trained[0] / f"maml-{EPOCHS}_1.ckpt", tmp_path)
    with pytest.raises(InputError, match=r"^epoch 20[1-9]: the loss is (nan|inf); stopped; the last "
                                         rf"good checkpoint is .*maml-{EPOCHS}_1.ckpt: --ckpt goes on") as stop:
        train(monkeypatch, *flags, "--ckpt", last, "--output_dir", tmp_path, "--epoch", EPOCHS + 9,
              "--update_lr", "1e30", "--task_num", 2, "--workers", 1)
    assert "\n" not in str(stop.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", Path(last).name, "metrics.jsonl"]
    assert Path(last).read_bytes() == (trained[0] / Path(last).name).read_bytes()


@pytest.mark.parametrize(("arguments", "message"), [
    (["--n_way", "11", "--n_train_classes", "10"], "--n_way 11: there are 10 classes to draw from"),
    (["--k_spt", "18", "--k_qry", "3"], "--k_spt 18 and --k_qry 3 need 21 drawings"),
    (["--algorithm", "meta-sgd", "--update_step", "0"], "--update_step 0 with --algorithm meta-sgd.*at least 1"),
    (["--val_classes", "20"], "--val_classes 20 without --eval_every"),
    (["--patience", "2", "--eval_every", "1"], "--patience 2 without --val_classes"),
    (["--reporter", "os:path"], "--reporter os:path: os has another kind of path"),
    (["--val_classes", "4", "--eval_every", "1"], "--val_classes 4: .*expected at least 5"),
    (["--output_dir", __file__], "--output_dir .*: cannot make this folder"),
    (["--output_dir", "/proc/self"], "--output_dir /proc/self: cannot write there"),
    (["--ckpt", "/missing"], "--ckpt /missing: no such file or folder"),
    (["--ckpt", __file__], "--ckpt .*: no readable MindSpore checkpoint"),
])
def test_training_refuses(arguments, message, flags, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        train(monkeypatch, *flags, "--epoch", 1, *arguments)   # where it is not refused, it ends at least
    assert not (tmp_path / "ckpt_outputs").exists()


@pytest.fixture(scope="module")
def watched(trained, data_path, tmp_path_factory):
    """A few more epochs of the training with everything measured on the way: their folder, and what they printed."""
    folder = tmp_path_factory.mktemp("watched")
    printed = run("omniglot_train.py", "--data_path", data_path, "--ckpt", trained[0], "--epoch", EPOCHS + 4,
                  "--log_every", 2, "--update_step", 2, "--per_step", "--eval_every", 2, "--eval_batches", 2,
                  "--display_epoch", 100 * 16, "--output_dir", "watched", folder=folder)
    return folder / "watched", printed


def test_training_by_inner_step(watched):
    folder, printed = watched
    first, second = (record for record in read_metrics(folder / "metrics.jsonl") if record["step"] % 2)
    for record in (first, second):
        assert (record["accuracies"][-1], record["losses"][-1]) == \
            pytest.approx((record["accuracy"], record["loss"]), rel=1e-4)
        assert len(record["accuracies"]) == len(record["losses"]) == 3
        assert record["accuracies"][0] + 0.2 < record["accuracies"][-1]
    assert len(re.findall(r"^Training Accuracies: \[[01]\.\d{3} [01]\.\d{3} [01]\.\d{3}\]$", printed, re.M)) >= 2


def test_a_test_pass_is_what_the_evaluation_finds(watched, data_path, monkeypatch, capsys):
    folder, printed = watched
    *_, last = records = read_metrics(folder / "metrics.jsonl")
    assert [record["step"] for record in records if "test_accuracy" in record] == [EPOCHS + 2, EPOCHS + 4]
    found = evaluate(monkeypatch, capsys, "--data_path", data_path, "--ckpt", folder, "--task_num", 16,
                     "--test_batches", 2, "--per_step")
    for here, there in (("accuracy", "mean"), ("interval_95", "interval_95"), ("loss", "loss"),
                        ("accuracies", "accuracies"), ("losses", "losses")):
        assert last[f"test_{here}"] == pytest.approx(found[there], abs=1e-3)
    assert printed.count(f"Test pass after epoch {EPOCHS + 4}: accuracy {last['test_accuracy']:.4f} +- "
                         f"{last['test_interval_95']:.4f} (95 % interval), loss {last['test_loss']:.4f}\n") == 1
    assert re.findall(r"^\[Epoch (\S+)\] (\w+)", printed, re.M) == [   # an epoch of 100 steps
        ("2.00", "Train"), ("2.01", "Train"), ("2.02", "Test"), ("2.02", "Train"), ("2.03", "Train"), ("2.04", "Test")]
    assert len(re.findall(r"^Test Accuracies: \[[01]\.\d{3}( [01]\.\d{3}){3}\]$", printed, re.M)) == 2


def test_the_best_epoch_on_held_out_characters_is_kept(trained, soon, data_path, tmp_path, monkeypatch, capsys):
    with pytest.raises(InputError, match=r"--val_classes 20: the run of .* was started with 0"):
        train(monkeypatch, "--data_path", data_path, "--ckpt", trained[0], "--epoch", EPOCHS + 3, "--val_classes", 20)
    out = tmp_path / "out"
    for done, arguments in ((3, (*soon, "--output_dir", out, "--log_every", 1, "--val_classes", 20, "--eval_every", 1,
                                 "--eval_batches", 1)),
                            (5, ("--data_path", data_path, "--ckpt", out))):   # in its own folder, with its options
        train(monkeypatch, *arguments, "--epoch", done)
        records = read_metrics(out / "metrics.jsonl")
        assert [record["step"] for record in records] == list(range(1, done + 1))
        assert not any("test_accuracy" in record for record in records)
        best = max(records, key=lambda record: record["val_accuracy"])["step"]   # the first of several
        assert checkpoint.load(out / "maml-best.ckpt").epoch == best
    assert checkpoint.find(out).name == "maml-5_1.ckpt"
    capsys.readouterr()
    found = evaluate(monkeypatch, capsys, "--data_path", data_path, "--ckpt", out / "maml-best.ckpt",
                     "--test_batches", 4, "--workers", 1)
    assert (found["epoch"], found["mean"] > 0.25) == (best, True)


def test_a_training_that_gains_no_more_ends_and_goes_on_exactly(soon, data_path, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    train(monkeypatch, *soon, "--output_dir", out, "--epoch", 9, "--meta_lr", 0, "--save_every", 2,
          "--val_classes", 20, "--eval_every", 1, "--eval_batches", 1, "--patience", 2)
    assert "ended after epoch 3 by --patience 2\n" in capsys.readouterr().err
    records = read_metrics(out / "metrics.jsonl")
    assert [record["step"] for record in records] == [1, 2, 3]
    assert checkpoint.find(out).name == "maml-3_1.ckpt"
    with pytest.raises(InputError, match="--patience 2: the run has ended by it; expected more"):
        train(monkeypatch, "--data_path", data_path, "--ckpt", out)
    train(monkeypatch, "--data_path", data_path, "--ckpt", out / "maml-2_1.ckpt")   # as if it had been killed
    again = read_metrics(out / "metrics.jsonl")
    assert [record["val_accuracy"] for record in again] == [record["val_accuracy"] for record in records]


def test_seeds_are_trained_evaluated_compared_and_not_done_again(soon, data_path, tmp_path):
    few = "--seeds", "1,2", "--epoch", 2, "--test_batches", 2, "--save_every", 1
    printed = run("omniglot_train.py", *soon, *few, "--output_dir", "out", folder=tmp_path)
    found = json.loads((tmp_path / "out" / "seeds.json").read_text(encoding="utf-8"))
    means = []
    for seed in (1, 2):
        folder = tmp_path / "out" / f"seed-{seed}"
        saved, results = checkpoint.load(folder), json.loads((folder / "results.json").read_text(encoding="utf-8"))
        assert (saved.options["seed"], saved.epoch, results["epoch"]) == (seed, 2, 2)
        assert found["seeds"][str(seed)] == {name: results[name] for name in ("mean", "interval_95", "epoch", "run")}
        means.append(results["mean"])
    assert (found["mean"], found["spread"]) == pytest.approx((np.mean(means), np.std(means, ddof=1)))
    assert (found["tasks"], 0 < found["interval_95"] < 0.2) == (64, True)
    *_, second, last = printed.splitlines()
    assert re.fullmatch(rf" +2 +2 +{means[1]:.4f} \+- 0\.\d{{4}}", second)
    assert last.startswith(f"mean {found['mean']:.4f}, spread over 2 seeds {found['spread']:.4f} (standard deviation)")
    again = run("omniglot_train.py", *soon, *few, "--output_dir", "out", folder=tmp_path)
    assert printed.endswith(again) and again.count("\n") == 4   # the table alone


def test_seeds_go_on_where_they_were_stopped(flags, tmp_path, monkeypatch):
    """What is started is noted, and done by a stand-in; the first training is killed, the second evaluation fails."""
    started, ends = [], iter([137, 0, 0, 0, 2, 0])

    def run_one(program, given, _options, _stop):
        started.append((program, given.get("seed"), {"ckpt", "overwrite"} & given.keys()))
        folder = Path(given.get("output_dir", given.get("ckpt")))
        if (status := next(ends)) in (0, 137) and program == "train":
            folder.mkdir(parents=True, exist_ok=True)
            write(folder, 1 if status else 2, run="20260101-120000-abcde" + str(given["seed"]))
        elif not status:
            loaded = checkpoint.load(folder)
            task = {"true": [0, 1], "found": [0, 0]}
            (folder.parent / "results.json").write_text(json.dumps(
                {"run": loaded.run, "epoch": 2, "batches": [0.5], "mean": 0.5, "interval_95": 0, "answers": [task]}))
        return status
    monkeypatch.setattr(seeds, "run", run_one)
    arguments = *flags, "--seeds", "3,4", "--epoch", 2, "--test_batches", 1, "--output_dir", tmp_path
    assert [train(monkeypatch, *arguments) for _ in range(3)] == [137, 2, 0]
    assert started == [("train", 3, {"overwrite"}), ("train", 3, {"ckpt"}), ("evaluate", None, {"ckpt"}),
                       ("train", 4, {"overwrite"}), ("evaluate", None, {"ckpt"}), ("evaluate", None, {"ckpt"})]
    assert json.loads((tmp_path / "seeds.json").read_text())["mean"] == 0.5
    for flag in (("--ckpt", tmp_path), ("--overwrite",), ("--seed", 1)):
        with pytest.raises(InputError, match=f"{flag[0]} with --seeds, which is for several trainings"):
            train(monkeypatch, *arguments, *flag)


def test_evaluation_by_inner_step(evaluated, trained, data_path, monkeypatch, capsys):
    results = evaluate(monkeypatch, capsys, "--data_path", data_path, "--ckpt", trained[0], *TEST_BATCHES,
                       "--per_step")
    accuracies, losses = results.pop("accuracies"), results.pop("losses")
    check_same(results, evaluated[1])
    assert len(accuracies) == len(losses) == 4
    assert (accuracies[-1], losses[-1]) == pytest.approx((results["mean"], results["loss"]))
    assert accuracies[0] == pytest.approx(0.2, abs=0.1)   # before adapting it can only guess


def test_nothing_is_learned_from_random_images(flags, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["data_preprocess.py", "--data_path", str(tmp_path), "--random"])
    data_preprocess.main()
    epochs, tasks = 40, 16
    train(monkeypatch, *flags, "--data_path", tmp_path, "--output_dir", tmp_path / "out", "--epoch", epochs,
          "--task_num", tasks, "--log_every", 1, "--eval_every", epochs, "--eval_batches", 8, "--workers", 1)
    records = read_metrics(tmp_path / "out" / "metrics.jsonl")
    # Where a drawing told its class, 40 epochs would do far better (compare test_it_learns); here they only guess.
    guessed = np.sqrt(0.2 * 0.8 / (epochs * tasks * 5 * 3))   # the standard error over all query images of the training
    assert np.mean([record["accuracy"] for record in records]) == pytest.approx(0.2, abs=4 * guessed)
    assert records[-1]["test_accuracy"] == pytest.approx(0.2, abs=4 * records[-1]["test_interval_95"] / 1.96)
    assert records[-1]["test_interval_95"] < 0.02


def test_a_finished_run_does_not_go_on_without_more_epochs(trained, flags, monkeypatch):
    with pytest.raises(InputError, match=f"--epoch {EPOCHS}: .* is at epoch {EPOCHS} already"):
        train(monkeypatch, *flags, "--ckpt", trained[0])


@pytest.mark.parametrize(("arguments", "message"), [
    (["--imgc", "3"], r"net\.0\.weight has shape \(\d+, 1, 3, 3\); expected \(\d+, 3, 3, 3\)"),
    (["--k_qry", "20"], "need 21 drawings"),
    (["--ckpt", ""], "--ckpt is missing"),
])
def test_evaluation_refuses(arguments, message, trained, data_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["eval.py", "--data_path", str(data_path), "--ckpt", str(trained[0]), *arguments])
    with pytest.raises(InputError, match=message):
        evaluation.main()


def test_maml_plus_plus_goes_on_under_its_schedule_as_if_never_interrupted(data_path, tmp_path, monkeypatch, capsys):
    """Saved while its first epochs of first order and its falling rate are under way, then evaluated."""
    preset = tmp_path / "small.yaml"
    preset.write_text(f"algorithm: maml++\nadapt: weight,bias\nlr_scheduler: cosine\nmulti_step_epochs: 4\n"
                      f"first_order_epochs: 4\nupdate_step: 2\ntask_num: 3\nk_qry: 2\nmeta_lr: 0.01\nnetwork:\n"
                      f"{LAYER * 2}  - {{layer: reduce_mean}}\n  - {{layer: linear}}\n", encoding="utf-8")
    whole, going_on = tmp_path / "whole", tmp_path / "going on"
    train(monkeypatch, "--data_path", data_path, "--preset", preset, "--epoch", 6, "--save_every", 3, "--log_every", 1,
          "--output_dir", whole, "--workers", 1)
    train(monkeypatch, "--data_path", data_path, "--ckpt", whole / "maml-3_1.ckpt", "--output_dir", going_on,
          "--workers", 1)
    rates = [[record["learning_rate"] for record in read_metrics(folder / "metrics.jsonl")]
             for folder in (whole, going_on)]
    assert rates[0] == pytest.approx([0.005 * (1 + np.cos(np.pi * done / 6)) for done in range(6)])
    assert rates[1] == rates[0][3:]
    first, last, continued = (checkpoint.load(path).tensors for path in (whole / "maml-3_1.ckpt", whole, going_on))
    assert {"rates", "shifts.net.1.beta", "moment1.rates"} <= last.keys()
    for name, tensor in last.items():
        np.testing.assert_allclose(continued[name], tensor, atol=1e-5, err_msg=name)
    assert np.abs(last["rates"] - first["rates"]).max() > 1e-3
    capsys.readouterr()
    found = evaluate(monkeypatch, capsys, "--data_path", data_path, "--ckpt", going_on, "--task_num", 4,
                     "--test_batches", 1, "--workers", 1)
    assert (found["epoch"], 0 < found["mean"] < 1) == (6, True)
