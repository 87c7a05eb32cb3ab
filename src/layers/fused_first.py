"""The first convolution and its batch normalisation as one product with the images' own statistics.

The input is data, so what depends on it alone is prepared once for all inner steps: the centred patches P
and their covariance C. Then conv + batch normalisation is exactly

    y = [P, 1] [w s; beta]    with s = 1 / sqrt(diag(w^T C w) + eps),

where the normalised activations and their gradients never meet the large rows. The rows are made in the
order, and as often, as the next convolution takes them, so that one needs no gather.
"""
import numpy as np
from mindspore import Tensor, nn

from mindspore_maml.layers.geometry import Grid, Window
from mindspore_maml.layers.image_rows import ImageRows
from mindspore_maml.layers.layer import Layer
from mindspore_maml.layers.patches import Patches
from mindspore_maml.layers.primitives import (
    cut,
    gather,
    join_channels,
    join_rows,
    matmul,
    matmul_tn,
    relu,
    relu_gradient,
    rsqrt,
    total,
    zeros_like,
)
from mindspore_maml.layers.row_constants import RowConstants
from mindspore_maml.layers.spec import Spec


class CentredPatches(nn.Cell):
    """Images as centred patches in the order the next layer takes them, and the patches' covariance."""

    def __init__(self, task_num: int, channels: int, grid: Grid, window: Window, next_window: Window | None):
        super().__init__()
        out = window.slide(grid)
        self.task_num, self.out = task_num, out
        self.rows = ImageRows(task_num, channels)
        self.patches = Patches(window, grid)
        self.normalise_by(out.images)
        order = np.arange(out.rows) if next_window is None else next_window.rows_under(out).reshape(-1)
        self.order = Tensor(order.astype(np.int32))

    def normalise_by(self, images: int) -> None:
        """As `Layer.normalise_by`: mean and covariance are those of the first `images`."""
        self.all_count = images == self.out.images
        self.constants = RowConstants(self.task_num, self.out.positions, zero_row=True,
                                      averaged=images * self.out.height * self.out.width)

    def construct(self, images: Tensor) -> tuple[Tensor, Tensor]:
        constants = self.constants
        patches = self.patches.take(self.rows(images))                     # [task, rows, taps x channel]
        centred = patches - constants.spread(constants.mean(patches))
        counted = centred if self.all_count else cut(centred, (0, 0, 0), (self.task_num, constants.averaged,
                                                                          centred.shape[2]))
        covariance = matmul_tn(counted, counted) / constants.averaged           # [task, taps x channel, the same]
        with_ones = join_channels((centred, constants.column))
        return gather(with_ones, self.order, 1), covariance


class FirstConvNorm(Layer):
    """Convolution and batch normalisation of data, and a ReLU if `relu`, from `CentredPatches`.

    A bias has no effect and no gradient.

    Parameters
    ----------
    conv, norm : Spec
        The two layers it stands for.
    relu : bool
        Whether a ReLU follows them.
    """

    is_first = True

    def __init__(self, conv: Spec, norm: Spec, relu: bool):
        self.eps, self.bias, self.gamma, self.relu = norm.eps, conv.bias, norm.gamma, relu
        self.kinds = (*conv.parameters, *norm.parameters)
        self.shape_in, self.shape_out = conv.shape_in, norm.shape_out

    def on_rows(self, w, x):
        return self.forward(w, x)

    def forward(self, w: tuple, x: tuple) -> Tensor:
        """x: `CentredPatches` gives it."""
        return self.forward_pass(w, x)[0]

    def forward_pass(self, w, x):
        """The forward state: x, and s, w s, C w s and y of the formula above."""
        rows, covariance = x
        scale = rsqrt(total(w[0] * matmul(covariance, w[0])) + self.eps)         # [task, 1, filter]
        normal = w[0] * scale                                                    # [task, taps x channel, filter]
        pull = matmul(covariance, normal)
        y = self._activations(w, rows, normal)
        return y, (rows, covariance, scale, normal, pull, y)

    def backward(self, w, forward_state, dy):
        """The backward state: the gradients at w s [task, taps x channel, filter] before and after gamma, theirs
        along w s [task, 1, filter], and dw."""
        rows, _, scale, normal, pull, y = forward_state
        d_normal, d_beta = _apart(matmul_tn(rows, self._masked(dy, y)))
        g = self._times_gamma(w, d_normal)
        slope = total(g * normal)
        dw = scale * (g - pull * slope)
        return dy, self._gradients(dw, total(d_normal * normal), d_beta), (d_normal, g, slope, dw)

    def forward_tangent(self, w, forward_state, w_dot, x_dot):
        """The tangent state: how w s and C w s move, and -s_dot / s."""
        rows, covariance, scale, normal, pull, y = forward_state
        step = w_dot[0] * scale
        shrink = total(pull * step)                                              # -scale_dot / scale
        normal_dot = step - normal * shrink
        weights = self._times_gamma(w, normal_dot)
        if self.gamma:
            weights = weights + normal * w_dot[-2]
        y_dot = self._masked(matmul(rows, join_rows((weights, w_dot[-1]))), y)
        return y_dot, (normal_dot, matmul(covariance, normal_dot), shrink)

    def backward_tangent(self, w, forward_state, backward_state, w_dot, tangent_state, dy_dot):
        rows, _, scale, normal, pull, y = forward_state
        d_normal, g, slope, dw = backward_state
        normal_dot, pull_dot, shrink = tangent_state
        d_normal_dot, d_beta_dot = _apart(matmul_tn(rows, self._masked(dy_dot, y)))
        g_dot = self._times_gamma(w, d_normal_dot)
        if self.gamma:
            g_dot = g_dot + d_normal * w_dot[-2]
        slope_dot = total(g_dot * normal + g * normal_dot)
        dw_dot = scale * (g_dot - pull_dot * slope - pull * slope_dot) - dw * shrink
        d_gamma_dot = total(d_normal_dot * normal + d_normal * normal_dot)
        return dy_dot, self._gradients(dw_dot, d_gamma_dot, d_beta_dot)

    def _activations(self, w, rows, normal):
        y = matmul(rows, join_rows((self._times_gamma(w, normal), w[-1])))
        return relu(y) if self.relu else y

    def _masked(self, dy, y):
        return relu_gradient(dy, y) if self.relu else dy

    def _times_gamma(self, w, x):
        return x * w[-2] if self.gamma else x

    def _gradients(self, dw, d_gamma, d_beta):
        gradients = (dw,)
        if self.bias:
            gradients = (*gradients, zeros_like(d_beta))
        if self.gamma:
            gradients = (*gradients, d_gamma)
        return (*gradients, d_beta)


def _apart(v):
    """[task, taps x channel + 1, filter] -> all lines but the last, and the last: the weights', and beta's."""
    tasks, lines, filters = v.shape
    return cut(v, (0, 0, 0), (tasks, lines - 1, filters)), cut(v, (0, lines - 1, 0), (tasks, 1, filters))
