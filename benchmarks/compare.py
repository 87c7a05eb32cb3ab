"""Our meta-step beside the peer's, in turn, each in a process of its own: a table, one JSON line, results.json."""
import argparse
import json
from functools import partial

from benchmarks.runs import COMMON, FOLDER, OURS, PEER, in_turn, machine, run
from mindspore_maml.cli.atomic_files import refuse_unwritable, write_json
from mindspore_maml.cli.program import run_program

CASES: dict[str, tuple[dict, float]] = {   # name -> flags, and the ratio to stay under
    "1-shot, 5 steps, first order": ({"order": "first"}, 0.45),
    "1-shot, 5 steps, second order": ({"order": "second"}, 0.45),
    "1-shot, k_qry 15, 1 step, second order": ({"order": "second", "k_qry": 15, "update_step": 1}, 0.45),
    "5-shot, k_qry 15, 5 steps, second order": ({"order": "second", "k_spt": 5, "k_qry": 15}, 0.30),
    "16 tasks, 20-way, 5 steps, second order": ({"order": "second", "n_way": 20, "task_num": 16}, 0.40),
    "evaluation, k_qry 15, 10 steps": ({"order": "none", "k_qry": 15, "update_step": 10}, 0.40),
}


def compare(flags: dict, rounds: int) -> dict:
    """Both programs in turn, `rounds` times; the medians over the rounds, and their ratio."""
    figures = in_turn({"ours": partial(run, OURS, flags),
                       "peer": partial(run, PEER, flags | {"warmup": 2})}, rounds)   # PyTorch has nothing to tune
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
