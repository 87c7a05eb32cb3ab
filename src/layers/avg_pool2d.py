"""Average-pooling."""
from mindspore import Tensor

from mindspore_maml.layers.conv2d import shape_under_window
from mindspore_maml.layers.layer import WeightlessLinear
from mindspore_maml.layers.primitives import mul
from mindspore_maml.layers.row_maps import sum_under_window
from mindspore_maml.layers.spec import Property, Spec


class AvgPool2D(WeightlessLinear):
    """The mean of the values under every window position."""

    properties = {"kernel": Property(int, 2, low=1), "stride": Property(int, 2, low=1)}
    takes = ("image",)
    keeps_zero_row = True

    def __init__(self, spec: Spec, task_num: int, images: int, is_first: bool = False):
        super().__init__(spec, task_num, images, is_first)
        self.window_sum, self.share = sum_under_window(spec.window, spec.grid(images)), 1 / spec.window.taps

    output_shape = staticmethod(shape_under_window)   # incomplete windows at the edge are left out

    def forward(self, w: tuple, x: Tensor) -> Tensor:
        return mul(self.window_sum(x), self.share)
