"""Images as vectors."""
import math

from mindspore import Tensor

from mindspore_maml.layers.layer import WeightlessLinear
from mindspore_maml.layers.primitives import reshape, transpose
from mindspore_maml.layers.spec import Spec


class Flatten(WeightlessLinear):
    """All numbers of an image side by side, channels outermost: [task, rows, channel] -> [task, image, numbers]."""

    takes = ("image",)

    @staticmethod
    def output_shape(spec: Spec) -> tuple:
        """(channels x height x width,)."""
        return (math.prod(spec.shape_in),)

    def forward(self, w: tuple, x: Tensor) -> Tensor:
        channels, height, width = self.shape_in
        images = reshape(x, (self.task_num, self.images, height * width, channels))
        return reshape(transpose(images, (0, 1, 3, 2)), (self.task_num, self.images, -1))
