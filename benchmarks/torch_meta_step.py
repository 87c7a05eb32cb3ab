"""The peer: the same meta-gradient (or evaluation) in PyTorch, all tasks at once by torch.func's vmap."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.func import grad, vmap

from benchmarks.meta_step import measure, peak_memory, random_batch, read_options, result
from mindspore_maml.cli.atomic_files import write_json
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.program import run_program
from mindspore_maml.layers.description import describe
from mindspore_maml.layers.spec import Spec


def _batch_norm(spec, x, gamma=None, beta=None):
    return F.batch_norm(x, None, None, torch.ones_like(beta) if gamma is None else gamma, beta, training=True,
                        eps=spec.eps)


def _group_norm(spec, x, gamma=None, beta=None):
    return F.group_norm(x, spec.groups, gamma, beta, spec.eps)


# Every kind of layer: its description, its input [image, ...] and its parameters -> its output
LAYERS: dict[str, Callable] = {
    "conv2d": lambda spec, x, weight, bias=None: F.conv2d(x, weight, bias, spec.stride, spec.padding),
    "linear": lambda spec, x, weight, bias=None: F.linear(x, weight, bias),
    "bn": _batch_norm,
    "group_norm": _group_norm,
    "relu": lambda spec, x: F.relu(x),
    "gelu": lambda spec, x: F.gelu(x),
    "leaky_relu": lambda spec, x: F.leaky_relu(x, spec.slope),
    "max_pool2d": lambda spec, x: F.max_pool2d(x, spec.kernel, spec.stride),
    "avg_pool2d": lambda spec, x: F.avg_pool2d(x, spec.kernel, spec.stride),
    "reduce_mean": lambda spec, x: x.mean((2, 3)),
    "flatten": lambda spec, x: x.flatten(1),
}


def logits(specs: list[Spec], weights: dict, x: torch.Tensor, layers: dict[str, Callable] = LAYERS) -> torch.Tensor:
    """The network of a preset on one task's images [image, imgc, imgsz, imgsz]."""
    for spec in specs:
        if spec.kind == "residual":
            x = x + logits(spec.layers, weights, x, layers)
        elif spec.kind in layers:
            x = layers[spec.kind](spec, x, **{name: weights[f"{spec.name}.{name}"] for name in spec.parameters})
        else:
            raise InputError(f"layer {spec.name} ({spec.kind}): the peer has none; expected {', '.join(layers)}")
    return x


def task_functions(options: Any, layers: dict[str, Callable] = LAYERS) -> tuple[Callable, Callable]:
    """Two functions of one task: its loss, and its weights after the inner steps on support images."""
    specs = describe(options.network, options.imgc, options.imgsz, options.n_way)

    def loss(weights, x, y):
        return F.cross_entropy(logits(specs, weights, x, layers), y)

    def adapt(weights, x, y, steps=options.update_step):
        for _ in range(steps):
            slope = grad(loss)(weights, x, y)
            weights = {name: value - options.update_lr * slope[name] for name, value in weights.items()}
        return weights

    return loss, adapt


def tensors_of(batch: Sequence[np.ndarray]) -> tuple[torch.Tensor, ...]:
    """A batch as `OmniglotIter` yields it, for PyTorch."""
    x_spt, y_spt, x_qry, y_qry = map(torch.tensor, batch)
    return x_spt, y_spt.long(), x_qry, y_qry.long()


def build_step(options: Any) -> Callable[[], object]:
    """A function without arguments that computes one meta-gradient, or evaluates."""
    torch.manual_seed(options.seed)
    theta = {f"{spec.name}.{kind}": torch.randn(shape).div(10).requires_grad_()
             for spec in describe(options.network, options.imgc, options.imgsz, options.n_way)
             for kind, shape in spec.parameters.items()}
    batch = tensors_of(random_batch(options))
    loss, adapt = task_functions(options)

    def query_loss(weights, x_spt, y_spt, x_qry, y_qry):
        return loss(adapt(weights, x_spt, y_spt), x_qry, y_qry)

    def query_gradient(weights, x_spt, y_spt, x_qry, y_qry):
        return grad(loss)(adapt(weights, x_spt, y_spt), x_qry, y_qry)

    def second():
        return torch.autograd.grad(vmap(query_loss, (None, 0, 0, 0, 0))(theta, *batch).mean(), list(theta.values()))

    def without_graph(function):
        with torch.no_grad():
            return vmap(function, (None, 0, 0, 0, 0))({name: value.detach() for name, value in theta.items()}, *batch)

    return {"second": second,
            "first": lambda: [g.mean(0) for g in without_graph(query_gradient).values()],
            "none": lambda: without_graph(query_loss)}[options.order]


def main() -> None:
    options = read_options(__doc__)
    if options.algorithm != "maml":
        raise InputError(f"--algorithm {options.algorithm}: the peer has none but maml; expected a preset of that")
    memory_before = peak_memory()
    step = build_step(options)
    write_json(options.json or "-", result(options, measure(step, options.warmup, options.repeats, memory_before)))


if __name__ == "__main__":
    run_program(main)
