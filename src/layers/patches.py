"""How a product with weights takes its inputs: the rows under a window side by side, or as they are."""
from mindspore import Tensor, jit_class

from mindspore_maml.layers.geometry import Grid, Window
from mindspore_maml.layers.primitives import reshape
from mindspore_maml.layers.row_maps import rows_side_by_side


@jit_class
class Patches:
    """The rows under every position of a window, side by side, and the adjoint of that."""

    def __init__(self, window: Window, grid: Grid):
        self.rows_out, self.taps = window.slide(grid).rows, window.taps
        self.side_by_side = rows_side_by_side(window, grid)
        self.back = self.side_by_side.adjoint

    def take(self, x: Tensor) -> Tensor:
        """[task, rows, channel] -> [task, rows out, taps x channel]."""
        taken = self.side_by_side(x)                            # [task, rows out x taps, channel]
        return reshape(taken, (x.shape[0], self.rows_out, self.taps * x.shape[2]))

    def give_back(self, gradient: Tensor) -> Tensor:
        """[task, rows out, taps x channel] -> [task, rows, channel]: every row gets the sum over those that took it."""
        return self.back(reshape(gradient, (gradient.shape[0], self.rows_out * self.taps, -1)))


@jit_class
class AsGiven:
    """Stands for `Patches` where the rows are in the order they are needed: one an image in a dense layer."""

    def __init__(self, taps: int):
        self.taps = taps

    def take(self, x: Tensor) -> Tensor:
        """[task, rows out x taps, channel] -> [task, rows out, taps x channel]."""
        return reshape(x, (x.shape[0], x.shape[1] // self.taps, self.taps * x.shape[2]))

    def give_back(self, gradient: Tensor) -> Tensor:
        """[task, rows out, taps x channel] -> [task, rows out x taps, channel]."""
        return reshape(gradient, (gradient.shape[0], gradient.shape[1] * self.taps, -1))
