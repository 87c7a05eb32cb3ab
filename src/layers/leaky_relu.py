"""The leaky rectifier."""
from mindspore import Tensor

from mindspore_maml.layers.layer import PiecewiseLinear
from mindspore_maml.layers.primitives import mul, relu, sub
from mindspore_maml.layers.spec import Property


class LeakyReLU(PiecewiseLinear):
    """y = x where x > 0, else `slope` x (Maas, Hannun, Ng, 2013); on an edge, its derivative is 0."""

    properties = {"slope": Property(float, 0.01, low=0)}
    slope: float

    def forward(self, w: tuple, x: Tensor) -> Tensor:
        return sub(relu(x), mul(relu(-x), self.slope))
