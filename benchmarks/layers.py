"""What kinds of layers cost in a whole meta-step: closed forms beside derived ones, other kinds beside the usual.

The network of --preset is changed in one kind of layer at a time; its first convolution and normalisation, which are
one fused layer, stay as they are.
"""
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.cases import EXTRA, random_batch, result
from benchmarks.measure import measure, peak_memory
from benchmarks.runs import FOLDER, PASSED_ON, ROUNDS, in_turn, machine, read_options, run
from mindspore_maml.cli.atomic_files import write_json
from mindspore_maml.cli.options import Option
from mindspore_maml.cli.program import run_program
from mindspore_maml.devices import device
from mindspore_maml.devices.shares import share_out
from mindspore_maml.training.from_options import make_meta

FIRST = 2   # layers that stay
CLOSED = {"relu": "ReLU", "max_pool2d": "MaxPool2D", "bn": "BatchNorm", "conv2d": "Conv2D", "linear": "Linear"}
OTHERS = {   # what stands in place of which kind
    "gelu": "relu", "leaky_relu": "relu", "dropout": "relu", "residual": "relu", "avg_pool2d": "max_pool2d",
    "group_norm": "bn",
}
PROPERTIES = {"residual": {"layers": [{"layer": "gelu"}]}}
AS_IT_IS = "as it is"
CHANGES = (AS_IT_IS, *(f"{kind} derived" for kind in CLOSED),
           *(f"{other} for {kind}" for other, kind in OTHERS.items()))
CHANGE = Option("change", "", "a change of the network, for a single run; empty: all in turn", choices=("", *CHANGES))


def changed(network: list[dict], change: str) -> list[dict]:
    """The list of layers after one of `CHANGES`."""
    if change == AS_IT_IS:
        return network
    kind = change.rsplit(maxsplit=1)[-1] if " for " in change else change.split(maxsplit=1)[0]
    flat = [layer["layer"] for layer in network].index("flatten")
    last = flat if change == "group_norm for bn" else len(network)   # behind it there is no image
    return [_instead(layer, change) if layer["layer"] == kind and FIRST <= index < last else layer
            for index, layer in enumerate(network)]


def _instead(layer, change):
    name = change.split()[0]
    if change.endswith("derived"):
        return {**layer, "layer": f"benchmarks.derived:Derived{CLOSED[name]}"}
    return {"layer": name, **PROPERTIES.get(name, {})}


def measure_one(options: Any) -> None:
    """Time the step of the changed network."""
    options = options.but(network=changed(options.network, options.change))
    workers, memory_before = device.set_up_for(options), peak_memory()
    batch, meta = random_batch(options), share_out(make_meta(options), workers)

    def step():
        for gradient in meta.meta_gradient(*batch)[2]:
            gradient.asnumpy()

    write_json(options.json or "-", result(options, measure(step, options.warmup, options.repeats, memory_before)))


def measure_all(options: Any) -> None:
    """Time every change in turn, each in a process of its own, and print a table."""
    runs = {change: partial(run, Path(__file__).name, options.flags | {"change": change}) for change in CHANGES}
    figures = in_turn(runs, options.rounds)
    usual = figures[AS_IT_IS]["median_ms"]
    print("| network | ms a step | compared with the first |\n| --- | --- | --- |")
    for change, measured in figures.items():
        print(f"| {change} | {measured['median_ms']:.0f} | {measured['median_ms'] / usual - 1:+.1%} |")
    write_json(options.json or FOLDER / "layers.json", {
        "machine": machine("mindspore", "numpy"), "rounds": options.rounds, "flags": options.flags, "changes": figures})


def main() -> None:
    options = read_options(__doc__, [*EXTRA, ROUNDS, CHANGE])
    given = {name: getattr(options, name) for name in PASSED_ON if name in options.given}
    options = options.but(flags={"preset": "pooling"} | given)   # with the batch and the inner steps of that preset
    if options.change:
        measure_one(options)
    else:
        measure_all(options)


if __name__ == "__main__":
    run_program(main)
