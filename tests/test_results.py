"""The published results: runs that start and go on, what is kept of them, and the tables made from that."""
import json
import os
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import common, published, results
from benchmarks.cells import CELLS, OWN, Cell
from mindspore_maml.cli.command_line import as_arguments, parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import EVAL, TRAIN
from mindspore_maml.programs import evaluate, train
from mindspore_maml.training import checkpoint
from mindspore_maml.training.run_log import read_metrics

ROOT = Path(__file__).parent.parent
NETWORK = """
task_num: 2
k_qry: 2
network:
  - {layer: conv2d, filters: 4, stride: 4}
  - {layer: bn}
  - {layer: relu}
  - {layer: reduce_mean}
  - {layer: linear}
"""


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_every_cell_is_a_training_that_parses(cell):
    options = parse(TRAIN, "", ["--data_path", "x", *as_arguments(cell.flags)])
    assert (options.n_way, options.task_num) == (cell.setting("n_way"), cell.setting("task_num"))
    assert (cell.protocols == (OWN,)) == (cell.name in ("modelzoo", "notebook", "tutorial", "higher"))


@pytest.mark.skipif("OMNIGLOT_PATH" not in os.environ, reason="real Omniglot only")
def test_characters_held_out_are_whole_alphabets(data_path):
    tops = [data_path / "processed" / top for top in ("images_background", "images_evaluation")]
    if not tops[0].is_dir():
        pytest.skip("prepared without folders of images")
    counts = [len(list(alphabet.iterdir())) for top in tops for alphabet in sorted(top.iterdir())]
    starts = {sum(counts[:number]) for number in range(len(counts))}
    trained = {"background": sum(counts[:len(list(tops[0].iterdir()))])}
    assert trained == {"background": 964}
    assert {trained.get(cell.setting("split"), 1200) - held_out for cell in CELLS.values()
            if (held_out := cell.flags.get("val_classes"))} <= starts


@pytest.mark.skipif("OMNIGLOT_PATH" not in os.environ, reason="real Omniglot only")
def test_a_published_network_repeats_its_results(data_path, tmp_path, monkeypatch):
    folder = published.CHECKPOINTS / "5way-1shot"
    known = json.loads((folder / "results.json").read_text())["strict"]["first_batches"][:1]
    monkeypatch.setattr(sys, "argv", list(map(str, (
        "eval.py", "--data_path", data_path, "--ckpt", folder, "--protocol", "strict", "--test_batches", len(known),
        "--json", tmp_path / "results.json", "--workers", 1))))
    evaluate.main()
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["batches"] == pytest.approx(known, abs=0.002)   # a few query images more or less are rounding


@pytest.mark.parametrize("name", [name for name, cell in CELLS.items() if cell.protocols == (OWN,)])
def test_a_card_names_the_query_images_that_were_judged(name, monkeypatch):
    folder = published.CHECKPOINTS / name
    command = re.search("`python eval.py (.*)`", (folder / "README.md").read_text(encoding="utf-8"))[1]
    monkeypatch.chdir(ROOT)
    options = parse(EVAL, "", shlex.split(command))
    judged = json.loads((folder / "results.json").read_text())[OWN]
    assert (options.k_qry, options.rotate) == (judged["k_qry"], judged["rotate"])


@pytest.fixture
def cell(tmp_path, monkeypatch):
    """A small cell, its runs, and folders for what is published, all of them temporary."""
    preset = tmp_path / "small.yaml"
    preset.write_text(NETWORK, encoding="utf-8")
    flags = {"preset": str(preset), "epoch": 6, "save_every": 3, "val_classes": 20, "eval_every": 2, "eval_batches": 1,
             "log_every": 1}
    small = Cell("small", "a small network", flags, published="99.9 %")
    for module in (results, published):
        monkeypatch.setattr(module, "CELLS", {"small": small})
    monkeypatch.setattr(published, "CHECKPOINTS", tmp_path / "checkpoints")
    monkeypatch.setattr(published, "UNFINISHED", tmp_path / "checkpoints" / "unfinished")
    monkeypatch.setattr(published, "TEST_BATCHES", 2)
    return small


def arguments(monkeypatch, *texts):
    monkeypatch.setattr(sys, "argv", ["results.py", *map(str, texts)])


def start(cell, runs, data_path, monkeypatch):
    """`run`, with the training in this process instead of in its place."""
    def execute(_program, command, _environment):
        monkeypatch.setattr(sys, "argv", command[1:])
        train.main()

    monkeypatch.setattr(os, "execve", execute)
    arguments(monkeypatch, "run", cell.name, "--data_path", data_path, "--runs", runs, "--workers", 1)
    results.main()


def test_a_run_is_kept_goes_on_elsewhere_and_is_published(cell, data_path, tmp_path, monkeypatch, capsys):
    runs, elsewhere = tmp_path / "runs", tmp_path / "elsewhere"
    start(cell, runs, data_path, monkeypatch)
    (runs / "small" / "maml-6_1.ckpt").unlink()   # as if it had been stopped
    with pytest.raises(InputError, match="publish small: 3 of 6 epochs are done"):
        arguments(monkeypatch, "publish", "small", "--runs", runs)
        results.main()
    arguments(monkeypatch, "keep", "small", "--runs", runs)
    results.main()
    kept = published.UNFINISHED / "small"
    assert {path.name for path in kept.iterdir()} == {"maml-3_1.ckpt", "metrics.jsonl", "config.yaml"}
    assert str(tmp_path) not in (kept / "config.yaml").read_text().replace(cell.flags["preset"], "")
    assert "| `small` | 3 | 6 |" in published.ledger()

    start(cell, elsewhere, data_path, monkeypatch)
    whole, continued = (read_metrics(folder / "small" / "metrics.jsonl") for folder in (runs, elsewhere))
    assert [record["step"] for record in continued] == [1, 2, 3, 4, 5, 6]
    assert [record["loss"] for record in continued] == pytest.approx([record["loss"] for record in whole], rel=1e-3)
    capsys.readouterr()
    start(cell, elsewhere, data_path, monkeypatch)
    assert capsys.readouterr().out.startswith("small is finished")

    arguments(monkeypatch, "publish", "small", "--runs", elsewhere)
    results.main()
    assert not kept.exists()
    path, epoch = published.newest(published.CHECKPOINTS / "small")
    assert epoch == checkpoint.load(elsewhere / "small" / "maml-best.ckpt").epoch
    assert all(name.startswith("net.") for name in checkpoint.load(path).tensors)
    judged = published.evaluated(cell, path, str(data_path))
    assert published.evaluated(cell, path, "nowhere") == judged   # known already
    assert (judged["strict"]["k_qry"], judged["paper"]["k_qry"], judged["strict"]["tasks"]) == (15, 1, 64)
    assert published.percent(judged["strict"]) in published.results_table([cell])
    assert published.percent(judged["paper"]) in published.model_card(cell, path, judged)

    mean = replace(cell, name="mean", training="small", pretrained="small", averaged=True)
    (elsewhere / "small" / "maml-best.ckpt").unlink()
    monkeypatch.setattr(results, "CELLS", {"small": cell, "mean": mean})
    arguments(monkeypatch, "publish", "mean", "--runs", elsewhere)
    results.main()
    ours, earlier, last = (checkpoint.load(network).tensors["net.0.weight"] for network in (
        published.newest(published.CHECKPOINTS / "mean")[0], path, elsewhere / "small" / "maml-6_1.ckpt"))
    assert ours == pytest.approx((earlier + last) / 2, abs=1e-7)


def test_metrics_are_thinned_but_for_passes(tmp_path, monkeypatch):
    passes = {step: {"val_accuracy": 2 / 3} for step in range(50, 301, 50)}
    records = [{"step": step, "loss": 1 / 3, "milliseconds": 100.0} | passes.get(step, {})
               for step in range(1, 301)]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    monkeypatch.setattr(results, "LARGEST_METRICS", 4000)
    text = results.thinned(path, 250)
    kept = [json.loads(line) for line in text.splitlines()]
    assert len(text) <= 4000
    assert [record["step"] for record in kept if "val_accuracy" in record] == [50, 100, 150, 200, 250]
    assert kept[0]["loss"] == 0.33333
    assert 10 < len(kept) < 250
    path.write_text(text, encoding="utf-8")
    assert published.minutes(tmp_path, 250) == pytest.approx(250 * 100 / 60_000)


def test_a_section_is_written_between_its_markers_and_nowhere_else():
    page = "before\n<!-- results -->\nold\n<!-- end of results -->\nafter\n"
    written = common.with_section(page, "results", r"a \1 table")
    assert written == "before\n<!-- results -->\n\na \\1 table\n\n<!-- end of results -->\nafter\n"
    assert common.with_section(written, "results", r"a \1 table") == written
    assert common.with_section("no markers", "results", "a table") == "no markers"


def test_seeds_have_a_mean_and_a_spread(tmp_path, monkeypatch):
    cells = {f"small-seed{seed}": Cell(f"small-seed{seed}", "", {"preset": "maml", "seed": seed}) for seed in (1, 2, 3)}
    monkeypatch.setattr(published, "CELLS", cells)
    monkeypatch.setattr(published, "CHECKPOINTS", tmp_path)
    for name, mean in zip(cells, (0.97, 0.98)):   # the third is not published
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps({"strict": {"mean": mean}, "paper": {"mean": 0.99}}))
    *_, strict, paper = published.over_seeds().splitlines()
    assert strict == "| strict | 97.00 % | 98.00 % | 97.50 % | 0.71 |"
    assert paper == "| papers' protocol | 99.00 % | 99.00 % | 99.00 % | 0.00 |"


def test_a_training_starts_from_another_and_goes_on_from_its_own_checkpoint(tmp_path, monkeypatch):
    cells = {"one": Cell("one", "", {"preset": "maml", "epoch": 9}),
             "two": Cell("two", "", {"preset": "maml", "epoch": 5, "task_num": 2}, pretrained="one")}
    commands = []
    monkeypatch.setattr(results, "CELLS", cells)
    monkeypatch.setattr(published, "CHECKPOINTS", tmp_path / "checkpoints")
    monkeypatch.setattr(published, "trained_for", lambda _path: 7)   # the best epoch is another
    monkeypatch.setattr(published, "minutes", lambda _folder, epoch: float(epoch))
    monkeypatch.setattr(os, "execve", lambda _program, command, _environment: commands.append(command))
    for name, epoch in (("one", 9), ("two", 5)):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
        (tmp_path / "checkpoints" / name / f"maml-{epoch}_1.ckpt").touch()
    arguments(monkeypatch, "run", "two", "--data_path", "D", "--runs", tmp_path / "runs")
    results.main()
    (tmp_path / "runs" / "two" / "maml-3_1.ckpt").touch()   # as if it had been stopped there
    results.main()
    started, gone_on = commands
    assert started[started.index("--pretrained") + 1] == str(tmp_path / "checkpoints" / "one" / "maml-9_1.ckpt")
    assert gone_on[gone_on.index("--ckpt") + 1] == str(tmp_path / "runs" / "two" / "maml-3_1.ckpt")
    assert published.cost(cells["two"]) == (7, 5 * 2, 5.0)


def test_what_is_missing_is_said_in_one_line(monkeypatch):
    for texts, message in ((("run",), "run: no cell named"), (("run", "modelzoo"), "run: --data_path is missing"),
                           (("table", "--epoch", "3"), "--epoch: unknown")):
        arguments(monkeypatch, *texts)
        with pytest.raises(InputError, match=message):
            results.main()
