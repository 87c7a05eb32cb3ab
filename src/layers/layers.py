"""The layers, for a whole batch of tasks at once, every task with weights of its own.

Each layer is four short methods, for MAML needs derivatives of derivatives:

    forward            y          from x                        (and what the others need of it: `saved`)
    backward           dx, dw     from dy                       (dy: the loss's gradient at y)
    forward_tangent    y_dot      from x_dot and w_dot          (how y moves when x and the weights move)
    backward_tangent   dx_dot,    from dy_dot, x_dot and w_dot  (how the gradient moves then:
                       dw_dot                                    a Hessian-vector product; Pearlmutter, 1994)

Shapes: activations [task, rows, channel] (see `rows.py`), weights [task, in, out], shifts [task, 1, channel].
Every operation exists on CPU, GPU and Ascend; which ones, and why, is in docs/performance.md.
"""
import numpy as np
from mindspore import Tensor, jit_class, ops
from mindspore import dtype as mstype

from src.layers.geometry import adjoint_index

_add, _sub, _mul = ops.Add(), ops.Sub(), ops.Mul()
_matmul = ops.BatchMatMul()
_matmul_nt = ops.BatchMatMul(transpose_b=True)   # a b^T
_matmul_tn = ops.BatchMatMul(transpose_a=True)   # a^T b
_relu, _rsqrt, _maximum, _equal = ops.ReLU(), ops.Rsqrt(), ops.Maximum(), ops.Equal()
_relu_gradient = ops.auto_generate.ReluGrad()    # (dy, y) -> dy where y > 0, else 0
_gather, _reshape, _cast = ops.Gather(), ops.Reshape(), ops.Cast()
_join_rows, _join_channels = ops.Concat(axis=1), ops.Concat(axis=2)
_transpose = ops.Transpose()


@jit_class
class Layer:
    """What all layers share. `kinds` names the weights the layer takes, in order.

    What the first layers save is large, and cheap to have again. They have two methods more: `compact` says what
    of `saved` has to outlive the inner step, `restore` gives from that and from x (y, saved) for its way back.
    """

    kinds = ()


@jit_class
class RowConstants:
    """Constants that reduce over a task's rows, or spread a value to them, as matrix products.

    A product with a constant row or column of ones is several times as fast on the CPU as a reduction or
    a broadcast, and it leaves the zero row zero.
    """

    def __init__(self, task_num, positions, zero_row):
        ones = np.ones((task_num, positions + zero_row, 1), np.float32)
        if zero_row:
            ones[:, -1] = 0
        self.positions = positions
        self.column = Tensor(ones)                              # [task, rows, 1]
        self.row = Tensor(ones.transpose(0, 2, 1).copy())       # [task, 1, rows]
        self.mean_row = Tensor(ones.transpose(0, 2, 1) / positions)
        self.mean_column = Tensor(ones / positions)

    def mean(self, x):
        """[task, rows, channel] -> [task, 1, channel]."""
        return _matmul(self.mean_row, x)

    def sum(self, x):
        """[task, rows, channel] -> [task, 1, channel]."""
        return _matmul(self.row, x)

    def spread(self, value):
        """[task, 1, channel] -> [task, rows, channel]; the zero row stays zero."""
        return _matmul(self.column, value)

    def spread_evenly(self, total):
        """As `spread`, of a total that all positions share: each gets its mean."""
        return _matmul(self.mean_column, total)


@jit_class
class Patches:
    """The rows under every position of a window, side by side, and the adjoint of that."""

    def __init__(self, window, grid):
        table = window.rows_under(grid)
        self.shape = (table.shape[0], table.shape[1])           # rows out, taps
        self.index = Tensor(table.reshape(-1))
        self.adjoint_index = [Tensor(index) for index in adjoint_index(table, grid.rows)]

    def take(self, x):
        """[task, rows, channel] -> [task, rows out, taps x channel]."""
        taken = _gather(x, self.index, 1)                       # [task, rows out x taps, channel]
        return _reshape(taken, (x.shape[0], self.shape[0], self.shape[1] * x.shape[2]))

    def give_back(self, gradient):
        """[task, rows out, taps x channel] -> [task, rows, channel]: every row gets the sum over its adjoint_index."""
        places = _reshape(gradient, (gradient.shape[0], self.shape[0] * self.shape[1], -1))
        total = _gather(places, self.adjoint_index[0], 1)
        for index in self.adjoint_index[1:]:
            total = _add(total, _gather(places, index, 1))
        return total


@jit_class
class AsGiven:
    """Stands for `Patches` where the layer below already made the rows in the order they are needed."""

    def __init__(self, taps):
        self.taps = taps

    def take(self, x):
        """[task, rows out x taps, channel] -> [task, rows out, taps x channel]."""
        return _reshape(x, (x.shape[0], x.shape[1] // self.taps, self.taps * x.shape[2]))

    def give_back(self, gradient):
        """[task, rows out, taps x channel] -> [task, rows out x taps, channel]."""
        return _reshape(gradient, (gradient.shape[0], gradient.shape[1] * self.taps, -1))


@jit_class
class PerImage:
    """Stands for `Patches` in a dense layer: its inputs are one row an image already."""

    def take(self, x):
        """[task, image, in], as it is."""
        return x

    def give_back(self, gradient):
        """[task, image, in], as it is."""
        return gradient


class Affine(Layer):
    """y = P w + b, where P are the inputs as `patches` lays them out: a convolution or a dense layer."""

    def __init__(self, patches, constants, bias, is_first):
        self.patches, self.constants, self.bias, self.is_first = patches, constants, bias, is_first
        self.kinds = ("weight", "bias") if bias else ("weight",)

    def forward(self, w, x):
        y = _matmul(self.patches.take(x), w[0])
        if self.bias:
            y = _add(y, self.constants.spread(w[1]))
        return y, (x,)                                          # its patches are larger, and quick to make again

    def backward(self, w, saved, dy):
        dw = (_matmul_tn(self.patches.take(saved[0]), dy),)
        if self.bias:
            dw = (*dw, self.constants.sum(dy))
        dx = dy if self.is_first else self.patches.give_back(_matmul_nt(dy, w[0]))   # images have no gradient
        return dx, dw, (dy,)

    def compact(self, saved):
        return ()

    def restore(self, w, x, saved):
        return x, (x,)

    def forward_tangent(self, w, saved, w_dot, x_dot):
        y_dot, p_dot = _matmul(self.patches.take(saved[0]), w_dot[0]), x_dot
        if not self.is_first:
            p_dot = self.patches.take(x_dot)
            y_dot = _add(y_dot, _matmul(p_dot, w[0]))
        if self.bias:
            y_dot = _add(y_dot, self.constants.spread(w_dot[1]))
        return y_dot, (p_dot,)

    def backward_tangent(self, w, saved, kept, w_dot, moved, dy_dot):
        dw_dot, dx_dot = _matmul_tn(self.patches.take(saved[0]), dy_dot), dy_dot
        if not self.is_first:
            dw_dot = _add(dw_dot, _matmul_tn(moved[0], kept[0]))
            both = _matmul_nt(_join_channels((dy_dot, kept[0])), _join_channels((w[0], w_dot[0])))
            dx_dot = self.patches.give_back(both)
        if self.bias:
            return dx_dot, (dw_dot, self.constants.sum(dy_dot))
        return dx_dot, (dw_dot,)


class BatchNorm(Layer):
    """y = (x - mean) / sqrt(variance + eps) * gamma + beta, with the statistics of the images at hand.

    The normalisation's Jacobian J is symmetric: J u = s (u - mean(u) - n mean(n u)), with n the normalised
    rows and s = 1 / sqrt(variance + eps) (Ioffe and Szegedy, 2015, section 3).
    """

    def __init__(self, constants, eps, gamma):
        self.constants, self.eps, self.gamma = constants, eps, gamma
        self.kinds = ("gamma", "beta") if gamma else ("beta",)

    def forward(self, w, x):
        rows = self.constants
        centred = _sub(x, rows.spread(rows.mean(x)))
        scale = _rsqrt(rows.mean(_mul(centred, centred)) + self.eps)          # [task, 1, channel]
        scales = rows.spread(scale)
        normal = _mul(centred, scales)
        return _add(self._times_gamma(w, normal), rows.spread(w[-1])), (normal, scale, scales)

    def backward(self, w, saved, dy):
        normal, _, scales = saved
        rows = self.constants
        d_beta, d_gamma = rows.sum(dy), rows.sum(_mul(dy, normal))
        g, g_total = self._times_gamma(w, dy), self._scaled(w, d_beta)
        slope_total = self._scaled(w, d_gamma)
        dx = _sub(_sub(g, rows.spread_evenly(g_total)), _mul(normal, rows.spread_evenly(slope_total)))
        dx = _mul(dx, scales)
        return dx, ((d_gamma, d_beta) if self.gamma else (d_beta,)), (dy, dx, slope_total)

    def forward_tangent(self, w, saved, w_dot, x_dot):
        normal, _, scales = saved
        rows = self.constants
        slope = rows.mean(_mul(normal, x_dot))
        normal_dot = _mul(_sub(_sub(x_dot, rows.spread(rows.mean(x_dot))), _mul(normal, rows.spread(slope))), scales)
        y_dot = _add(self._times_gamma(w, normal_dot), rows.spread(w_dot[-1]))
        if self.gamma:
            y_dot = _add(y_dot, _mul(normal, rows.spread(w_dot[0])))
        return y_dot, (normal_dot, slope)

    def backward_tangent(self, w, saved, kept, w_dot, moved, dy_dot):
        normal, scale, scales = saved
        dy, dx, slope_total = kept
        normal_dot, slope = moved
        rows = self.constants
        d_beta_dot = rows.sum(dy_dot)
        d_gamma_dot = rows.sum(_add(_mul(dy_dot, normal), _mul(dy, normal_dot)))
        g_dot, g_total_dot = self._times_gamma(w, dy_dot), self._scaled(w, d_beta_dot)
        slope_total_dot = self._scaled(w, d_gamma_dot)
        if self.gamma:
            g_dot = _add(g_dot, _mul(dy, rows.spread(w_dot[0])))
            g_total_dot = g_total_dot + w_dot[0] * rows.sum(dy)
            slope_total_dot = slope_total_dot + w_dot[0] * rows.sum(_mul(dy, normal))
        inner = _sub(_sub(g_dot, rows.spread_evenly(g_total_dot)), _mul(normal, rows.spread_evenly(slope_total_dot)))
        inner = _sub(inner, _mul(normal_dot, rows.spread_evenly(slope_total)))
        dx_dot = _sub(_mul(inner, scales), _mul(dx, rows.spread(scale * slope)))   # the scale moves by -scale^2 slope
        return dx_dot, ((d_gamma_dot, d_beta_dot) if self.gamma else (d_beta_dot,))

    def _times_gamma(self, w, x):
        return _mul(x, self.constants.spread(w[0])) if self.gamma else x

    def _scaled(self, w, total):
        return total * w[0] if self.gamma else total


class ReLU(Layer):
    """y = max(x, 0); on an edge, its derivative is 0."""

    def forward(self, w, x):
        y = _relu(x)
        return y, (y,)

    def backward(self, w, saved, dy):
        return _relu_gradient(dy, saved[0]), (), ()

    def forward_tangent(self, w, saved, w_dot, x_dot):
        return _relu_gradient(x_dot, saved[0]), ()

    def backward_tangent(self, w, saved, kept, w_dot, moved, dy_dot):
        return _relu_gradient(dy_dot, saved[0]), ()


class MaxPool(Layer):
    """The largest value under every window position; the first one where several are equal."""

    def __init__(self, window, grid):
        table = window.rows_under(grid)                                       # [rows out, taps]
        self.under = [Tensor(np.ascontiguousarray(tap)) for tap in table.T]   # each [rows out]
        self.adjoint_index = [Tensor(index) for index in adjoint_index(table.T, grid.rows)]

    def forward(self, w, x):
        under = [_gather(x, index, 1) for index in self.under]                # each [task, rows out, channel]
        y = under[0]
        for other in under[1:]:
            y = _maximum(y, other)
        chosen, free = (), 1.0
        for value in under:
            is_largest = _cast(_equal(value, y), mstype.float32) * free
            chosen, free = (*chosen, is_largest), free - is_largest
        return y, chosen

    def backward(self, w, saved, dy):
        places = _join_rows(tuple(_mul(dy, is_largest) for is_largest in saved))   # [task, taps x rows out, channel]
        dx = _gather(places, self.adjoint_index[0], 1)
        for index in self.adjoint_index[1:]:
            dx = _add(dx, _gather(places, index, 1))
        return dx, (), ()

    def forward_tangent(self, w, saved, w_dot, x_dot):
        y_dot = _mul(_gather(x_dot, self.under[0], 1), saved[0])
        for index, is_largest in zip(self.under[1:], saved[1:]):
            y_dot = _add(y_dot, _mul(_gather(x_dot, index, 1), is_largest))
        return y_dot, ()

    def backward_tangent(self, w, saved, kept, w_dot, moved, dy_dot):
        return self.backward(w, saved, dy_dot)[:2]


class SpatialMean(Layer):
    """The mean over the positions of every image: [task, rows, channel] -> [task, image, channel]."""

    def __init__(self, task_num, grid):
        size = grid.height * grid.width
        average = np.zeros((task_num, grid.images, grid.rows), np.float32)
        average[:, :, :-1] = np.repeat(np.eye(grid.images, dtype=np.float32), size, axis=1) / size
        self.average = Tensor(average)

    def forward(self, w, x):
        return _matmul(self.average, x), ()

    def backward(self, w, saved, dy):
        return _matmul_tn(self.average, dy), (), ()

    def forward_tangent(self, w, saved, w_dot, x_dot):
        return _matmul(self.average, x_dot), ()

    def backward_tangent(self, w, saved, kept, w_dot, moved, dy_dot):
        return _matmul_tn(self.average, dy_dot), ()


class Flatten(Layer):
    """All numbers of an image side by side, channels outermost: [task, rows, channel] -> [task, image, numbers]."""

    def __init__(self, task_num, grid, channels):
        self.index = Tensor(np.arange(grid.positions, dtype=np.int32))
        self.as_images = (task_num, grid.images, grid.height * grid.width, channels)
        self.as_channels = (task_num, grid.images, channels, grid.height * grid.width)
        self.zero_row = Tensor(np.zeros((task_num, 1, channels), np.float32))

    def forward(self, w, x):
        positions = _reshape(_gather(x, self.index, 1), self.as_images)
        return _reshape(_transpose(positions, (0, 1, 3, 2)), (*self.as_images[:2], -1)), ()

    def backward(self, w, saved, dy):
        rows = _transpose(_reshape(dy, self.as_channels), (0, 1, 3, 2))
        rows = _reshape(rows, (self.as_images[0], -1, self.as_images[3]))
        return _join_rows((rows, self.zero_row)), (), ()

    def forward_tangent(self, w, saved, w_dot, x_dot):
        return self.forward(w, x_dot)[0], ()

    def backward_tangent(self, w, saved, kept, w_dot, moved, dy_dot):
        return self.backward(w, saved, dy_dot)[:2]
