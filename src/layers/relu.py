"""The rectifier."""
from mindspore import Tensor

from src.layers.layer import Layer
from src.layers.primitives import relu, relu_gradient


class ReLU(Layer):
    """y = max(x, 0); on an edge, its derivative is 0."""

    keeps_zero_row = True

    def forward(self, w: tuple, x: Tensor) -> Tensor:
        return relu(x)

    def forward_pass(self, w, x):
        """The forward state is y."""
        y = relu(x)
        return y, (y,)

    def backward(self, w, forward_state, dy):
        return relu_gradient(dy, forward_state[0]), (), ()

    def forward_tangent(self, w, forward_state, w_dot, x_dot):
        return relu_gradient(x_dot, forward_state[0]), ()

    def backward_tangent(self, w, forward_state, backward_state, w_dot, tangent_state, dy_dot):
        return relu_gradient(dy_dot, forward_state[0]), ()
