"""Layers one after the other, run as if they were one layer."""
from mindspore import Tensor, jit_class

from mindspore_maml.layers.layer import Layer


@jit_class
class Chain:
    """A list of layers with the four methods of a `Layer`; the states are tuples of the layers' states.

    Parameters
    ----------
    layers : list of Layer
    """

    def __init__(self, layers: list[Layer]):
        self.layers = list(layers)
        self.kinds = tuple(kind for layer in layers for kind in layer.kinds)
        self.dropouts = tuple(dropout for layer in layers for dropout in layer.dropouts)

    def normalise_by(self, images: int) -> None:
        """As `Layer.normalise_by`."""
        for layer in self.layers:
            layer.normalise_by(images)

    def forward(self, w: tuple, x: Tensor) -> Tensor:
        """Returns y alone."""
        return self.forward_pass(w, x)[0]

    def forward_pass(self, w: tuple, x: Tensor) -> tuple[Tensor, tuple]:
        """Returns y and the forward states."""
        states, first = (), 0
        for layer in self.layers:
            last = first + len(layer.kinds)
            x, state = layer.forward_pass(w[first:last], x)
            states, first = (*states, state), last
        return x, states

    def backward(self, w: tuple, forward_states: tuple, dy: Tensor) -> tuple[Tensor, tuple, tuple]:
        """Returns dx, dw and the backward states."""
        gradients, states, last = (), (), len(w)
        for i in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[i]
            first = last - len(layer.kinds)
            dy, dw, state = layer.backward(w[first:last], forward_states[i], dy)
            gradients, states, last = (*dw, *gradients), (state, *states), first
        return dy, gradients, states

    def forward_tangent(self, w: tuple, forward_states: tuple, w_dot: tuple, x_dot: Tensor) -> tuple[Tensor, tuple]:
        """Returns y_dot and the tangent states."""
        states, first = (), 0
        for i in range(len(self.layers)):
            layer = self.layers[i]
            last = first + len(layer.kinds)
            x_dot, state = layer.forward_tangent(w[first:last], forward_states[i], w_dot[first:last], x_dot)
            states, first = (*states, state), last
        return x_dot, states

    def backward_tangent(self, w: tuple, forward_states: tuple, backward_states: tuple, w_dot: tuple,
                         tangent_states: tuple, dy_dot: Tensor) -> tuple[Tensor, tuple]:
        """Returns dx_dot and dw_dot."""
        products, last = (), len(w)
        for i in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[i]
            first = last - len(layer.kinds)
            dy_dot, dw_dot = layer.backward_tangent(w[first:last], forward_states[i], backward_states[i],
                                                    w_dot[first:last], tangent_states[i], dy_dot)
            products, last = (*dw_dot, *products), first
        return dy_dot, products
