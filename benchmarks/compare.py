"""Our meta-step beside the peer's, in turn, each in a process of its own: a table, one JSON line, results.json."""
import argparse
import json
import os
import statistics
import subprocess
import sys
from typing import Any

from tqdm import tqdm

from benchmarks.common import FOLDER, HERE, machine
from mindspore_maml.cli.atomic_files import refuse_unwritable, write_json
from mindspore_maml.cli.command_line import as_arguments
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.program import run_program

OURS, PEER = "meta_step.py", "torch_meta_step.py"
COMMON = {"task_num": 32, "n_way": 5, "k_spt": 1, "k_qry": 5, "update_step": 5, "warmup": 20, "repeats": 10}
CASES: dict[str, tuple[dict, float]] = {   # name -> flags, and the ratio to stay under
    "1-shot, 5 steps, first order": ({"order": "first"}, 0.45),
    "1-shot, 5 steps, second order": ({"order": "second"}, 0.45),
    "1-shot, k_qry 15, 1 step, second order": ({"order": "second", "k_qry": 15, "update_step": 1}, 0.45),
    "5-shot, k_qry 15, 5 steps, second order": ({"order": "second", "k_spt": 5, "k_qry": 15}, 0.30),
    "16 tasks, 20-way, 5 steps, second order": ({"order": "second", "n_way": 20, "task_num": 16}, 0.40),
    "evaluation, k_qry 15, 10 steps": ({"order": "none", "k_qry": 15, "update_step": 10}, 0.40),
}


def run(program: str, flags: dict) -> dict:
    """The figures one program prints for one case."""
    command = [sys.executable, str(FOLDER / program), "--json", "-", *as_arguments(flags)]
    done = subprocess.run(command, env=os.environ | HERE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{program} ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(flags: dict, rounds: int) -> dict:
    """Both programs in turn, `rounds` times: what disturbs the machine for a while then meets both.

    Returns
    -------
    dict
        `ours`, `peer`: the medians over the rounds, and `rounds_ms`, every round's step; `ratio` of the median steps.
    """
    measured: dict[str, list[dict]] = {"ours": [], "peer": []}
    for _ in tqdm(range(rounds), unit="round", leave=False, disable=None):
        measured["ours"].append(run(OURS, flags))
        measured["peer"].append(run(PEER, flags | {"warmup": 2}))   # PyTorch has nothing to tune
    figures: dict[str, Any] = {name: {key: statistics.median(each[key] for each in found)
                                      for key in ("compile_s", "median_ms", "min_ms", "growth_mb")}
                               | {"rounds_ms": [each["median_ms"] for each in found]}
                               for name, found in measured.items()}
    return figures | {"ratio": round(figures["ours"]["median_ms"] / figures["peer"]["median_ms"], 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs (default 3)")
    parser.add_argument("--only", default="", help="run the cases whose name contains this")
    parser.add_argument("--json", default=str(FOLDER / "results.json"), help="file for the results")
    options = parser.parse_args()
    refuse_unwritable(options.json, "--json")
    results = {"machine": machine("mindspore", "torch", "numpy"), "cases": {}}
    print("| case (32 tasks, 5-way) | ours, ms | peer, ms | ratio | at most | first step, s | growth, MB (peer) |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, (flags, limit) in CASES.items():
        if options.only not in name:
            continue
        figures = compare(COMMON | flags, options.rounds) | {"at_most": limit, "flags": COMMON | flags}
        results["cases"][name] = figures
        ours, peer = figures["ours"], figures["peer"]
        print(f"| {name} | {ours['median_ms']:.0f} | {peer['median_ms']:.0f} | {figures['ratio']:.2f} | {limit:.2f} | "
              f"{ours['compile_s']:.1f} | {ours['growth_mb']:.0f} ({peer['growth_mb']:.0f}) |", flush=True)
    print(json.dumps(results))
    write_json(options.json, results)


if __name__ == "__main__":
    run_program(main)
