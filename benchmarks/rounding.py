"""How far rounding carries a training: the same steps with tasks summed in another order, and from nudged weights.

    python -m benchmarks rounding --data_path D [flags of omniglot_train.py]

Three trainings of one process: each batch as a whole; in two halves whose gradients are added, as two ranks do; and as
a whole again, from weights that differ in the last bit or so. Where the halves part no faster than the nudged one, it
is the training that enlarges rounding. The gradients at the weights where the halves ended are compared too.
"""
from argparse import Namespace

import numpy as np
from mindspore import Parameter, Tensor

from mindspore_maml.cli.atomic_files import write_json
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.options import TRAIN, Option
from mindspore_maml.cli.program import run_program
from mindspore_maml.data.class_images import Classes
from mindspore_maml.devices import device
from mindspore_maml.devices.batch_share import Call, Share, contribution
from mindspore_maml.meta import Meta
from mindspore_maml.OmniglotIter import Batch
from mindspore_maml.training.from_options import load_split, make_episodes, make_meta
from mindspore_maml.training.optimizer import outer_optimizer

EXTRA = (
    Option("steps", [1, 5, 10, 20, 30, 40, 50], "after which steps to compare the weights", list, low=1),
    Option("json", "", "file for the figures"),
)
NUDGE = 1e-7   # relative; float32 has a last bit of 0.6e-7 to 1.2e-7


def gradient(meta: Meta, batch: Batch, shares: int, epoch: int) -> list[np.ndarray]:
    """The meta-gradient as the sum over so many shares of the tasks."""
    call, whole = Call("meta_gradient", (epoch,)), Share(0, len(batch[0]), len(batch[0]))
    parts = [contribution(meta, call, [array[share.within(whole)] for array in batch], share)
             for share in whole.split(shares)]
    return [sum(values[1:], start=values[0]) for values in zip(*parts)][2:]   # without loss and accuracy


def train(meta: Meta, images: Classes, options: Namespace, shares: int) -> np.ndarray:
    """The weights after each step, [step, number]."""
    parameters, count = meta.trainable_params(), max(options.steps)
    optimizer, path = outer_optimizer(parameters, options), []
    for epoch, batch in zip(range(count), make_episodes(images, options, count)):
        optimizer(tuple(Tensor(value) for value in gradient(meta, batch, shares, epoch)))
        path.append(flat([parameter.asnumpy() for parameter in parameters]))
    return np.array(path)


def flat(arrays: list[np.ndarray]) -> np.ndarray:
    """All numbers in a row."""
    return np.concatenate([array.ravel() for array in arrays])


def put(values: list[np.ndarray], parameters: list[Parameter]) -> None:
    """Set the parameters."""
    for parameter, value in zip(parameters, values, strict=True):
        parameter.set_data(Tensor(value))


def nudged(values: list[np.ndarray]) -> list[np.ndarray]:
    """Every number a little larger or smaller."""
    draws = np.random.default_rng(7)
    return [(value * (1 + NUDGE * draws.choice([-1, 1], value.shape))).astype(np.float32) for value in values]


def main() -> None:
    options = parse(TRAIN, __doc__, extra=EXTRA)
    options.epoch = max(options.steps)
    device.set_up(options.device_target, options.device_id, options.mode)
    meta, images = make_meta(options), load_split(options)[0]
    parameters = meta.trainable_params()
    start = [parameter.asnumpy().copy() for parameter in parameters]
    paths = {}
    for name, values, shares in (("whole", start, 1), ("nudged", nudged(start), 1), ("halves", start, 2)):
        put(values, parameters)
        paths[name] = train(meta, images, options, shares)
    names = [parameter.name for parameter in parameters for _ in range(parameter.size)]
    figures = compared(paths, names, options.steps)
    batch = next(iter(make_episodes(images, options, 1)))
    whole, halves = (flat(gradient(meta, batch, shares, options.epoch - 1)) for shares in (1, 2))
    at_the_end = float(np.linalg.norm(halves - whole) / np.linalg.norm(whole))
    print(table(figures))
    print(f"where the halves ended, their gradient and that of the whole batch differ by {at_the_end:.1e} of its norm")
    if options.json:
        write_json(options.json, {"steps": figures, "gradient": at_the_end})


def compared(paths: dict, names: list[str], steps: list[int]) -> list[dict]:
    """After each of some steps, how far halves and nudged are from the whole, and the parameter that is farthest."""
    figures = []
    for step in steps:
        apart = {name: np.abs(paths[name][step - 1] - paths["whole"][step - 1]) for name in ("halves", "nudged")}
        figures.append({"step": step} | {name: float(values.max()) for name, values in apart.items()}
                       | {f"{name}_farthest": names[values.argmax()] for name, values in apart.items()})
    return figures


def table(figures: list[dict]) -> str:
    """A row for each step."""
    lines = ["| step | halves: largest difference | of | nudged: largest difference | of |", "| --- " * 5 + "|"]
    lines += [f"| {figure['step']} | {figure['halves']:.1e} | `{figure['halves_farthest']}` | {figure['nudged']:.1e} | "
              f"`{figure['nudged_farthest']}` |" for figure in figures]
    return "\n".join(lines)


if __name__ == "__main__":
    run_program(main)
