"""Time of a step, bytes sent and time waited on 1 and 2 ranks of this machine, and what a model makes of more.

    python -m benchmarks ranks                 measure; writes ranks.json and the tables of docs/scaling.md
    python -m benchmarks ranks --earlier benchmarks/ranks.json     the tables again, from what was measured

Every rank is one process with one thread. The model's four times come from one process alone and from sums over ranks
and nothing else; the steps of several ranks are not used, but held against it.
"""
import json
import math
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.common import FOLDER, ROOT, machine, write_sections
from benchmarks.rank_step import OPTIONS
from mindspore_maml.cli.atomic_files import write_json
from mindspore_maml.cli.command_line import as_arguments, parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import BENCH, Option
from mindspore_maml.cli.program import run_program

PAGE = ROOT / "docs" / "scaling.md"
OWN = (
    Option("ranks", [1, 2], "numbers of ranks, 1 among them; no more than cores", list, low=1),
    Option("earlier", "", "file of an earlier measurement: only its tables are made"),
    Option("rounds", 3, "how often each point is measured, all points in turn", int, low=1),
)
ONE_RANK = {"workers": 1, "threads": 1, "warmup": 10}
MANY = (1, 8, 64, 1024)                # ranks to say something of
ASSUMED = ("10 Gbit/s, 50 µs", 50e-6, 1.25e9)   # a link: name, seconds a message, bytes a second


@dataclass(frozen=True)
class Model:
    """The time of a step, in seconds, of `ranks` that each have a core of their own.

    Attributes
    ----------
    fixed, of_task : float
        What a rank's step takes whatever its share, and for each task of it.
    draw : float
        For each task of the whole batch, which every rank draws.
    latency, bandwidth : float
        Seconds for each message of a sum over ranks, and bytes of gradient a second.
    gradient : int
        Bytes that are summed.
    """

    fixed: float
    of_task: float
    draw: float
    latency: float
    bandwidth: float
    gradient: int

    def step(self, ranks: int, tasks: int) -> float:
        """The time of a step; the rank with the largest share decides."""
        return self.fixed + self.draw * tasks + self.of_task * math.ceil(tasks / ranks) + self.sum(ranks)

    def sum(self, ranks: int) -> float:
        """A ring (Patarasuk and Yuan, 2009): 2 (ranks - 1) messages after each other, each a rank's part of all bytes.

        That is what MindSpore does on the CPU; NCCL and HCCL, on GPU and Ascend, choose other ways for many ranks.
        """
        return 2 * (ranks - 1) * (self.latency + self.gradient / ranks / self.bandwidth)

    def sent(self, ranks: int) -> float:
        """Bytes of gradient that each rank sends in a step."""
        return 2 * (ranks - 1) / ranks * self.gradient

    def speedup(self, ranks: int, tasks: int) -> float:
        """Against one rank with the same batch."""
        return self.step(1, tasks) / self.step(ranks, tasks)


def fitted(figures: list[dict]) -> Model:
    """The model of what was measured: lines through the times of one rank, and of sums by messages and bytes."""
    alone = next(figure for figure in figures if figure["ranks"] == 1)["points"]
    tasks = np.array([int(number) for number in alone])
    draws, steps = (np.array([point[name] for point in alone.values()]) / 1000 for name in ("draw_ms", "step_ms"))
    draw = float(np.polyfit(tasks, draws, 1)[0])
    of_task, fixed = map(float, np.polyfit(tasks, steps - draw * tasks, 1))
    latency, of_byte = _of_messages(figures)
    return Model(fixed, of_task, draw, latency, 1 / of_byte, next(iter(alone.values()))["gradient_bytes"])


def _of_messages(figures):
    """Seconds a message and a byte, by least squares of relative errors."""
    sums = [(2 * (figure["ranks"] - 1), 2 * (figure["ranks"] - 1) / figure["ranks"] * size["bytes"],
             (size["sum_ms"] - size["alone_ms"]) / 1000) for figure in figures for size in figure["sums"]]
    if len(sums) < 2:
        raise InputError("--ranks: no sum over ranks was measured; expected 1 and at least one more")
    messages, sent, seconds = np.array(sums).T
    solution, *_ = np.linalg.lstsq(np.column_stack([messages, sent]) / seconds[:, None], np.ones(len(sums)), rcond=None)
    return map(float, solution)


def run(ranks: int, flags: Mapping) -> dict:
    """What rank_step.py measures on so many ranks of this machine, each on a core of its own."""
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(all_cores)[:ranks])   # the ranks inherit it
    try:
        return _run(ranks, flags)
    finally:
        os.sched_setaffinity(0, all_cores)


def _run(ranks, flags):
    program = str(FOLDER / "rank_step.py")
    launcher = [str(ROOT / "src" / "devices" / "launch.py"), str(ranks)] if ranks > 1 else []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        command = [sys.executable, *launcher, program, "--json", str(out), *as_arguments(dict(flags))]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=os.environ | {
            "PYTHONPATH": str(ROOT), "MASTER": f"127.0.0.1:{free_port()}"})
        if done.returncode:
            raise InputError(f"{ranks} ranks ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
        return json.loads(out.read_text(encoding="utf-8"))


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def medians(rounds: list) -> Any:
    """Of the same figures from several rounds, their medians; the number of ranks is the same in all."""
    first = rounds[0]
    if isinstance(first, dict):
        return {key: value if key == "ranks" else medians([figures[key] for figures in rounds])
                for key, value in first.items()}
    if isinstance(first, list):
        return [medians(list(figures)) for figures in zip(*rounds)]
    return statistics.median(rounds)


def measured_table(figures: list[dict], model: Model) -> str:
    """A row for each number of ranks and tasks that was measured, beside the model."""
    lines = ["| ranks | tasks | tasks a rank | step, ms | drawing, ms | sum, ms (model) | waited, ms | kB sent (of "
             "gradient) | step of the model, ms | its error |", "| --- " * 10 + "|"]
    for figure in figures:
        ranks = figure["ranks"]
        for tasks, point in figure["points"].items():
            expected = 1000 * model.step(ranks, int(tasks))
            cells = (ranks, tasks, math.ceil(int(tasks) / ranks), f"{point['step_ms']:.0f}",
                     f"{point['draw_ms']:.1f}", f"{point['sum_ms']:.1f} ({1000 * model.sum(ranks):.1f})",
                     f"{point['waited_ms']:.1f}",
                     f"{point['sent_bytes'] / 1000:.0f} ({ranks * model.sent(ranks) / 1000:.0f})", f"{expected:.0f}",
                     f"{expected / point['step_ms'] - 1:+.1%}")
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def many_table(model: Model) -> str:
    """What the model says of many ranks, with the link measured here and with the assumed one."""
    name, latency, bandwidth = ASSUMED
    links = [model, replace(model, latency=latency, bandwidth=bandwidth)]
    lines = ["| ranks | tasks | tasks a rank | kB a rank sends | as here: sum, ms | step, ms | times as fast | "
             f"{name}: sum, ms | step, ms | times as fast |", "| --- " * 10 + "|"]
    for ranks in MANY:
        for tasks in sorted({max(32, ranks), 1024}):
            cells = [cell for link in links for cell in (
                f"{1000 * link.sum(ranks):.1f}", f"{1000 * link.step(ranks, tasks):.0f}",
                f"{link.speedup(ranks, tasks):.1f}")]
            lines.append(f"| {ranks} | {tasks} | {math.ceil(tasks / ranks)} | {model.sent(ranks) / 1000:.0f} | "
                         f"{' | '.join(cells)} |")
    return "\n".join(lines + ["", *(f"- {where}: {text}" for where, link in zip(("As here", name), links)
                                    for text in [stops_paying(link)])])


def stops_paying(model: Model) -> str:
    """Where more ranks stop paying, in words."""
    texts = []
    for tasks in (32, 128, 1024):
        counts = [2 ** power for power in range(int(math.log2(tasks)) + 1)]
        best = min(counts, key=lambda ranks: model.step(ranks, tasks))
        half = max(ranks for ranks in counts if model.speedup(ranks, tasks) >= ranks / 2)
        texts.append(f"{tasks} tasks are fastest on {best} ranks ({model.speedup(best, tasks):.1f} times one), and "
                     f"half of every rank's time is used on up to {half}")
    return "; ".join(texts) + "."


def parameters_line(model: Model) -> str:
    """The model's numbers in a sentence."""
    return (f"The model: {1000 * model.fixed:.1f} ms, {1000 * model.of_task:.2f} ms for each task of a rank, "
            f"{1000 * model.draw:.3f} ms for each task of the batch, and for the sum "
            f"{1e6 * model.latency:.0f} µs a message and {model.bandwidth / 1e6:.0f} MB/s.")


def main() -> None:
    options = parse(BENCH, __doc__, extra=(*OPTIONS, *OWN))
    content = json.loads(Path(options.earlier).read_text(encoding="utf-8")) if options.earlier else measure(options)
    model = fitted(content["ranks"])
    sections = {"measured ranks": f"{parameters_line(model)}\n\n{measured_table(content['ranks'], model)}",
                "many ranks": many_table(model)}
    print("\n\n".join(sections.values()))
    if not options.json:
        write_sections(PAGE, sections)
    if not options.earlier:
        write_json(options.json or FOLDER / "ranks.json", content)


def measure(options: Any) -> dict:
    """Run all numbers of ranks in turn, several rounds: what disturbs the machine for a while then meets all."""
    flags = ONE_RANK | {name: getattr(options, name) for name in sorted(options.given)
                        if name not in {"json", *(option.name for option in OWN)}}
    flags |= {"tasks": ",".join(map(str, options.tasks))}
    rounds: dict[int, list] = {ranks: [] for ranks in options.ranks}
    for ranks in tqdm(options.rounds * options.ranks, unit="run", leave=False, disable=None):
        rounds[ranks].append(run(ranks, flags))
    return {"machine": machine("mindspore", "numpy"), "rounds": options.rounds, "flags": flags,
            "ranks": [medians(figures) for figures in rounds.values()],
            "rounds_ms": {ranks: {tasks: [figure["points"][tasks]["step_ms"] for figure in figures]
                                  for tasks in figures[0]["points"]} for ranks, figures in rounds.items()}}


if __name__ == "__main__":
    run_program(main)
