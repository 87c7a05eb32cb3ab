"""Sums and means over a task's rows, and values spread to them, as products with constants."""
import numpy as np
from mindspore import Tensor, jit_class

from mindspore_maml.layers.primitives import matmul


@jit_class
class RowConstants:
    """Constants that reduce over a task's rows, or spread a value to them, as matrix products.

    A product with a constant row or column of ones is several times as fast on the CPU as a reduction or
    a broadcast, and it leaves the zero row zero.

    Parameters
    ----------
    task_num, positions : int
        Tasks, and rows of a task without the zero row.
    zero_row : bool
        Whether a zero row follows them.
    averaged : int, optional
        How many of the rows, the first ones, a mean is taken over; by default all.
    """

    def __init__(self, task_num: int, positions: int, zero_row: bool, averaged: int | None = None):
        ones = np.ones((task_num, positions + zero_row, 1), np.float32)
        if zero_row:
            ones[:, -1] = 0
        in_mean, self.averaged = ones.copy(), averaged or positions
        in_mean[:, self.averaged:] = 0
        self.column = Tensor(ones)                              # [task, rows, 1]
        self.row = Tensor(ones.transpose(0, 2, 1).copy())       # [task, 1, rows]
        in_mean /= np.float32(self.averaged)   # an int beyond 65535 would make it double precision
        self.mean_row = Tensor(in_mean.transpose(0, 2, 1).copy())
        self.mean_column = Tensor(in_mean)

    def mean(self, x: Tensor) -> Tensor:
        """[task, rows, channel] -> [task, 1, channel]."""
        return matmul(self.mean_row, x)

    def sum(self, x: Tensor) -> Tensor:
        """[task, rows, channel] -> [task, 1, channel]."""
        return matmul(self.row, x)

    def spread(self, value: Tensor) -> Tensor:
        """[task, 1, channel] -> [task, rows, channel]; the zero row stays zero."""
        return matmul(self.column, value)

    def spread_evenly(self, total: Tensor) -> Tensor:
        """The transpose of `mean`: as `spread`, of a total that the rows in the mean share evenly."""
        return matmul(self.mean_column, total)
