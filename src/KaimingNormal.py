"""KaimingNormal: normal draws whose variance keeps the signal's size through ReLU layers (He et al., 2015)."""
import math
from collections.abc import Sequence

import numpy as np
from mindspore.common.initializer import Initializer

from mindspore_maml.cli.errors import InputError


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Inputs and outputs of one unit of a weight of `shape` ([out, in] or [out, in, k, k])."""
    if len(shape) < 2:
        raise InputError(f"a weight of shape {tuple(shape)} has no fan; expected at least two dimensions")
    receptive_field = math.prod(shape[2:])
    return shape[1] * receptive_field, shape[0] * receptive_field


def gain(nonlinearity: str, negative_slope: float) -> float:
    """The factor by which a nonlinearity asks for larger weights (He et al., 2015, equations 10 and 14)."""
    gains = {"linear": 1.0, "relu": math.sqrt(2.0), "leaky_relu": math.sqrt(2.0 / (1.0 + negative_slope**2))}
    if nonlinearity not in gains:
        raise InputError(f"nonlinearity is {nonlinearity!r}; expected one of {', '.join(gains)}")
    return gains[nonlinearity]


class KaimingNormal(Initializer):
    """Draws from N(0, gain^2 / fan), reproducible by its seed.

    Parameters
    ----------
    negative_slope : float
        Slope of the leaky ReLU behind the layer; 0 is plain ReLU.
    mode : str
        "fan_in" keeps the variance of the forward pass, "fan_out" that of the backward pass.
    nonlinearity : str
        "linear", "relu" or "leaky_relu".
    seed : int or sequence of int
        Seed of `numpy.random.default_rng`.
    """

    def __init__(self, negative_slope: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                 seed: int | Sequence[int] = 0):
        if mode not in ("fan_in", "fan_out"):
            raise InputError(f"mode is {mode!r}; expected one of fan_in, fan_out")
        self.fan = mode
        self.gain = gain(nonlinearity, negative_slope)
        self.seed_of_draws = seed
        super().__init__(negative_slope=negative_slope, mode=mode, nonlinearity=nonlinearity)

    def draw(self, shape: tuple[int, ...]) -> np.ndarray:
        """A float32 array of `shape`."""
        fan_in, fan_out = fans(shape)
        deviation = self.gain / math.sqrt(fan_in if self.fan == "fan_in" else fan_out)
        return (deviation * np.random.default_rng(self.seed_of_draws).standard_normal(shape)).astype(np.float32)

    def _initialize(self, arr):
        arr[:] = self.draw(arr.shape)
