"""The first convolution and its batch normalisation as one product with the images' own statistics.

The input is data, so what depends on it alone is prepared once for all inner steps: the centred patches P
and their covariance C. Then conv + batch normalisation is exactly

    y = [P, 1] [w s; beta]    with s = 1 / sqrt(diag(w^T C w) + eps),

where the normalised activations and their gradients never meet the large rows. The rows are made in the
order, and as often, as the next convolution takes them, so that one needs no gather.
"""
import numpy as np
from mindspore import Tensor, nn, ops

from src.layers import Layer, Patches, RowConstants, _gather, _matmul, _matmul_tn, _reshape, _rsqrt

_join_rows, _join_channels = ops.Concat(axis=1), ops.Concat(axis=2)
_transpose = ops.Transpose()


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


class FirstConvNorm(Layer):
    """Convolution and batch normalisation of data, from `CentredPatches`; a bias has no effect and no gradient."""

    def __init__(self, eps, bias, gamma):
        self.eps, self.bias, self.gamma = eps, bias, gamma
        self.kinds = ("weight",) + bias * ("bias",) + gamma * ("gamma",) + ("beta",)

    def forward(self, w, x):
        rows, covariance = x
        scale = _rsqrt(_sum(w[0] * _matmul(covariance, w[0])) + self.eps)        # [task, 1, filter]
        normal = w[0] * scale                                                    # [task, taps x channel, filter]
        pull = _matmul(covariance, normal)
        return _matmul(rows, self._with_shift(w, normal)), (rows, covariance, scale, normal, pull)

    def backward(self, w, saved, dy):
        rows, _, scale, normal, pull = saved
        dv = _matmul_tn(rows, dy)                                                # [task, taps x channel + 1, filter]
        d_normal, d_beta = dv[:, :-1], dv[:, -1:]
        g = self._times_gamma(w, d_normal)
        slope = _sum(g * normal)
        dw = scale * (g - pull * slope)
        return dy, self._gradients(dw, _sum(d_normal * normal), d_beta), (d_normal, g, slope, dw)

    def forward_tangent(self, w, saved, w_dot, x_dot):
        rows, covariance, scale, normal, pull = saved
        step = w_dot[0] * scale
        shrink = _sum(pull * step)                                               # -scale_dot / scale
        normal_dot = step - normal * shrink
        weights = self._times_gamma(w, normal_dot)
        if self.gamma:
            weights = weights + normal * w_dot[-2]
        y_dot = _matmul(rows, _join_rows((weights, w_dot[-1])))
        return y_dot, (normal_dot, _matmul(covariance, normal_dot), shrink)

    def backward_tangent(self, w, saved, kept, w_dot, moved, dy_dot):
        rows, _, scale, normal, pull = saved
        d_normal, g, slope, dw = kept
        normal_dot, pull_dot, shrink = moved
        dv_dot = _matmul_tn(rows, dy_dot)
        d_normal_dot, d_beta_dot = dv_dot[:, :-1], dv_dot[:, -1:]
        g_dot = self._times_gamma(w, d_normal_dot)
        if self.gamma:
            g_dot = g_dot + d_normal * w_dot[-2]
        slope_dot = _sum(g_dot * normal + g * normal_dot)
        dw_dot = scale * (g_dot - pull_dot * slope - pull * slope_dot) - dw * shrink
        d_gamma_dot = _sum(d_normal_dot * normal + d_normal * normal_dot)
        return dy_dot, self._gradients(dw_dot, d_gamma_dot, d_beta_dot)

    def _with_shift(self, w, normal):
        return _join_rows((self._times_gamma(w, normal), w[-1]))

    def _times_gamma(self, w, x):
        return x * w[-2] if self.gamma else x

    def _gradients(self, dw, d_gamma, d_beta):
        gradients = (dw,)
        if self.bias:
            gradients = gradients + (ops.zeros_like(d_beta),)
        if self.gamma:
            gradients = gradients + (d_gamma,)
        return gradients + (d_beta,)


def _sum(x):
    """[task, taps x channel, filter] -> [task, 1, filter]; the tensor is small."""
    return x.sum(axis=1, keepdims=True)
