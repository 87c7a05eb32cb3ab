"""The first convolution and its batch normalisation as one product with the images' own statistics.

The input is data, so what depends on it alone is prepared once for all inner steps: the centred patches P
and their covariance C. Then conv + batch normalisation is exactly

    y = [P, 1] [w s; beta]    with s = 1 / sqrt(diag(w^T C w) + eps),

where the normalised activations and their gradients never meet the large rows. The rows are made in the
order, and as often, as the next convolution takes them, so that one needs no gather. A ReLU that follows belongs to
the product where the device can do both in one kernel.
"""
import functools

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.layers.layers import (
    Layer,
    Patches,
    RowConstants,
    _gather,
    _join_channels,
    _join_rows,
    _matmul,
    _matmul_tn,
    _relu,
    _relu_gradient,
    _reshape,
    _rsqrt,
    _transpose,
)

_slice, _reduce_sum = ops.Slice(), ops.ReduceSum(keep_dims=True)
_matmul_relu = ops.BatchMatMul().add_prim_attr("with_relu", True)


class ImageRows(nn.Cell):
    """Images [task, image, channel, height, width] as rows [task, rows, channel], through `layers` without weights."""

    def __init__(self, task_num, channels, layers=()):
        super().__init__()
        self.zero_row = Tensor(np.zeros((task_num, 1, channels), np.float32))
        self.layers = list(layers)

    def construct(self, images):
        rows = images if images.shape[2] == 1 else _transpose(images, (0, 1, 3, 4, 2))
        rows = _reshape(rows, (images.shape[0], -1, images.shape[2]))
        x = _join_rows((rows, self.zero_row))
        for layer in self.layers:
            x = layer.forward((), x)[0]
        return x


class CentredPatches(nn.Cell):
    """Images as centred patches in the order the next layer takes them, and the patches' covariance."""

    def __init__(self, task_num, channels, grid, window, next_window):
        super().__init__()
        out = window.slide(grid)
        self.rows = ImageRows(task_num, channels)
        self.patches = Patches(window, grid)
        self.constants = RowConstants(task_num, out.positions, zero_row=True)
        order = np.arange(out.rows) if next_window is None else next_window.rows_under(out).reshape(-1)
        self.order = Tensor(order.astype(np.int32))

    def construct(self, images):
        constants = self.constants
        patches = self.patches.take(self.rows(images))                     # [task, rows, taps x channel]
        centred = patches - constants.spread(constants.mean(patches))
        covariance = _matmul_tn(centred, centred) / constants.positions          # [task, taps x channel, the same]
        with_ones = _join_channels((centred, constants.column))
        return _gather(with_ones, self.order, 1), covariance


class RectifiedProduct(nn.Cell):
    """max(a b, 0) of batches of matrices, as one kernel or as two."""

    def __init__(self, one_kernel):
        super().__init__()
        self.one_kernel = one_kernel

    def construct(self, a, b):
        y = _matmul_relu(a, b)
        return y if self.one_kernel else _relu(y)


@functools.cache
def product_takes_relu(mode):
    """Whether a product applies a ReLU given as its attribute: on the CPU a compiled one does, others ignore it.

    Asked of the device itself, for MindSpore sets this attribute in its own fusions but does not document it.
    """
    one = Tensor(np.ones((1, 1, 1), np.float32))
    return RectifiedProduct(one_kernel=True)(-one, one).asnumpy().item() == 0


class FirstConvNorm(Layer):
    """Convolution and batch normalisation of data, and a ReLU if `relu`, from `CentredPatches`.

    A bias has no effect and no gradient.
    """

    def __init__(self, eps, bias, gamma, relu):
        self.eps, self.bias, self.gamma, self.relu = eps, bias, gamma, relu
        self.product = RectifiedProduct(product_takes_relu(ms.get_context("mode"))) if relu else _matmul
        self.kinds = ("weight",) + bias * ("bias",) + gamma * ("gamma",) + ("beta",)

    def forward(self, w, x):
        rows, covariance = x
        scale = _rsqrt(_sum(w[0] * _matmul(covariance, w[0])) + self.eps)        # [task, 1, filter]
        normal = w[0] * scale                                                    # [task, taps x channel, filter]
        pull = _matmul(covariance, normal)
        y = self._activations(w, rows, normal)
        return y, (rows, covariance, scale, normal, pull, y)

    def backward(self, w, saved, dy):
        rows, _, scale, normal, pull, y = saved
        d_normal, d_beta = _apart(_matmul_tn(rows, self._masked(dy, y)))
        g = self._times_gamma(w, d_normal)
        slope = _sum(g * normal)
        dw = scale * (g - pull * slope)
        return dy, self._gradients(dw, _sum(d_normal * normal), d_beta), (d_normal, g, slope, dw)

    def compact(self, saved):
        return saved[2:5]

    def restore(self, w, x, saved):
        y = self._activations(w, x[0], saved[1])
        return y, (*x, *saved, y)

    def forward_tangent(self, w, saved, w_dot, x_dot):
        rows, covariance, scale, normal, pull, y = saved
        step = w_dot[0] * scale
        shrink = _sum(pull * step)                                               # -scale_dot / scale
        normal_dot = step - normal * shrink
        weights = self._times_gamma(w, normal_dot)
        if self.gamma:
            weights = weights + normal * w_dot[-2]
        y_dot = self._masked(_matmul(rows, _join_rows((weights, w_dot[-1]))), y)
        return y_dot, (normal_dot, _matmul(covariance, normal_dot), shrink)

    def backward_tangent(self, w, saved, kept, w_dot, moved, dy_dot):
        rows, _, scale, normal, pull, y = saved
        d_normal, g, slope, dw = kept
        normal_dot, pull_dot, shrink = moved
        d_normal_dot, d_beta_dot = _apart(_matmul_tn(rows, self._masked(dy_dot, y)))
        g_dot = self._times_gamma(w, d_normal_dot)
        if self.gamma:
            g_dot = g_dot + d_normal * w_dot[-2]
        slope_dot = _sum(g_dot * normal + g * normal_dot)
        dw_dot = scale * (g_dot - pull_dot * slope - pull * slope_dot) - dw * shrink
        d_gamma_dot = _sum(d_normal_dot * normal + d_normal * normal_dot)
        return dy_dot, self._gradients(dw_dot, d_gamma_dot, d_beta_dot)

    def _activations(self, w, rows, normal):
        return self.product(rows, _join_rows((self._times_gamma(w, normal), w[-1])))

    def _masked(self, dy, y):
        return _relu_gradient(dy, y) if self.relu else dy

    def _times_gamma(self, w, x):
        return x * w[-2] if self.gamma else x

    def _gradients(self, dw, d_gamma, d_beta):
        gradients = (dw,)
        if self.bias:
            gradients = (*gradients, ops.zeros_like(d_beta))
        if self.gamma:
            gradients = (*gradients, d_gamma)
        return (*gradients, d_beta)


def _apart(v):
    """[task, taps x channel + 1, filter] -> all lines but the last, and the last: the weights', and beta's."""
    tasks, lines, filters = v.shape
    return _slice(v, (0, 0, 0), (tasks, lines - 1, filters)), _slice(v, (0, lines - 1, 0), (tasks, 1, filters))


def _sum(x):
    """[task, taps x channel, filter] -> [task, 1, filter]; the tensor is small."""
    return _reduce_sum(x, 1)
