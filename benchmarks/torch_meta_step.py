"""The peer: the same meta-gradient (or evaluation) in PyTorch, all tasks at once by torch.func's vmap."""

import torch
import torch.nn.functional as F
from torch.func import grad, vmap

from benchmarks.cases import random_batch, read_options, result
from benchmarks.measure import measure, peak_memory
from src.cli.atomic_files import write_json
from src.cli.errors import InputError, run_program
from src.layers.description import describe


def logits(specs, weights, x):
    """The network of a preset on one task's images [image, imgc, imgsz, imgsz]."""
    for spec in specs:
        def of(kind, index=spec.index):
            return weights.get(f"{index}.{kind}")
        if spec.kind == "conv2d":
            x = F.conv2d(x, of("weight"), of("bias"), spec.stride, spec.padding)
        elif spec.kind == "bn":
            gamma = of("gamma") if spec.gamma else torch.ones_like(of("beta"))
            x = F.batch_norm(x, None, None, gamma, of("beta"), training=True, eps=spec.eps)
        elif spec.kind == "max_pool2d":
            x = F.max_pool2d(x, spec.kernel, spec.stride)
        else:
            x = {"relu": F.relu, "reduce_mean": lambda x: x.mean((2, 3)), "flatten": lambda x: x.flatten(1),
                 "linear": lambda x: F.linear(x, of("weight"), of("bias"))}[spec.kind](x)
    return x


def build_step(options):
    """A function without arguments that computes one meta-gradient, or evaluates."""
    specs = describe(options.network, options.imgc, options.imgsz, options.n_way)
    torch.manual_seed(options.seed)
    theta = {f"{spec.index}.{kind}": torch.randn(shape).div(10).requires_grad_()
             for spec in specs for kind, shape in spec.parameters.items()}
    x_spt, y_spt, x_qry, y_qry = (torch.tensor(array) for array in random_batch(options))
    batch = (x_spt, y_spt.long(), x_qry, y_qry.long())

    def loss(weights, x, y):
        return F.cross_entropy(logits(specs, weights, x), y)

    def adapt(weights, x, y):
        for _ in range(options.update_step):
            slope = grad(loss)(weights, x, y)
            weights = {name: value - options.update_lr * slope[name] for name, value in weights.items()}
        return weights

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


def main():
    options = read_options(__doc__)
    if options.algorithm != "maml":
        raise InputError(f"--algorithm {options.algorithm}: the peer has none but maml; expected a preset of that")
    memory_before = peak_memory()
    step = build_step(options)
    write_json(options.json or "-", result(options, measure(step, options.warmup, options.repeats, memory_before)))


if __name__ == "__main__":
    run_program(main)
