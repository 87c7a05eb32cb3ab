"""Layers whose result is added to their input."""
import numpy as np
from mindspore import Tensor

from mindspore_maml.layers.chain import Chain
from mindspore_maml.layers.layer import Layer
from mindspore_maml.layers.primitives import add, zeros_like
from mindspore_maml.layers.spec import Property, Spec


class Residual(Layer):
    """y = x + f(x), with f the layers inside, one after the other (He et al., 2016, equation 1).

    Its derivatives are those of the layers inside, closed forms included.
    """

    properties = {"layers": Property(list)}
    keeps_zero_row = True

    def __init__(self, spec: Spec, task_num: int, images: int, is_first: bool = False):
        super().__init__(spec, task_num, images, is_first)
        self.layers = [inside.layer(inside, task_num, images) for inside in spec.layers]
        self.chain = Chain(self.layers)
        self.kinds, self.dropouts = self.chain.kinds, self.chain.dropouts

    @staticmethod
    def output_shape(spec: Spec) -> tuple:
        """As it is given, which the layers inside have to make."""
        made = spec.layers[-1].shape_out
        if made != spec.shape_in:
            raise spec.error(f": its layers make {made} of {spec.shape_in}; expected the same shape")
        return spec.shape_in

    @staticmethod
    def parameters(spec: Spec) -> dict:
        """Those of the layers inside, named "<index inside>.<kind>"."""
        return {f"{inside.place[-1]}.{name}": shape for inside in spec.layers
                for name, shape in inside.parameters.items()}

    @staticmethod
    def initial_value(spec: Spec, kind: str, shape: tuple, seed: tuple) -> np.ndarray:
        """As the layer inside makes it, with a seed of its own."""
        index, inner = kind.split(".", 1)
        inside = spec.layers[int(index)]
        return inside.layer.initial_value(inside, inner, shape, seed)

    def normalise_by(self, images: int) -> None:
        self.chain.normalise_by(images)

    def forward(self, w: tuple, x: Tensor) -> Tensor:
        return add(x, self.chain.forward(w, x))

    def forward_pass(self, w, x):
        """The forward state: x where that is data, else nothing; and those of the layers inside."""
        y, states = self.chain.forward_pass(w, x)
        return add(x, y), (x if self.is_first else (), states)

    def backward(self, w, forward_state, dy):
        """The backward state: those of the layers inside."""
        dx, dw, states = self.chain.backward(w, forward_state[1], dy)
        return add(dx, dy), dw, states

    def forward_tangent(self, w, forward_state, w_dot, x_dot):
        """The tangent state: those of the layers inside."""
        x_dot = zeros_like(forward_state[0]) if self.is_first else x_dot
        y_dot, states = self.chain.forward_tangent(w, forward_state[1], w_dot, x_dot)
        return add(x_dot, y_dot), states

    def backward_tangent(self, w, forward_state, backward_state, w_dot, tangent_state, dy_dot):
        dx_dot, dw_dot = self.chain.backward_tangent(w, forward_state[1], backward_state, w_dot, tangent_state, dy_dot)
        return add(dx_dot, dy_dot), dw_dot
