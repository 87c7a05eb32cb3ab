"""Linear maps of rows whose gradient is another such map: differentiable to any order, and fast in each."""
from collections.abc import Iterable

import numpy as np
from mindspore import Tensor, nn

from mindspore_maml.layers.geometry import Grid, Window, adjoint_index
from mindspore_maml.layers.primitives import add, gather, join_rows


class RowMap(nn.Cell):
    """A linear map of [task, rows, channel] along the rows. `adjoint` is the map its gradient goes back by."""

    def join(self, adjoint: "RowMap") -> "RowMap":
        """Make the two each other's gradient; returns this one."""
        object.__setattr__(self, "adjoint", adjoint)   # as sub-cells of each other, `set_train` would not end
        object.__setattr__(adjoint, "adjoint", self)
        return self

    def bprop(self, x: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor]:
        """What flows back from `dout`."""
        return (self.adjoint(dout),)


class SumOfRows(RowMap):
    """Every row out is the sum of the rows in that `indices` name: a list of int32 arrays [rows out]."""

    def __init__(self, indices: Iterable[np.ndarray]):
        super().__init__()
        self.indices = [Tensor(index) for index in indices]

    def construct(self, x: Tensor) -> Tensor:
        """[task, rows in, channel] -> [task, rows out, channel]."""
        y = gather(x, self.indices[0], 1)
        for index in self.indices[1:]:
            y = add(y, gather(x, index, 1))
        return y


class WithZeroRow(RowMap):
    """[task, positions, channel] -> the same with a row of zeros behind it."""

    def __init__(self, task_num: int, channels: int):
        super().__init__()
        self.row = Tensor(np.zeros((task_num, 1, channels), np.float32))

    def construct(self, x: Tensor) -> Tensor:
        """[task, positions, channel] -> [task, positions + 1, channel]."""
        return join_rows((x, self.row))


def without_zero_row(task_num: int, grid: Grid, channels: int) -> RowMap:
    """The map that drops the zero row of `grid`; its adjoint appends one."""
    return SumOfRows([np.arange(grid.positions, dtype=np.int32)]).join(WithZeroRow(task_num, channels))


def rows_side_by_side(window: Window, grid: Grid) -> RowMap:
    """The rows under every position of a window, one after the other: [task, rows out x taps, channel]."""
    table = window.rows_under(grid)
    return SumOfRows([table.reshape(-1)]).join(SumOfRows(adjoint_index(table, grid.rows)))


def rows_under_taps(table: np.ndarray, rows: int) -> list[RowMap]:
    """For each tap of a window's `table` (see `geometry`), the rows under it: [task, rows out, channel] of `rows`."""
    return [SumOfRows([tap]).join(SumOfRows(adjoint_index(tap, rows))) for tap in np.ascontiguousarray(table.T)]


def sum_under_window(window: Window, grid: Grid) -> RowMap:
    """The sum of the rows under every position of a window: [task, rows out, channel]."""
    table = window.rows_under(grid)
    takers = [places // window.taps for places in adjoint_index(table, grid.rows)]
    return SumOfRows(np.ascontiguousarray(table.T)).join(SumOfRows(takers))
