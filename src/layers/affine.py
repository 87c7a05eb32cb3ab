"""The product with a weight, and a bias: what a convolution and a dense layer share."""
from mindspore import Tensor

from mindspore_maml.layers.layer import Layer
from mindspore_maml.layers.patches import AsGiven, Patches
from mindspore_maml.layers.primitives import add, join_channels, matmul, matmul_nt, matmul_tn
from mindspore_maml.layers.row_constants import RowConstants


class Affine(Layer):
    """y = P w + b, where P are the inputs as `patches` lays them out. Subclasses set `patches` and `constants`."""

    keeps_zero_row = True
    bias: bool
    patches: Patches | AsGiven
    constants: RowConstants

    def forward(self, w: tuple, x: Tensor) -> Tensor:
        y = matmul(self.patches.take(x), w[0])
        return add(y, self.constants.spread(w[1])) if self.bias else y

    def backward(self, w, forward_state, dy):
        """The forward state is x: its patches are larger, and quick to make again."""
        dw = (matmul_tn(self.patches.take(forward_state[0]), dy),)
        if self.bias:
            dw = (*dw, self.constants.sum(dy))
        dx = dy if self.is_first else self.patches.give_back(matmul_nt(dy, w[0]))
        return dx, dw, (dy,)

    def forward_tangent(self, w, forward_state, w_dot, x_dot):
        """The tangent state is x_dot's patches."""
        y_dot, patches_dot = matmul(self.patches.take(forward_state[0]), w_dot[0]), x_dot
        if not self.is_first:
            patches_dot = self.patches.take(x_dot)
            y_dot = add(y_dot, matmul(patches_dot, w[0]))
        if self.bias:
            y_dot = add(y_dot, self.constants.spread(w_dot[1]))
        return y_dot, (patches_dot,)

    def backward_tangent(self, w, forward_state, backward_state, w_dot, tangent_state, dy_dot):
        dy, patches_dot = backward_state[0], tangent_state[0]
        dw_dot, dx_dot = matmul_tn(self.patches.take(forward_state[0]), dy_dot), dy_dot
        if not self.is_first:
            dw_dot = add(dw_dot, matmul_tn(patches_dot, dy))
            both = matmul_nt(join_channels((dy_dot, dy)), join_channels((w[0], w_dot[0])))
            dx_dot = self.patches.give_back(both)
        if self.bias:
            return dx_dot, (dw_dot, self.constants.sum(dy_dot))
        return dx_dot, (dw_dot,)
