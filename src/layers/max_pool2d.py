"""Max-pooling."""
from mindspore import Tensor, float32

from mindspore_maml.layers.conv2d import shape_under_window
from mindspore_maml.layers.geometry import adjoint_index
from mindspore_maml.layers.layer import Layer
from mindspore_maml.layers.primitives import add, cast, equal, gather, join_rows, maximum, mul
from mindspore_maml.layers.row_maps import rows_under_taps
from mindspore_maml.layers.spec import Property, Spec


class MaxPool2D(Layer):
    """The largest value under every window position; the first one where several are equal."""

    properties = {"kernel": Property(int, 2, low=1), "stride": Property(int, 2, low=1)}
    takes = ("image",)
    keeps_zero_row = True

    def __init__(self, spec: Spec, task_num: int, images: int, is_first: bool = False):
        super().__init__(spec, task_num, images, is_first)
        grid = spec.grid(images)
        table = spec.window.rows_under(grid)                                  # [rows out, taps]
        self.under = rows_under_taps(table, grid.rows)                        # each [rows] -> [rows out]
        self.adjoint_index = list(map(Tensor, adjoint_index(table.T, grid.rows)))   # each [rows]

    output_shape = staticmethod(shape_under_window)   # incomplete windows at the edge are left out

    def forward(self, w: tuple, x: Tensor) -> Tensor:
        return self.forward_pass(w, x)[0]

    def forward_pass(self, w, x):
        """The forward state: for each tap, 1 where its value is taken and 0 elsewhere [task, rows out, channel]."""
        under = [take(x) for take in self.under]                              # each [task, rows out, channel]
        y = under[0]
        for other in under[1:]:
            y = maximum(y, other)
        chosen, free = (), 1.0
        for value in under:
            is_largest = cast(equal(value, y), float32) * free
            chosen, free = (*chosen, is_largest), free - is_largest
        return y, chosen

    def backward(self, w, forward_state, dy):
        places = join_rows(tuple(mul(dy, chosen) for chosen in forward_state))   # [task, taps x rows out, channel]
        dx = gather(places, self.adjoint_index[0], 1)
        for index in self.adjoint_index[1:]:
            dx = add(dx, gather(places, index, 1))
        return dx, (), ()

    def forward_tangent(self, w, forward_state, w_dot, x_dot):
        y_dot = mul(self.under[0](x_dot), forward_state[0])
        for take, chosen in zip(self.under[1:], forward_state[1:]):
            y_dot = add(y_dot, mul(take(x_dot), chosen))
        return y_dot, ()

    def backward_tangent(self, w, forward_state, backward_state, w_dot, tangent_state, dy_dot):
        return self.backward(w, forward_state, dy_dot)[:2]
