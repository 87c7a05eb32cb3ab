"""The leaky rectifier."""
from mindspore import Tensor

from src.layers.layer import PiecewiseLinear
from src.layers.primitives import mul, relu, sub
from src.layers.spec import Property


class LeakyReLU(PiecewiseLinear):
    """y = x where x > 0, else `slope` x (Maas, Hannun, Ng, 2013); on an edge, its derivative is 0."""

    properties = {"slope": Property(float, 0.01, low=0)}
    slope: float

    def forward(self, w: tuple, x: Tensor) -> Tensor:
        return sub(relu(x), mul(relu(-x), self.slope))
