"""One process with MindSpore's own 25 threads, one with a thread a core, or a process a core: on 2 and all cores."""
import os
from functools import partial

from benchmarks.cases import EXTRA
from benchmarks.runs import FOLDER, OURS, ROUNDS, in_turn, machine, read_options, run
from mindspore_maml.cli.atomic_files import write_json
from mindspore_maml.cli.program import run_program

WAYS = {   # how the cores are used -> flags
    "one process, 25 threads": {"workers": 1, "threads": 25},
    "one process, a thread a core": {"workers": 1, "threads": 0},
    "a process a core": {"workers": 0, "threads": 0},
}
MINE = ("workers", "threads")


def run_on(cores: set[int], flags: dict) -> dict:
    """The figures of one run that may use these cores only."""
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)   # the program that is started inherits it
    try:
        return run(OURS, flags)
    finally:
        os.sched_setaffinity(0, all_cores)


def main() -> None:
    options = read_options(__doc__, [*(option for option in EXTRA if option.name not in MINE), ROUNDS])
    cores = sorted(os.sched_getaffinity(0))
    counts = sorted({min(2, len(cores)), len(cores)})
    runs = {(count, way): partial(run_on, set(cores[:count]), options.flags | flags)
            for count in counts for way, flags in WAYS.items()}
    figures = in_turn(runs, options.rounds)
    print("| cores | " + " | ".join(f"{way}, ms" for way in WAYS) + " |\n" + "| --- " * (len(WAYS) + 1) + "|")
    for count in counts:
        print(f"| {count} | " + " | ".join(f"{figures[count, way]['median_ms']:.0f}" for way in WAYS) + " |")
    write_json(options.json or FOLDER / "threads.json", {
        "machine": machine("mindspore", "numpy"), "rounds": options.rounds, "flags": options.flags,
        "cores": {count: {way: figures[count, way] for way in WAYS} for count in counts}})


if __name__ == "__main__":
    run_program(main)
