"""The mean over an image."""
import numpy as np
from mindspore import Tensor

from mindspore_maml.layers.geometry import Grid
from mindspore_maml.layers.layer import WeightlessLinear
from mindspore_maml.layers.primitives import matmul
from mindspore_maml.layers.spec import Spec


class SpatialMean(WeightlessLinear):
    """The mean over the positions of every image: [task, rows, channel] -> [task, image, channel]."""

    takes = ("image",)
    keeps_zero_row = True

    def __init__(self, spec: Spec, task_num: int, images: int, is_first: bool = False):
        super().__init__(spec, task_num, images, is_first)
        self.average = Tensor(averages(task_num, spec.grid(images)))

    @staticmethod
    def output_shape(spec: Spec) -> tuple:
        """(channels,)."""
        return (spec.shape_in[0],)

    def forward(self, w: tuple, x: Tensor) -> Tensor:
        return matmul(self.average, x)


def averages(task_num: int, grid: Grid) -> np.ndarray:
    """Float32 [task, image, rows]: times rows [task, rows, channel], the mean over every image's positions."""
    size = grid.height * grid.width
    matrix = np.zeros((task_num, grid.images, grid.rows), np.float32)
    matrix[:, :, :-1] = np.repeat(np.eye(grid.images, dtype=np.float32), size, axis=1) / size
    return matrix
