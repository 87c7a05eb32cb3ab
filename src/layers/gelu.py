"""The Gaussian error linear unit."""
import math

from mindspore import Tensor

from mindspore_maml.layers.layer import Layer
from mindspore_maml.layers.primitives import add, erf, mul


class GELU(Layer):
    """y = x P(z < x) for a standard normal z: x (1 + erf(x / sqrt(2))) / 2 (Hendrycks and Gimpel, 2016, section 2)."""

    keeps_zero_row = True

    def forward(self, w: tuple, x: Tensor) -> Tensor:
        half = mul(x, 0.5)
        return add(half, mul(half, erf(mul(x, math.sqrt(0.5)))))
