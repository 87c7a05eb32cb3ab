"""How a meta-step's time grows with tasks and inner steps: tables, growth.json and docs/growth.png."""
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from benchmarks.cases import EXTRA
from benchmarks.runs import FOLDER, OURS, ROUNDS, in_turn, machine, read_options, run
from mindspore_maml.cli.atomic_files import make_folder, replacing, write_json
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import Option
from mindspore_maml.cli.program import run_program

OWN = (
    Option("order", "first,second", "orders of the meta-gradient, separated by commas", choices=("first", "second"),
           several=True),
    Option("tasks", [8, 16, 32, 64, 128], "numbers of tasks, at update_step inner steps", list, low=1),
    Option("steps", [1, 2, 3, 5, 8, 10], "numbers of inner steps, at task_num tasks", list, low=1),
    Option("picture", "", "file for the picture; empty: docs/growth.png"),
    ROUNDS,
)
AT_MOST = 0.15   # how far the time a task may differ, from task_num tasks on


def measure(options: Any) -> dict[str, dict]:
    """Median milliseconds of a step, by order and (tasks, inner steps); task_num and update_step are among them."""
    task_num, update_step = options.flags["task_num"], options.flags["update_step"]
    tasks, steps = sorted({task_num, *options.tasks}), sorted({update_step, *options.steps})
    if len(steps) == 1:
        raise InputError(f"--steps has {steps[0]} alone, which is --update_step too; expected another to draw a line")
    cases = [(n, update_step) for n in tasks] + [(task_num, n) for n in steps]
    orders = options.order.split(",")
    runs = {(order, case): partial(run, OURS, options.flags | {"order": order, "task_num": case[0],
                                                               "update_step": case[1]})
            for order in orders for case in cases}
    figures = in_turn(runs, options.rounds)
    return {order: {case: figures[order, case]["median_ms"] for case in cases} for order in orders}


def by_tasks(times: dict[int, float], task_num: int) -> dict:
    """The time a task, and how far it differs from `task_num` tasks on.

    Parameters
    ----------
    times : dict
        Milliseconds of a step by number of tasks.
    """
    per_task = {n: time / n for n, time in times.items()}
    compared = [time for n, time in per_task.items() if n >= task_num]
    return {"task_num": list(times), "ms_a_step": list(times.values()),
            "ms_a_task": [round(time, 3) for time in per_task.values()],
            "spread": round(max(compared) / min(compared) - 1, 4), "at_most": AT_MOST}


def by_steps(times: dict[int, float]) -> dict:
    """The least-squares line through the times, and how far the times are from it.

    Parameters
    ----------
    times : dict
        Milliseconds of a step by number of inner steps.
    """
    steps, measured = np.array(list(times)), np.array(list(times.values()))
    slope, fixed = np.polyfit(steps, measured, 1)
    line = fixed + slope * steps
    return {"update_step": list(times), "ms_a_step": list(times.values()), "line_ms": line.round(2).tolist(),
            "fixed_ms": round(fixed, 2), "ms_an_inner_step": round(slope, 2),
            "largest_deviation": round(float(np.abs(measured / line - 1).max()), 4)}


def grown(times: dict[tuple[int, int], float], flags: dict) -> dict:
    """Both curves of one order, from its milliseconds by (tasks, inner steps)."""
    task_num, update_step = flags["task_num"], flags["update_step"]
    return {"tasks": by_tasks({n: times[n, m] for n, m in sorted(times) if m == update_step}, task_num),
            "steps": by_steps({m: times[n, m] for n, m in sorted(times) if n == task_num})}


def print_tables(orders: dict[str, dict], flags: dict) -> None:
    print("| order | tasks | inner steps | ms a step | ms a task |\n| --- | --- | --- | --- | --- |")
    for order, curves in orders.items():
        for n, time, per_task in zip(*(curves["tasks"][key] for key in ("task_num", "ms_a_step", "ms_a_task"))):
            print(f"| {order} | {n} | {flags['update_step']} | {time:.1f} | {per_task:.2f} |")
    print("\n| order | tasks | inner steps | ms a step | line, ms |\n| --- | --- | --- | --- | --- |")
    for order, curves in orders.items():
        for n, time, line in zip(*(curves["steps"][key] for key in ("update_step", "ms_a_step", "line_ms"))):
            print(f"| {order} | {flags['task_num']} | {n} | {time:.1f} | {line:.1f} |")
    print()
    for order, curves in orders.items():
        tasks, steps = curves["tasks"], curves["steps"]
        print(f"- {order} order: from {flags['task_num']} to {tasks['task_num'][-1]} tasks the ms a task differ by "
              f"{tasks['spread']:.1%} ({'within' if tasks['spread'] <= AT_MOST else 'beyond'} {AT_MOST:.0%}); "
              f"{steps['fixed_ms']:.1f} ms and {steps['ms_an_inner_step']:.1f} ms an inner step, "
              f"at most {steps['largest_deviation']:.1%} from that line")


def draw(orders: dict[str, dict], flags: dict, path: Path) -> None:
    """Time a task over tasks, and time a step over inner steps with its line; a colour for each order."""
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for colour, (order, curves) in zip(("tab:blue", "tab:orange"), orders.items()):
        tasks, steps = curves["tasks"], curves["steps"]
        left.plot(tasks["task_num"], tasks["ms_a_task"], marker="o", color=colour, label=f"{order} order")
        right.plot(steps["update_step"], steps["ms_a_step"], "o", color=colour)
        right.plot(steps["update_step"], steps["line_ms"], color=colour,
                   label=f"{order} order: {steps['fixed_ms']:.0f} + {steps['ms_an_inner_step']:.0f} ms a step")
    left.set_xscale("log", base=2)
    left.set(title=f"{flags['update_step']} inner steps", xlabel="tasks in a batch", ylabel="time a task, ms")
    left.set_xticks(tasks["task_num"], minor=False)
    left.xaxis.set_major_formatter(ScalarFormatter())
    right.set(title=f"{flags['task_num']} tasks in a batch", xlabel="inner steps", ylabel="time a meta-step, ms",
              xlim=(0, None), xticks=steps["update_step"])
    for axes in (left, right):
        axes.set_ylim(0, 1.3 * axes.get_ylim()[1])   # room for the legend
        axes.grid(alpha=0.3)
        axes.legend(loc="upper left")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)


def main() -> None:
    options = read_options(__doc__, [*(option for option in EXTRA if option.name != "order"), *OWN])
    picture = Path(options.picture or FOLDER.parent / "docs" / "growth.png")
    make_folder(picture.parent, "--picture")
    orders = {order: grown(times, options.flags) for order, times in measure(options).items()}
    print_tables(orders, options.flags)
    draw(orders, options.flags, picture)
    write_json(options.json or FOLDER / "growth.json",
               {"machine": machine("mindspore", "numpy"), "rounds": options.rounds, "flags": options.flags,
                "orders": orders})


if __name__ == "__main__":
    run_program(main)
