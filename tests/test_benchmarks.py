"""The benchmarks run and print what they promise; no time is judged."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

from src.options import read_preset

ROOT = Path(__file__).resolve().parent.parent
SMALL = ["--task_num", "2", "--n_way", "3", "--k_qry", "2", "--update_step", "2", "--warmup", "0", "--repeats", "2"]


@pytest.mark.parametrize(("order", "preset"), [("second", "maml"), ("none", "notebook")])
def test_meta_step_prints_one_json_line(order, preset):
    command = [sys.executable, ROOT / "benchmarks" / "meta_step.py", *SMALL, "--order", order, "--preset", preset,
               "--json", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout)
    assert 0 < figures["min_ms"] <= figures["median_ms"]
    assert figures["compile_s"] > 0
    assert figures["rss_mb"] > figures["growth_mb"] > 0
    assert (figures["order"], figures["preset"], figures["task_num"]) == (order, preset, 2)
    assert figures["k_spt"] == read_preset(preset).get("k_spt", 1)
