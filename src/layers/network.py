"""The network's parameters: their initial values, their names, and the two forms they take."""
import math

import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops
from mindspore.common.initializer import initializer

from src.KaimingNormal import KaimingNormal
from src.layers.description import describe

_reshape, _transpose = ops.Reshape(), ops.Transpose()


class Network(nn.Cell):
    """The parameters in the form checkpoints hold them, one set for all tasks.

    Parameters
    ----------
    layers : list of dict
        As in a preset's `network`.
    imgc, imgsz, n_way : int
        Channels and size of an image; classes in a task.
    seed : int
        Seed of the initial values.

    Attributes
    ----------
    specs : list of Spec
        The layers, checked, with their shapes.
    parameters : ParameterTuple
        Named `<layer>.<kind>`, layer by layer in the list's order: a convolution's weight [out, in, k, k],
        a dense layer's [out, in], biases, gammas and betas [channel].
    """

    def __init__(self, layers, imgc, imgsz, n_way, seed):
        super().__init__()
        self.specs = describe(layers, imgc, imgsz, n_way)
        self.image_shape = (imgc, imgsz, imgsz)
        self.parameters = ParameterTuple(
            [Parameter(Tensor(value), name=f"{spec.index}.{kind}")
             for spec in self.specs for kind, value in initial_values(spec, seed)])

    @property
    def kinds(self):
        """"weight", "bias", "gamma" or "beta" of every parameter."""
        return [parameter.name.rsplit(".", 1)[1] for parameter in self.parameters]


def to_rows(value):
    """A parameter in the form the layers take: [in, out] (a window's taps outermost), or [1, out] for a shift."""
    if value.ndim == 4:                                                # [out, in, k, k] -> [k x k x in, out]
        return _reshape(_transpose(value, (2, 3, 1, 0)), (-1, value.shape[0]))
    return _transpose(value, (1, 0)) if value.ndim == 2 else _reshape(value, (1, -1))


def to_parameter(value, shape):
    """The inverse of `to_rows`, for a parameter of `shape`."""
    if len(shape) == 4:
        return _transpose(_reshape(value, (shape[2], shape[3], shape[1], shape[0])), (3, 2, 0, 1))
    return _transpose(_reshape(value, (shape[1], shape[0])), (1, 0)) if len(shape) == 2 else _reshape(value, shape)


def initial_values(spec, seed):
    """The parameters of one layer: a list of (kind, float32 array). Each has draws of its own."""
    values = [(kind, _initial_value(spec, kind, shape, (seed, spec.index, number)))
              for number, (kind, shape) in enumerate(spec.parameters.items())]
    return [(kind, value.astype(np.float32)) for kind, value in values]


def _initial_value(spec, kind, shape, seed):
    if kind == "weight":
        return spec.init_scale * _draw(spec.init, shape, seed)
    if kind == "bias" and spec.init == "uniform":
        return _uniform(shape, spec.parameters["weight"], seed)
    return np.ones(shape) if kind == "gamma" else np.zeros(shape)


def _draw(init, shape, seed):
    if init == "ones":
        return np.ones(shape, np.float32)
    if init == "uniform":
        return _uniform(shape, shape, seed)
    mode = init.removeprefix("kaiming_")
    return initializer(KaimingNormal(mode=mode, nonlinearity="relu", seed=seed), shape).init_data().asnumpy()


def _uniform(shape, weight_shape, seed):
    """Within 1 / sqrt(fan_in), weights and biases alike: PyTorch's default for its layers."""
    bound = 1 / math.sqrt(math.prod(weight_shape[1:]))
    return np.random.default_rng(seed).uniform(-bound, bound, shape)
