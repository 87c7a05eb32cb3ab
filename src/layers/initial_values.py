"""First values of the parameters, as a layer's `init` names them."""
import math

import numpy as np

from mindspore_maml.KaimingNormal import KaimingNormal
from mindspore_maml.layers.spec import Property, Spec, kind_of

INITS = ("kaiming_fan_in", "kaiming_fan_out", "uniform", "ones")
INIT = {"init": Property(str, "kaiming_fan_out", choices=INITS), "init_scale": Property(float, 1.0, low=0)}


def initial_value(spec: Spec, kind: str, shape: tuple, seed: tuple) -> np.ndarray:
    """The first value of one parameter of a layer.

    Weights are drawn as `spec.init` says and scaled by `spec.init_scale` (of a layer that has these properties);
    gammas are 1, all others 0, but for a bias beside a "uniform" weight.
    """
    kind = kind_of(kind)
    init = spec.properties.get("init", "kaiming_fan_out")
    if kind == "weight":
        return spec.properties.get("init_scale", 1.0) * _draw(init, shape, seed)
    if kind == "bias" and init == "uniform":
        return _uniform(shape, spec.parameters["weight"], seed)
    return np.ones(shape) if kind == "gamma" else np.zeros(shape)


def _draw(init, shape, seed):
    if init == "ones":
        return np.ones(shape, np.float32)
    if init == "uniform":
        return _uniform(shape, shape, seed)
    return KaimingNormal(mode=init.removeprefix("kaiming_"), nonlinearity="relu", seed=seed).draw(shape)


def _uniform(shape, weight_shape, seed):
    """Within 1 / sqrt(fan_in), weights and biases alike: PyTorch's default for its layers."""
    bound = 1 / math.sqrt(math.prod(weight_shape[1:]))
    return np.random.default_rng(seed).uniform(-bound, bound, shape)
