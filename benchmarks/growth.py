"""How a meta-step's time grows with the tasks of a batch and with the inner steps: two tables and a plot."""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import numpy as np
from matplotlib.figure import Figure

from benchmarks.compare import OURS, machine, run
from src.errors import run_program
from src.files import replacing, write_json

TASKS = (32, 64, 96, 128)
STEPS = (1, 2, 4, 6, 8, 10)
ORDERS = ("first", "second")


def sweep(flag, values):
    """Milliseconds of a step by order, for every value of one flag."""
    return {order: [run(OURS, {"order": order, flag: value}, warmup=20)["median_ms"] for value in values]
            for order in ORDERS}


def line_through(values, times):
    """Slope, intercept and largest relative residual of a straight line."""
    slope, intercept = np.polyfit(values, times, 1)
    residual = np.abs(np.polyval((slope, intercept), values) - times) / times
    return slope, intercept, residual.max()


def table(title, values, times, note):
    """One Markdown table; `note` makes the last column of an order's times."""
    print(f"\n| {title} | " + " | ".join(map(str, values)) + " | |\n|" + " --- |" * (len(values) + 2))
    for order in ORDERS:
        print(f"| {order} order, ms | " + " | ".join(f"{ms:.0f}" for ms in times[order]) + f" | {note(times[order])} |")


def draw(by_tasks, by_steps, path):
    """The plot: time a task against tasks, and time a step against inner steps with its straight line."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for order in ORDERS:
        left.plot(TASKS, np.divide(by_tasks[order], TASKS), "o-", label=f"{order} order")
        slope, intercept, _ = line_through(STEPS, by_steps[order])
        points = right.plot(STEPS, by_steps[order], "o", label=f"{order} order")[0]
        right.plot(STEPS, np.polyval((slope, intercept), STEPS), color=points.get_color())
    left.set(xlabel="tasks in a batch", ylabel="milliseconds a task", xticks=TASKS)
    right.set(xlabel="inner steps", ylabel="milliseconds a meta-step (32 tasks)")
    for axes in (left, right):
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", default=str(Path(__file__).parent / "growth.png"), help="file for the plot")
    parser.add_argument("--json", default=str(Path(__file__).parent / "growth.json"), help="file for the figures")
    options = parser.parse_args()
    by_tasks, by_steps = sweep("task_num", TASKS), sweep("update_step", STEPS)

    def spread(times):
        each = np.divide(times, TASKS)
        return f"{each.min():.2f} to {each.max():.2f} a task, {100 * (each.max() / each.min() - 1):.0f} % apart"

    def fit(times):
        slope, intercept, residual = line_through(STEPS, times)
        return f"{intercept:.0f} + {slope:.1f} a step, within {100 * residual:.0f} %"

    table("tasks (5 inner steps)", TASKS, by_tasks, spread)
    table("inner steps (32 tasks)", STEPS, by_steps, fit)
    draw(by_tasks, by_steps, Path(options.plot))
    write_json(options.json, {"machine": machine(), "tasks": dict(zip(TASKS, zip(*by_tasks.values()))),
                              "steps": dict(zip(STEPS, zip(*by_steps.values())))})


if __name__ == "__main__":
    run_program(main)
