"""Convolution, as a product of each window position's patch with the weight."""
from mindspore_maml.layers.affine import Affine
from mindspore_maml.layers.initial_values import INIT
from mindspore_maml.layers.patches import AsGiven, Patches
from mindspore_maml.layers.row_constants import RowConstants
from mindspore_maml.layers.spec import Property, Spec


def shape_under_window(spec: Spec, channels: int = 0) -> tuple:
    """(channels, height, width) of the positions of `spec.window` over the image given; 0: the channels of that."""
    out = spec.window.slide(spec.grid(1))
    if out.height < 1 or out.width < 1:
        raise spec.error(f": a window of {spec.window.kernel}, padding {spec.window.padding}, does not fit into an "
                         f"image of {spec.shape_in[1]} x {spec.shape_in[2]}")
    return channels or spec.shape_in[0], out.height, out.width


class Conv2D(Affine):
    """Cross-correlation with a square window and zero padding; weight [out, in, k, k].

    Parameters
    ----------
    rows_as_given : bool
        Whether the layer below makes the rows in the order of the patches (see `fused_first`).
    """

    properties = {"filters": Property(int, low=1), "kernel": Property(int, 3, low=1),
                  "stride": Property(int, 1, low=1), "padding": Property(int, 0, low=0),
                  "bias": Property(bool, True)} | INIT
    takes = ("image",)

    def __init__(self, spec: Spec, task_num: int, images: int, is_first: bool = False, rows_as_given: bool = False):
        super().__init__(spec, task_num, images, is_first)
        grid = spec.grid(images)
        self.patches = AsGiven(spec.window.taps) if rows_as_given else Patches(spec.window, grid)
        self.constants = RowConstants(task_num, spec.window.slide(grid).positions, zero_row=True)

    @staticmethod
    def output_shape(spec: Spec) -> tuple:
        """(filters, height, width)."""
        return shape_under_window(spec, spec.filters)

    @staticmethod
    def parameters(spec: Spec) -> dict:
        """A weight [filters, channels, kernel, kernel], and a bias [filters] if asked for."""
        weight = {"weight": (spec.filters, spec.shape_in[0], spec.kernel, spec.kernel)}
        return weight | ({"bias": (spec.filters,)} if spec.bias else {})
