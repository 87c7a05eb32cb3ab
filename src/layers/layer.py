"""Layer: what a kind of layer is, and its derivatives from its forward alone.

MAML needs derivatives of derivatives, so a network runs each layer by four methods:

    forward_pass       y          from x                        (and what the others need of it: `forward_state`)
    backward           dx, dw     from dy                       (dy: the loss's gradient at y)
    forward_tangent    y_dot      from x_dot and w_dot          (how y moves when x and the weights move)
    backward_tangent   dx_dot,    from dy_dot, x_dot and w_dot  (how the gradient moves then:
                       dw_dot                                    a Hessian-vector product; Pearlmutter, 1994)

`Layer` derives all four from `forward` by automatic differentiation. A layer may replace them by closed forms,
all four together, where that is faster.

Shapes: activations [task, rows, channel] (see `geometry`), weights [task, in, out], shifts [task, 1, channel].
"""
import numpy as np
from mindspore import Tensor, jit_class, ops

from mindspore_maml.layers.geometry import Grid
from mindspore_maml.layers.initial_values import initial_value
from mindspore_maml.layers.primitives import add, cut, gradient_of, mul, pull_back_of, sum_of_all
from mindspore_maml.layers.row_maps import without_zero_row
from mindspore_maml.layers.spec import Spec


@jit_class
class Layer:
    """A kind of layer. A subclass writes `forward`; the rest has defaults: no properties, no weights, shape kept.

    Parameters
    ----------
    spec : Spec
        The layer as described. Its properties become attributes.
    task_num, images : int
        Tasks in a batch; images of a task.
    is_first : bool
        Whether x is data: then `x_dot` is () and no gradient flows back to it.

    Attributes
    ----------
    properties : dict of Property
        By name, as a preset's list gives them.
    takes : tuple of str
        What it may be given: "image" (channels, height, width) or "vector" (numbers).
    keeps_zero_row : bool
        Whether `forward` takes the rows with the zero row behind them, and leaves that zero. False: it never sees it.
    kinds : tuple of str
        The name of each of the layer's weights, in order; "mask" of a mask among them.
    dropouts : tuple of Dropout
        The layers, it or inside it, that the masks are for, in their order.
    shape_in, shape_out : tuple of int
        (channels, height, width) or (numbers,) of an image.
    """

    properties: dict = {}
    takes: tuple = ("image", "vector")
    keeps_zero_row = False
    dropouts: tuple = ()

    def __init__(self, spec: Spec, task_num: int, images: int, is_first: bool = False):
        for name, value in spec.properties.items():
            setattr(self, name, value)
        self.kinds = tuple(name.rsplit(".", 1)[-1] for name in spec.parameters)
        self.task_num, self.images, self.is_first = task_num, images, is_first
        self.shape_in, self.shape_out = spec.shape_in, spec.shape_out
        self._drops_zero_row = not self.keeps_zero_row and len(self.shape_in) == 3
        self._adds_zero_row = not self.keeps_zero_row and len(self.shape_out) == 3
        if self._drops_zero_row:
            self._drop_zero_row = without_zero_row(task_num, spec.grid(images), self.shape_in[0])
        if self._adds_zero_row:
            self._add_zero_row = without_zero_row(task_num, Grid(images, *self.shape_out[1:]),
                                                  self.shape_out[0]).adjoint

    # ---- what a layer says of itself, before there are tasks

    @staticmethod
    def output_shape(spec: Spec) -> tuple:
        """The shape it makes, of `spec.shape_in`; raises `spec.error(...)` where that does not fit."""
        return spec.shape_in

    @staticmethod
    def parameters(spec: Spec) -> dict:
        """The shapes of its parameters by name: [out, in, k, k], [out, in] or [channel].

        A name is a kind, "weight", "bias", "gamma", "beta" or one of your own, or a kind, _ and what tells it from
        others of that kind.
        """
        return {}

    @staticmethod
    def initial_value(spec: Spec, kind: str, shape: tuple, seed: tuple) -> np.ndarray:
        """The first value of a parameter, an array of `shape`; `seed` is for `numpy.random.default_rng`."""
        return initial_value(spec, kind, shape, seed)

    def normalise_by(self, images: int) -> None:
        """Take statistics over the images of a task from its first `images` alone, in layers that have such.

        Those before the query images are the support images, so that no answer depends on another query image.
        """

    # ---- what a layer computes

    def forward(self, w: tuple, x: Tensor) -> Tensor:
        """The layer itself.

        Parameters
        ----------
        w : tuple of Tensor
            In the order of `kinds`: weights [task, in, out] (of a convolution, [task, k x k x in, out]), others
            [task, 1, channel].
        x : Tensor, [task, rows, channel]
            Rows are images x height x width, or images, if an image is one vector; see `keeps_zero_row`.

        Returns
        -------
        Tensor, [task, rows, channel]
        """
        raise NotImplementedError

    def forward_pass(self, w: tuple, x: Tensor) -> tuple[Tensor, tuple]:
        """Returns y and the forward state."""
        return self.on_rows(w, x), (x,)

    def backward(self, w: tuple, forward_state: tuple, dy: Tensor) -> tuple[Tensor, tuple, tuple]:
        """Returns dx, dw (a tuple like `w`) and the backward state."""
        dx, dw = self._pull_back(w, forward_state[0], dy)
        return dx, dw, (dy,)

    def forward_tangent(self, w: tuple, forward_state: tuple, w_dot: tuple, x_dot: Tensor) -> tuple[Tensor, tuple]:
        """Returns y_dot and the tangent state.

        y_dot is the gradient, with respect to u, of the inner product of (w_dot, x_dot) with what flows back from u.
        """
        x = forward_state[0]

        def product(u):
            return self._product(w, x, u, w_dot, x_dot)
        return gradient_of(product)(self.on_rows(w, x))[0], (x_dot,)   # at any u: the product is linear in it

    def backward_tangent(self, w: tuple, forward_state: tuple, backward_state: tuple, w_dot: tuple,
                         tangent_state: tuple, dy_dot: Tensor) -> tuple[Tensor, tuple]:
        """Returns dx_dot and dw_dot (a tuple like `w`).

        The gradient of that inner product at u = dy, for the Hessian is symmetric; and what flows back from dy_dot.
        """
        x, dy, x_dot = forward_state[0], backward_state[0], tangent_state[0]
        dx, dw = self._pull_back(w, x, dy_dot)

        def product(x, *w):
            return self._product(w, x, dy, w_dot, x_dot)
        moved = gradient_of(product)(x, *w)
        return add(dx, moved[0]), _sums(dw, moved[1:])

    # ---- the parts of the above

    def on_rows(self, w: tuple, x: Tensor) -> Tensor:
        """`forward` on rows with the zero row behind them."""
        if self._drops_zero_row:
            x = self._drop_zero_row(x)
        y = self.forward(w, x)
        return self._add_zero_row(y) if self._adds_zero_row else y

    def _pull_back(self, w, x, dy):
        """What flows back from dy: to x, and to the weights."""
        def of_all(x, *w):                                   # x first: an empty w leaves no gap
            return self.on_rows(w, x)
        gradients = pull_back_of(of_all)(x, *w, dy)
        return gradients[0], gradients[1:]

    def _product(self, w, x, dy, w_dot, x_dot):
        """The inner product of (w_dot, x_dot) with what flows back from dy: a scalar."""
        dx, dw = self._pull_back(w, x, dy)
        product = 0.0 if self.is_first else sum_of_all(mul(dx, x_dot))
        for i in range(len(dw)):
            product = product + sum_of_all(mul(dw[i], w_dot[i]))
        return product


class WeightlessLinear(Layer):
    """A layer without weights that is linear in x: it moves as x does, and its gradient does not depend on x."""

    def __init__(self, spec: Spec, task_num: int, images: int, is_first: bool = False):
        super().__init__(spec, task_num, images, is_first)
        rows = images if spec.is_flat else spec.grid(images).rows
        self._as_input = ops.BroadcastTo((task_num, rows, spec.shape_in[0]))

    def forward_pass(self, w: tuple, x: Tensor) -> tuple[Tensor, tuple]:
        return self.on_rows(w, x), ()

    def backward(self, w: tuple, forward_state: tuple, dy: Tensor) -> tuple[Tensor, tuple, tuple]:
        any_x = self._as_input(cut(dy, (0, 0, 0), (1, 1, 1)))   # not a constant: those have no gradient
        return self._pull_back(w, any_x, dy)[0], (), ()

    def forward_tangent(self, w: tuple, forward_state: tuple, w_dot: tuple, x_dot: Tensor) -> tuple[Tensor, tuple]:
        return self.on_rows(w, x_dot), ()

    def backward_tangent(self, w: tuple, forward_state: tuple, backward_state: tuple, w_dot: tuple,
                         tangent_state: tuple, dy_dot: Tensor) -> tuple[Tensor, tuple]:
        return self.backward(w, forward_state, dy_dot)[:2]


class PiecewiseLinear(Layer):
    """A layer without weights that works number by number, by a slope that depends on the number's sign alone.

    It keeps the sign, so that the slopes can be had from y, which the next layer keeps anyway. They move nowhere: what
    moves is multiplied by them, forwards and backwards.
    """

    keeps_zero_row = True

    def forward_pass(self, w: tuple, x: Tensor) -> tuple[Tensor, tuple]:
        y = self.forward(w, x)
        return y, (y,)

    def backward(self, w: tuple, forward_state: tuple, dy: Tensor) -> tuple[Tensor, tuple, tuple]:
        return self._pull_back(w, forward_state[0], dy)[0], (), ()

    def forward_tangent(self, w: tuple, forward_state: tuple, w_dot: tuple, x_dot: Tensor) -> tuple[Tensor, tuple]:
        return self._pull_back(w, forward_state[0], x_dot)[0], ()

    def backward_tangent(self, w: tuple, forward_state: tuple, backward_state: tuple, w_dot: tuple,
                         tangent_state: tuple, dy_dot: Tensor) -> tuple[Tensor, tuple]:
        return self.backward(w, forward_state, dy_dot)[:2]


def _sums(a, b):
    """Two tuples of as many tensors, added."""
    sums = ()
    for i in range(len(a)):
        sums = (*sums, add(a[i], b[i]))
    return sums
