"""A layer of a user's own, as docs/extending.md shows it."""
from mindspore import ops

from mindspore_maml.layers.layer import Layer
from mindspore_maml.layers.spec import Property


class Softplus(Layer):
    """y = log(1 + exp(sharpness (x + beta))) / sharpness, which is not 0 where x is."""

    properties = {"sharpness": Property(float, 1.0, low=0.1)}

    @staticmethod
    def parameters(spec):
        """One beta a channel."""
        return {"beta": (spec.shape_in[0],)}

    def forward(self, w, x):
        return ops.log(1 + ops.exp(self.sharpness * (x + w[0]))) / self.sharpness
