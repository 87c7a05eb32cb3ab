"""The benchmarks run and print what they promise; no time is judged."""
import dataclasses
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import common, compare, page
from benchmarks.ranks import Model, fitted, many_table, measured_table, medians, stops_paying
from mindspore_maml.cli.command_line import as_arguments
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.presets import read_preset
from tests.stress.programs import COMPILED_SOON

ROOT = Path(__file__).resolve().parent.parent
SOON = str(COMPILED_SOON[1])
SMALL = ["--task_num", "2", "--n_way", "3", "--k_qry", "2", "--update_step", "2", "--warmup", "0", "--repeats", "2"]


@pytest.mark.parametrize(("order", "preset"), [("second", SOON), ("none", "notebook")])
def test_meta_step_prints_one_json_line(order, preset):
    command = [sys.executable, "-m", "benchmarks", "meta_step", *SMALL, "--order", order, "--preset", preset,
               "--json", "-"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout)
    assert 0 < figures["min_ms"] <= figures["median_ms"]
    assert figures["compile_s"] > 0
    assert figures["rss_mb"] > figures["growth_mb"] > 0
    assert (figures["order"], figures["preset"], figures["task_num"]) == (order, preset, 2)
    assert figures["k_spt"] == read_preset(preset).get("k_spt", 1)


def test_both_programs_take_turns_and_medians_are_over_the_rounds(monkeypatch):
    order, times = [], {compare.OURS: [1, 9, 2], compare.PEER: [4, 5, 6]}

    def run(program, flags):
        order.append(program)
        return {"compile_s": 1, "median_ms": times[program].pop(0), "min_ms": 1, "growth_mb": 1}
    monkeypatch.setattr(compare, "run", run)
    medians = compare.compare({}, 3)
    assert order == [compare.OURS, compare.PEER] * 3
    assert [medians[name]["median_ms"] for name in ("ours", "peer")] == [2, 5]
    assert (medians["ours"]["rounds_ms"], medians["ratio"]) == ([1, 9, 2], 0.4)


def test_flags_become_arguments():
    flags = {"task_num": 2, "per_step": True, "rotate": False}
    assert as_arguments(flags) == ["--task_num", "2", "--per_step", "--no_rotate"]


def test_a_program_that_fails_is_named_with_its_flags(monkeypatch):
    monkeypatch.setattr(common, "subprocess", SimpleNamespace(
        DEVNULL=None, run=lambda command, **_: subprocess.CompletedProcess(command, 2)))
    with pytest.raises(InputError, match="omniglot_train.py --task_num 32: it ended with 2; expected 0"):
        common.run_to_end("omniglot_train.py", {"task_num": 32})


MODEL = Model(fixed=0.01, of_task=0.02, draw=0.0005, latency=1e-4, bandwidth=1e8, gradient=400_000)


def as_measured(model, ranks):
    """What rank_step.py would have measured, were the model right."""
    return {"ranks": ranks, "points": {
                tasks: {"step_ms": 1000 * model.step(ranks, int(tasks)), "draw_ms": 1000 * model.draw * int(tasks),
                        "sum_ms": 1000 * model.sum(ranks), "waited_ms": 0.0, "gradient_bytes": model.gradient,
                        "sent_bytes": ranks * model.sent(ranks)} for tasks in ("8", "16", "32")},
            "sums": [{"bytes": size, "sum_ms": 0.2 + 1000 * dataclasses.replace(model, gradient=size).sum(ranks),
                      "alone_ms": 0.2} for size in (4000, 400_000, 4_000_000) if ranks > 1]}


def test_the_model_of_ranks_is_found_again_in_what_it_says():
    figures = [as_measured(MODEL, 1), as_measured(MODEL, 2)]
    assert vars(fitted(figures)) == pytest.approx(vars(MODEL))
    rows = measured_table(figures, MODEL).splitlines()[2:]
    assert all(row.endswith("| +0.0% |") or row.endswith("| -0.0% |") for row in rows)
    assert rows[-1].startswith("| 2 | 32 | 16 | 350 | 16.0 | 4.2 (4.2) | 0.0 | 800 (800) | 350 |")
    figures[1]["points"]["32"]["step_ms"] *= 2
    assert measured_table(figures, MODEL).endswith("| -50.0% |")


def test_the_model_needs_a_sum_over_ranks():
    with pytest.raises(InputError, match="--ranks: no sum over ranks was measured"):
        fitted([as_measured(MODEL, 1)])


def test_more_ranks_are_faster_until_their_messages_weigh_more():
    assert MODEL.sum(1) == 0
    assert MODEL.sent(1024) == pytest.approx(800_000, rel=1e-2)
    assert MODEL.step(8, 9) == MODEL.step(8, 16) - 7 * MODEL.draw   # the rank with two tasks decides
    free = Model(0, 0.02, 0, 0, math.inf, 400_000)
    assert free.speedup(32, 32) == pytest.approx(32)
    assert stops_paying(free).startswith("32 tasks are fastest on 32 ranks (32.0 times one), and half of every rank's "
                                         "time is used on up to 32; ")
    slow = Model(0, 0.02, 0, 0.1, math.inf, 400_000)
    assert stops_paying(slow).startswith("32 tasks are fastest on 2 ranks (")
    ranks = [line.split(" | ")[:3] for line in many_table(MODEL).splitlines() if re.match(r"\| \d", line)]
    assert ["| 64", "64", "1"] in ranks
    assert ranks[-1] == ["| 1024", "1024", "1"]


def test_medians_are_of_every_figure():
    rounds = [{"a": [{"b": number}], "c": {"d": -number}} for number in (1, 9, 2)]
    assert medians(rounds) == {"a": [{"b": 2}], "c": {"d": -2}}


def test_page_times_learning_and_answers_of_what_was_learned():
    class Client:
        asked = []

        def get(self, path):
            return SimpleNamespace(json={"classes": [{"examples": ["a"], "others": ["b"]}] * page.CLASSES})

        def post(self, path, json):
            self.asked.append((path, json))
            return SimpleNamespace(json={"name": f"learned {len(self.asked)}"})

    times = page.measure(Client(), examples=1)
    assert [len(each) for each in times] == [1 + page.TIMES] * 2
    assert min(map(min, times)) > 0
    assert Client.asked[:2] == [("/api/learn", {"classes": [["a"]] * page.CLASSES}),
                                ("/api/answer", {"name": "learned 1", "image": "b"})]


def test_without_a_name_the_benchmarks_are_listed():
    done = subprocess.run([sys.executable, "-m", "benchmarks"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "\nmeta_step " in done.stderr
    assert "\nruns " not in done.stderr
