"""Images as rows: which rows a sliding window covers, and which windows take a row.

Activations are rows `[task, images x height x width + 1, channel]`. The last row is zero, in values and
in gradients: every window position outside an image points to it, so padding costs no copy.
"""
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Grid:
    """The rows of one task: `images` images of `height` x `width` positions, and the zero row."""

    images: int
    height: int
    width: int

    @property
    def positions(self) -> int:
        """Rows that stand for a position of an image, the zero row left out."""
        return self.images * self.height * self.width

    @property
    def rows(self) -> int:
        """All rows of a task."""
        return self.positions + 1


@dataclass(frozen=True)
class Window:
    """A square window that slides over an image, as a convolution's or a pooling's does."""

    kernel: int
    stride: int
    padding: int

    @property
    def taps(self) -> int:
        """Positions inside the window."""
        return self.kernel * self.kernel

    def slide(self, grid: Grid) -> Grid:
        """The grid of the window's positions over `grid` (incomplete ones are left out)."""
        def count(size):
            return (size + 2 * self.padding - self.kernel) // self.stride + 1
        return Grid(grid.images, count(grid.height), count(grid.width))

    def rows_under(self, grid: Grid) -> np.ndarray:
        """For every position of the window and each tap, the row of `grid` it covers.

        Returns
        -------
        numpy.ndarray of int32, [slide(grid).rows, taps]
            The zero row where a tap lies outside the image, and for the result's own zero row.
        """
        out = self.slide(grid)
        image = np.arange(grid.images)[:, None, None, None, None]
        y = self._along(out.height)[None, :, None, :, None]
        x = self._along(out.width)[None, None, :, None, :]
        inside = (y >= 0) & (y < grid.height) & (x >= 0) & (x < grid.width)
        row = np.where(inside, (image * grid.height + y) * grid.width + x, grid.positions)
        table = np.broadcast_to(row, (grid.images, out.height, out.width, self.kernel, self.kernel))
        return np.vstack([table.reshape(-1, self.taps), np.full((1, self.taps), grid.positions)]).astype(np.int32)

    def _along(self, count):
        return np.arange(count)[:, None] * self.stride - self.padding + np.arange(self.kernel)   # [count, kernel]


def adjoint_index(table: np.ndarray, rows: int) -> list[np.ndarray]:
    """The adjoint of a table of rows: for every row, the places of `table` (flattened) that take it.

    Parameters
    ----------
    table : numpy.ndarray of int32, [places / taps, taps]
        As `Window.rows_under` gives it; its last line stands for the zero row.
    rows : int
        How many rows there are to take from, the zero row (the last) included.

    Returns
    -------
    list of numpy.ndarray of int32, each [rows]
        Summing the places over the list gives what flows back to each row; a missing taker, and all of
        the zero row's, point to the last place, whose gradient is zero.
    """
    flat = table.reshape(-1)
    order = np.argsort(flat, kind="stable")
    order = order[flat[order] < rows - 1]
    taken = flat[order]
    first = np.searchsorted(taken, taken)              # where the run of equal rows starts
    rank = np.arange(taken.size) - first
    result = np.full((int(rank.max(initial=0)) + 1, rows), flat.size - 1, np.int32)
    result[rank, taken] = order
    return list(result)
