"""Batch normalisation with the statistics of the images at hand, or of the support images among them."""
from mindspore import Tensor

from mindspore_maml.layers.layer import Layer
from mindspore_maml.layers.primitives import add, mul, rsqrt, sub, zeros_like
from mindspore_maml.layers.row_constants import RowConstants
from mindspore_maml.layers.spec import Property, Spec


class BatchNorm(Layer):
    """y = (x - mean) / sqrt(variance + eps) * gamma + beta, mean and variance over all images of a task.

    The normalisation's Jacobian J is symmetric: J u = s (u - mean(u) - n mean(n u)), with n the normalised
    rows and s = 1 / sqrt(variance + eps) (Ioffe and Szegedy, 2015, section 3). Where the means are over the support
    images alone, what flows back is J^T u = s (u - a sum(u) - n a sum(n u)), with a the weight of a row in the mean.
    """

    properties = {"eps": Property(float, 1e-5, low=0), "gamma": Property(bool, False)}
    keeps_zero_row = True
    eps: float
    gamma: bool

    def __init__(self, spec: Spec, task_num: int, images: int, is_first: bool = False):
        super().__init__(spec, task_num, images, is_first)
        self.rows_an_image = 1 if spec.is_flat else spec.grid(1).positions
        self.normalise_by(images)

    def normalise_by(self, images: int) -> None:
        self.constants = RowConstants(self.task_num, self.rows_an_image * self.images,
                                      zero_row=len(self.shape_in) == 3, averaged=self.rows_an_image * images)

    @staticmethod
    def parameters(spec: Spec) -> dict:
        """A gamma [channels] if asked for, and a beta [channels]."""
        return dict.fromkeys(("gamma", "beta") if spec.gamma else ("beta",), (spec.shape_in[0],))

    def forward(self, w: tuple, x: Tensor) -> Tensor:
        return self.forward_pass(w, x)[0]

    def forward_pass(self, w, x):
        """The forward state: the normalised rows, s [task, 1, channel], and s spread to the rows."""
        rows = self.constants
        centred = sub(x, rows.spread(rows.mean(x)))
        scale = rsqrt(rows.mean(mul(centred, centred)) + self.eps)            # [task, 1, channel]
        scales = rows.spread(scale)
        normal = mul(centred, scales)
        return add(self._times_gamma(w, normal), rows.spread(w[-1])), (normal, scale, scales)

    def backward(self, w, forward_state, dy):
        """The backward state: dy, dx, and gamma times its gradient [task, 1, channel]."""
        normal, _, scales = forward_state
        rows = self.constants
        d_beta, d_gamma = rows.sum(dy), rows.sum(mul(dy, normal))
        g, g_total = self._times_gamma(w, dy), self._scaled(w, d_beta)
        slope_total = self._scaled(w, d_gamma)
        dx = sub(sub(g, rows.spread_evenly(g_total)), mul(normal, rows.spread_evenly(slope_total)))
        dx = mul(dx, scales)
        return dx, ((d_gamma, d_beta) if self.gamma else (d_beta,)), (dy, dx, slope_total)

    def forward_tangent(self, w, forward_state, w_dot, x_dot):
        """The tangent state: how the normalised rows move, and mean(n x_dot) [task, 1, channel]."""
        normal, _, scales = forward_state
        rows = self.constants
        x_dot = zeros_like(normal) if self.is_first else x_dot
        slope = rows.mean(mul(normal, x_dot))
        normal_dot = mul(sub(sub(x_dot, rows.spread(rows.mean(x_dot))), mul(normal, rows.spread(slope))), scales)
        y_dot = add(self._times_gamma(w, normal_dot), rows.spread(w_dot[-1]))
        if self.gamma:
            y_dot = add(y_dot, mul(normal, rows.spread(w_dot[0])))
        return y_dot, (normal_dot, slope)

    def backward_tangent(self, w, forward_state, backward_state, w_dot, tangent_state, dy_dot):
        normal, scale, scales = forward_state
        dy, dx, slope_total = backward_state
        normal_dot, slope = tangent_state
        rows = self.constants
        d_beta_dot = rows.sum(dy_dot)
        d_gamma_dot = rows.sum(add(mul(dy_dot, normal), mul(dy, normal_dot)))
        g_dot, g_total_dot = self._times_gamma(w, dy_dot), self._scaled(w, d_beta_dot)
        slope_total_dot = self._scaled(w, d_gamma_dot)
        if self.gamma:
            g_dot = add(g_dot, mul(dy, rows.spread(w_dot[0])))
            g_total_dot = g_total_dot + w_dot[0] * rows.sum(dy)
            slope_total_dot = slope_total_dot + w_dot[0] * rows.sum(mul(dy, normal))
        inner = sub(sub(g_dot, rows.spread_evenly(g_total_dot)), mul(normal, rows.spread_evenly(slope_total_dot)))
        inner = sub(inner, mul(normal_dot, rows.spread_evenly(slope_total)))
        dx_dot = sub(mul(inner, scales), mul(dx, rows.spread(scale * slope)))     # the scale moves by -scale^2 slope
        return dx_dot, ((d_gamma_dot, d_beta_dot) if self.gamma else (d_beta_dot,))

    def _times_gamma(self, w, x):
        return mul(x, self.constants.spread(w[0])) if self.gamma else x

    def _scaled(self, w, total):
        return total * w[0] if self.gamma else total
