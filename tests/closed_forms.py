"""The layers' closed forms beside what automatic differentiation of their forward gives, tensor by tensor."""
import copy

import mindspore as ms
import numpy as np
from mindspore import Tensor
from networks import CONV, NETWORKS, SIZE, STRIDED, network

from mindspore_maml.layers.build import build
from mindspore_maml.layers.dropout import MASK
from mindspore_maml.layers.fused_first import FirstConvNorm
from mindspore_maml.layers.layer import Layer
from mindspore_maml.layers.network import to_rows
from mindspore_maml.layers.primitives import matmul, relu, rsqrt, total

TASKS, IMAGES = 2, 4
DERIVED = ("forward_pass", "backward", "forward_tangent", "backward_tangent")
LAYOUTS = NETWORKS | {
    "normalised first": [{"layer": "bn", "gamma": True}, {"layer": "flatten"}, {"layer": "linear", "units": 4},
                         {"layer": "bn", "gamma": True}, {"layer": "linear"}],
    "followed by a convolution": [{**CONV, "padding": 1}, {"layer": "bn", "gamma": True}, {"layer": "relu"}, STRIDED,
                                  {"layer": "relu"}, {"layer": "avg_pool2d", "kernel": 3}, {"layer": "flatten"},
                                  {"layer": "linear"}],
    "dropped first": [{"layer": "dropout"}, {"layer": "flatten"}, {"layer": "linear"}],
}


class Case:
    """A layer of a network with what its four methods are given: real activations, and random changes of them."""

    def __init__(self, layer, w, x, draws):
        if not layer.is_first:   # no two values equal: of those that are, max-pooling may take either
            noisy = x + 0.1 * _like(x, draws)
            x = _with_zero_row(noisy) if x.shape[1] % IMAGES else noisy
        self.layer, self.w, self.x = layer, w, x
        y = layer.on_rows(w, x)
        self.w_dot = tuple(_like(value, draws) if kind != MASK else ms.ops.zeros_like(value)
                           for kind, value in zip(layer.kinds, w))
        self.x_dot = () if layer.is_first else _like(x, draws)
        self.dy, self.dy_dot = _like(y, draws), _like(y, draws)
        if len(layer.shape_out) == 3:
            self.dy, self.dy_dot = (_with_zero_row(value) for value in (self.dy, self.dy_dot))
        if not layer.is_first and len(layer.shape_in) == 3 and x.shape[1] % IMAGES:
            self.x_dot = _with_zero_row(self.x_dot)

    def results(self, layer):
        """What the four methods give, by name, in double precision; parts without a tensor are left out."""
        y, state = layer.forward_pass(self.w, self.x)
        dx, dw, backward_state = layer.backward(self.w, state, self.dy)
        y_dot, tangent_state = layer.forward_tangent(self.w, state, self.w_dot, self.x_dot)
        dx_dot, dw_dot = layer.backward_tangent(self.w, state, backward_state, self.w_dot, tangent_state, self.dy_dot)
        found = {"y": y, "y_dot": y_dot} | ({} if layer.is_first else {"dx": dx, "dx_dot": dx_dot})
        for i in range(len(self.w)):
            found |= {f"dw[{i}]": dw[i], f"dw_dot[{i}]": dw_dot[i]}
        return {name: value.asnumpy().astype(np.float64) for name, value in found.items() if isinstance(value, Tensor)}

    def derived(self):
        """The same layer, its derivatives derived."""
        methods = {name: getattr(Layer, name) for name in DERIVED}
        twin = with_class(self.layer, type("Derived", (type(self.layer),), methods))
        twin.on_rows = self.layer.on_rows   # of the layer as it is, for its forward may call `forward_pass`
        if isinstance(self.layer, FirstConvNorm):
            twin.on_rows = conv_norm(self.layer, *self.x)
            twin.forward_pass = lambda w, x: (twin.on_rows(w, x[0]), (x[0],))
        return twin


def conv_norm(layer, rows, covariance):
    """The first layer in its plain form: without `Concat`, whose second derivative PyNative mode gets wrong."""
    array = rows.asnumpy()
    patches, ones = Tensor(array[:, :, :-1].copy()), Tensor(array[:, :, -1:].copy())

    def forward(w, _):
        scale = rsqrt(total(w[0] * matmul(covariance, w[0])) + layer.eps)
        weight = w[0] * scale * (w[-2] if layer.gamma else 1)
        y = matmul(patches, weight) + matmul(ones, w[-1])
        return relu(y) if layer.relu else y
    return forward


def with_class(layer, layer_class):
    """A copy of a layer as an instance of another class."""
    other = copy.copy(layer)
    other.__class__ = layer_class
    return other


def cases(name):
    """Every layer of one of `LAYOUTS`; to be run in PyNative mode."""
    draws = np.random.default_rng(1)
    return [Case(*layer_w_x, draws) for layer_w_x in layers_of(LAYOUTS[name], draws)]


def layers_of(layout, draws):
    """Every layer of a network, its weights and what it is given; to be run in PyNative mode."""
    net = network(layout)
    prepare, chain = build(net, TASKS, IMAGES)
    x = prepare(Tensor(draws.random((TASKS, IMAGES, 1, SIZE, SIZE), dtype=np.float32)))
    parameters, dropouts = iter(net.parameters), iter(chain.dropouts)
    for layer in chain.layers:
        w = tuple(_masks(next(dropouts)) if kind == MASK else ms.ops.stack([to_rows(next(parameters))] * TASKS)
                  for kind in layer.kinds)
        yield layer, w, x
        x = layer.on_rows(w, x)


def disagreements(found, expected):
    """The relative error of every tensor in `found`."""
    errors = {}
    for name, value in found.items():
        size = np.linalg.norm(expected[name])
        errors[name] = np.linalg.norm(value - expected[name]) / (size or 1)
    return errors


def _masks(dropout):
    return Tensor(np.stack([dropout.draw((task,)) for task in range(TASKS)]))


def _like(value, draws):
    return Tensor(draws.normal(size=value.shape).astype(np.float32))


def _with_zero_row(value):
    array = value.asnumpy().copy()
    array[:, -1] = 0
    return Tensor(array)
