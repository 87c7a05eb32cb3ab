"""The layers that have closed forms, with their derivatives derived by automatic differentiation instead."""
from mindspore import Tensor

from mindspore_maml.layers.batch_norm import BatchNorm
from mindspore_maml.layers.conv2d import Conv2D
from mindspore_maml.layers.layer import Layer
from mindspore_maml.layers.linear import Linear
from mindspore_maml.layers.max_pool2d import MaxPool2D
from mindspore_maml.layers.relu import ReLU


class Derived(Layer):
    """What a closed form's class is given back: the four methods of `Layer`. It stands before that class."""

    forward_pass = Layer.forward_pass
    backward = Layer.backward
    forward_tangent = Layer.forward_tangent
    backward_tangent = Layer.backward_tangent


class DerivedReLU(Derived, ReLU):
    """ReLU from its forward alone."""


class DerivedConv2D(Derived, Conv2D):
    """Convolution from its forward alone."""


class DerivedLinear(Derived, Linear):
    """A dense layer from its forward alone."""


class DerivedBatchNorm(Derived, BatchNorm):
    """Batch normalisation from its forward alone."""

    closed_pass = BatchNorm.forward_pass

    def forward(self, w: tuple, x: Tensor) -> Tensor:
        return self.closed_pass(w, x)[0]


class DerivedMaxPool2D(Derived, MaxPool2D):
    """Max-pooling from its forward alone."""

    closed_pass = MaxPool2D.forward_pass

    def forward(self, w: tuple, x: Tensor) -> Tensor:
        return self.closed_pass(w, x)[0]
