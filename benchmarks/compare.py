"""Our meta-step beside the peer's, in turn, each in a process of its own: a table, one JSON line, results.json."""
import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from src.errors import InputError, run_program
from src.files import write_json

FOLDER = Path(__file__).resolve().parent
OURS, PEER = "meta_step.py", "torch_meta_step.py"
CASES = {   # name -> flags, and the ratio to stay under
    "1-shot, 5 steps, first order": ({"order": "first"}, 0.45),
    "1-shot, 5 steps, second order": ({"order": "second"}, 0.45),
    "1-shot, k_qry 15, 1 step, second order": ({"order": "second", "k_qry": 15, "update_step": 1}, 0.45),
    "5-shot, k_qry 15, 5 steps, second order": ({"order": "second", "k_spt": 5, "k_qry": 15}, 0.30),
    "16 tasks, 20-way, 5 steps, second order": ({"order": "second", "n_way": 20, "task_num": 16}, 0.40),
    "evaluation, k_qry 15, 10 steps": ({"order": "none", "k_qry": 15, "update_step": 10}, 0.40),
}
COMMON = {"task_num": 32, "n_way": 5, "k_spt": 1, "k_qry": 5, "update_step": 5, "repeats": 10}


def run(program, flags, warmup):
    """The figures one program prints for one case."""
    command = [sys.executable, str(FOLDER / program), "--json", "-", "--warmup", str(warmup)]
    command += [text for name, value in (COMMON | flags).items() for text in (f"--{name}", str(value))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{program} ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(flags, rounds):
    """Both programs in turn, `rounds` times; the medians over the rounds, and their ratio."""
    ours, peer = [], []
    for _ in range(rounds):
        ours.append(run(OURS, flags, warmup=20))
        peer.append(run(PEER, flags, warmup=2))   # PyTorch has nothing to tune
    figures = {side: {key: statistics.median(figure[key] for figure in figures)
                      for key in ("compile_s", "median_ms", "min_ms", "growth_mb")}
               for side, figures in (("ours", ours), ("peer", peer))}
    return figures | {"ratio": round(figures["ours"]["median_ms"] / figures["peer"]["median_ms"], 3)}


def machine():
    """What the figures were measured on."""
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.processor())
    return {"processor": model, "cores": len(os.sched_getaffinity(0)), "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in ("mindspore", "torch", "numpy")}}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs (default 3)")
    parser.add_argument("--only", default="", help="run the cases whose name contains this")
    parser.add_argument("--json", default=str(FOLDER / "results.json"), help="file for the results")
    options = parser.parse_args()
    results = {"machine": machine(), "cases": {}}
    print("| case (32 tasks, 5-way) | ours, ms | peer, ms | ratio | at most | first step, s | growth, MB (peer) |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, (flags, limit) in CASES.items():
        if options.only not in name:
            continue
        figures = compare(flags, options.rounds) | {"at_most": limit, "flags": COMMON | flags}
        results["cases"][name] = figures
        ours, peer = figures["ours"], figures["peer"]
        print(f"| {name} | {ours['median_ms']:.0f} | {peer['median_ms']:.0f} | {figures['ratio']:.2f} | {limit:.2f} | "
              f"{ours['compile_s']:.1f} | {ours['growth_mb']:.0f} ({peer['growth_mb']:.0f}) |", flush=True)
    print(json.dumps(results))
    write_json(options.json, results)


if __name__ == "__main__":
    run_program(main)
