"""Every operation of the compiled graphs, each alone in a graph of its own, against NumPy."""
import math
from collections.abc import Callable
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from mindspore_maml.cli.atomic_files import write_json
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import one_line
from mindspore_maml.cli.options import BY_NAME
from mindspore_maml.cli.program import run_program
from mindspore_maml.devices import device


@dataclass(frozen=True)
class Case:
    """An operation with its inputs.

    Attributes
    ----------
    operation : str
        MindSpore's name for it in a compiled graph.
    run : callable
        Takes Tensors; what is compiled.
    expected : callable
        Takes the same as arrays; returns what the operation should give, or where it should leave its `state`.
    inputs : tuple of ndarray
    constants : tuple
        What follows them and belongs to the graph, such as axes and shapes.
    state : tuple of ndarray
        For an operation that changes parameters: their values, which come before the inputs.
    """

    operation: str
    run: Callable
    expected: Callable
    inputs: tuple
    constants: tuple = ()
    state: tuple = ()


class Alone(nn.Cell):
    """A graph of one operation."""

    def __init__(self, case: Case):
        super().__init__()
        self.run, self.constants = case.run, case.constants

    def construct(self, *inputs: Tensor) -> Tensor:
        return self.run(*inputs, *self.constants)


class OnParameters(nn.Cell):
    """A graph of one operation that changes parameters."""

    def __init__(self, case: Case):
        super().__init__()
        self.run = case.run
        self.state = ParameterTuple([Parameter(Tensor(value), name=f"state{i}") for i, value in enumerate(case.state)])

    def construct(self, *inputs: Tensor) -> Tensor:
        return self.run(*self.state, *inputs)


def graph_of(case: Case) -> nn.Cell:
    """What compiles and runs the operation."""
    return OnParameters(case) if case.state else Alone(case)


def error_of(case: Case, graph: nn.Cell) -> float:
    """The largest difference from NumPy's result, in units of its largest number."""
    result = graph(*map(Tensor, case.inputs))
    found = [parameter.asnumpy() for parameter in graph.state] if case.state else [result.asnumpy()]
    expected = case.expected(*case.state, *case.inputs, *case.constants)
    return max(_relative(*pair) for pair in zip(found, expected if case.state else [expected], strict=True))


def _relative(found, expected):
    expected = np.asarray(expected)
    if found.shape != expected.shape:
        return math.inf
    difference = np.abs(found.astype(np.float64) - expected).max()
    return float(difference / max(np.abs(expected).max(), 1e-30))


def _numbers(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def _times_number(x):
    return x * 2.5


_rows, _channels = ops.Concat(axis=1), ops.Concat(axis=2)


def _join_rows(*parts):
    return _rows(parts)


def _join_channels(*parts):
    return _channels(parts)


def _softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _adam(value, m, v, power_1, power_2, rate, beta_1, beta_2, eps, gradient):
    m, v = beta_1 * m + (1 - beta_1) * gradient, beta_2 * v + (1 - beta_2) * gradient ** 2
    return value - rate * np.sqrt(1 - power_2) / (1 - power_1) * m / (np.sqrt(v) + eps), m, v


def _adam_weight_decay(value, m, v, rate, beta_1, beta_2, eps, decay, gradient):
    m, v = beta_1 * m + (1 - beta_1) * gradient, beta_2 * v + (1 - beta_2) * gradient ** 2
    return value - rate * (m / (np.sqrt(v) + eps) + decay * value), m, v


def _scalars(*values):
    return tuple(np.float32(value) for value in values)


X, Y, POSITIVE = _numbers(3, 6, 4), _numbers(3, 6, 4, seed=1), np.abs(_numbers(3, 6, 4)) + 0.1
EDGES = np.where(np.abs(X) < 0.5, 0, X).astype(np.float32)   # with zeros, where a ReLU's derivative is 0
SLICED, SQUARE = _numbers(3, 4, 5), _numbers(3, 6, 6)
ROWS, LABELS = np.array([0, 3, 5, 3], np.int32), np.array([[0, 2], [1, 4]], np.int32)
ON, OFF = Tensor(0.9, ms.float32), Tensor(0.0, ms.float32)
MOMENTS = (_numbers(5, 4), 0.1 * _numbers(5, 4, seed=1), np.abs(_numbers(5, 4, seed=2)))   # a weight, and Adam's two
GRADIENT = _numbers(5, 4, seed=3)
CASES = (
    Case("Add", ops.Add(), np.add, (X, Y)),
    Case("Add", ops.Add(), np.add, (X, Y[:, :1])),
    Case("Sub", ops.Sub(), np.subtract, (X, Y)),
    Case("Mul", ops.Mul(), np.multiply, (X, Y)),
    Case("Mul", ops.Mul(), np.multiply, (X, Y[:, :1])),
    Case("Muls", _times_number, lambda x: x * 2.5, (X,)),
    Case("Neg", ops.Neg(), np.negative, (X,)),
    Case("Rsqrt", ops.Rsqrt(), lambda x: 1 / np.sqrt(x), (POSITIVE,)),
    Case("Erf", ops.Erf(), np.vectorize(math.erf), (X,)),
    Case("ReLU", ops.ReLU(), lambda x: np.maximum(x, 0), (EDGES,)),
    Case("ReluGrad", ops.auto_generate.ReluGrad(), lambda dy, y: dy * (y > 0), (X, EDGES)),
    Case("Maximum", ops.Maximum(), np.maximum, (X, Y)),
    Case("Equal", ops.Equal(), np.equal, (EDGES, np.maximum(EDGES, 0))),
    Case("Cast", ops.Cast(), lambda x, kind: x.astype(np.float32), (X > 0,), (ms.float32,)),
    Case("Softmax", ops.Softmax(), _softmax, (X,)),
    Case("LogSoftmax", ops.LogSoftmax(), lambda x: np.log(_softmax(x)), (X,)),
    Case("Argmax", ops.Argmax(axis=-1, output_type=ms.int32), lambda x: x.argmax(-1), (X,)),
    Case("OneHot", ops.OneHot(), lambda labels, *_: 0.9 * np.eye(5)[labels], (LABELS,), (5, ON, OFF)),
    Case("BatchMatMul", ops.BatchMatMul(), np.matmul, (X, SLICED)),
    Case("BatchMatMul", ops.BatchMatMul(transpose_a=True), lambda a, b: a.swapaxes(1, 2) @ b, (X, SQUARE)),
    Case("BatchMatMul", ops.BatchMatMul(transpose_b=True), lambda a, b: a @ b.swapaxes(1, 2), (X, Y)),
    Case("MatMul", ops.MatMul(), np.matmul, (X[0], SLICED[0])),
    Case("ReduceSum", ops.ReduceSum(keep_dims=True), lambda x, axis: x.sum(axis, keepdims=True), (X,), (1,)),
    Case("ReduceSum", ops.ReduceSum(), np.sum, (X,)),
    Case("ReduceMean", ops.ReduceMean(), np.mean, (X,)),
    Case("ReduceMean", ops.ReduceMean(), np.mean, (X,), ((1, 2),)),
    Case("Gather", ops.Gather(), lambda x, rows, axis: x[rows], (X[0], ROWS), (0,)),
    Case("Gather", ops.Gather(), lambda x, rows, axis: x[:, rows], (X, ROWS), (1,)),
    Case("Slice", ops.Slice(), lambda x, *_: x[:, 1:5], (X,), ((0, 1, 0), (3, 4, 4))),
    Case("Concat", _join_rows, lambda *parts: np.concatenate(parts, 1), (X, Y)),
    Case("Concat", _join_channels, lambda *parts: np.concatenate(parts, 2), (X, Y)),
    Case("Reshape", ops.Reshape(), lambda x, shape: x.reshape(shape), (X,), ((9, 8),)),
    Case("Transpose", ops.Transpose(), np.transpose, (X,), ((0, 2, 1),)),
    Case("Assign", ops.Assign(), lambda old, new: (new,), (X,), (), (Y,)),
    Case("AssignAdd", ops.AssignAdd(), lambda old, more: (old + more,), (X,), (), (Y,)),
    Case("Adam", ops.Adam(), _adam, (*_scalars(0.9, 0.999, 0.01, 0.9, 0.999, 1e-8), GRADIENT), (), MOMENTS),
    Case("AdamWeightDecay", ops.AdamWeightDecay(), _adam_weight_decay,
         (*_scalars(0.01, 0.9, 0.999, 1e-8, 0.1), GRADIENT), (), MOMENTS),
)


def errors(cases: tuple[Case, ...] = CASES) -> dict[str, float | str]:
    """The largest error of each operation by its name; a text where it could not run."""
    found: dict[str, float | str] = {}
    for case in cases:
        try:
            error: float | str = error_of(case, graph_of(case))
        except Exception as failure:   # whatever MindSpore raises; the page shall name the operation
            error = one_line(str(failure).strip())
        known = found.get(case.operation, 0.0)
        found[case.operation] = known if isinstance(known, str) else error if isinstance(error, str) \
            else max(known, error)
    return found


def main() -> None:
    """Print the errors as JSON."""
    options = parse("check", __doc__, extra=(BY_NAME["device_target"], BY_NAME["device_id"]))
    device.set_up(options.device_target, options.device_id)
    write_json("-", errors())


if __name__ == "__main__":
    run_program(main)
