"""The floor under each case: its arithmetic and its unavoidable traffic, over what this machine reaches right now."""
import math
import time
from argparse import Namespace

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from benchmarks.cases import EXTRA
from benchmarks.compare import CASES
from benchmarks.runs import COMMON, as_arguments
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.options import BENCH
from mindspore_maml.cli.program import run_program
from mindspore_maml.devices import device
from mindspore_maml.layers.description import describe, every_layer
from mindspore_maml.layers.spec import Spec

# Products of a layer's size: one forward and two back; along a tangent, twice that
PASSES = {"gradient": 3, "curvature": 6}
BYTES = 4


class Product(nn.Cell):
    """The batched matrix product that dominates: every task's second convolution on its query images."""

    def __init__(self):
        super().__init__()
        self.matmul = ops.BatchMatMul()

    def construct(self, a: ms.Tensor, b: ms.Tensor) -> ms.Tensor:
        return self.matmul(a, b)


class Copy(nn.Cell):
    """Reads and writes a large tensor once."""

    def __init__(self):
        super().__init__()
        self.relu = ops.ReLU()

    def construct(self, a: ms.Tensor) -> ms.Tensor:
        return self.relu(a)


def best_time(cell: nn.Cell, *arguments: ms.Tensor, repeats: int = 40) -> float:
    """The shortest of many calls, in seconds: the machine at its best, for this is a floor."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        cell(*arguments).asnumpy()
        times.append(time.perf_counter() - start)
    return min(times)


def random(*shape: int) -> ms.Tensor:
    return ms.Tensor(np.random.default_rng(0).random(shape, dtype=np.float32))


def measure_rates() -> tuple[float, float]:
    """FLOP/s of the product, bytes/s of the copy."""
    a, b = random(32, 1225, 576), random(32, 576, 64)
    flops = 2 * 32 * 1225 * 576 * 64 / best_time(Product(), a, b)
    big = random(32, 11025, 64)
    return flops, 2 * big.nbytes / best_time(Copy(), big)


def of_one_image(specs: list[Spec]) -> tuple[float, float]:
    """FLOP of one forward pass, and bytes of the activations it writes, for one image."""
    flops = numbers = 0
    for spec in every_layer(specs):
        results = math.prod(spec.shape_out)
        numbers += results
        if "weight" in spec.parameters:
            flops += 2 * math.prod(spec.parameters["weight"][1:]) * results
    return float(flops), float(numbers) * BYTES


def floor(options: Namespace, rates: tuple[float, float]) -> tuple[float, float, float]:
    """Milliseconds for the arithmetic and for the traffic of one case.

    A gradient reads and writes every activation about three times, an adapted weight likewise in each inner step.
    """
    specs = describe(options.network, options.imgc, options.imgsz, options.n_way)
    flops, size = of_one_image(specs)
    support = options.n_way * options.k_spt * options.update_step
    query = options.n_way * options.k_qry
    inner = PASSES["gradient"] + (PASSES["curvature"] if options.order == "second" else 0)
    outer = 1 if options.order == "none" else PASSES["gradient"]
    image_passes = options.task_num * (support * inner + query * outer)
    weights = sum(np.prod(shape) for spec in specs for shape in spec.parameters.values()) * BYTES
    traffic = image_passes * size + options.task_num * options.update_step * inner * weights
    return 1000 * image_passes * flops / rates[0], 1000 * traffic / rates[1], image_passes * flops / 1e9


def main() -> None:
    device.set_up("CPU")
    rates = measure_rates()
    print(f"batched product {rates[0] / 1e9:.0f} GFLOP/s, copy {rates[1] / 1e9:.0f} GB/s\n")
    print("| case | GFLOP | arithmetic, ms | traffic, ms |\n| --- | --- | --- | --- |")
    for name, (flags, _) in CASES.items():
        arithmetic, traffic, work = floor(parse(BENCH, __doc__, as_arguments(COMMON | flags), EXTRA), rates)
        print(f"| {name} | {work:.0f} | {arithmetic:.0f} | {traffic:.0f} |")


if __name__ == "__main__":
    run_program(main)
