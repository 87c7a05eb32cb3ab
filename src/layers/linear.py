"""A dense layer."""
from mindspore_maml.layers.affine import Affine
from mindspore_maml.layers.initial_values import INIT
from mindspore_maml.layers.patches import AsGiven
from mindspore_maml.layers.row_constants import RowConstants
from mindspore_maml.layers.spec import N_WAY, Property, Spec


class Linear(Affine):
    """y = x w + b for every image; weight [out, in]."""

    properties = {"units": Property(int, N_WAY, low=1), "bias": Property(bool, True)} | INIT
    takes = ("vector",)

    def __init__(self, spec: Spec, task_num: int, images: int, is_first: bool = False):
        super().__init__(spec, task_num, images, is_first)
        self.patches, self.constants = AsGiven(taps=1), RowConstants(task_num, images, zero_row=False)

    @staticmethod
    def output_shape(spec: Spec) -> tuple:
        """(units,)."""
        return (spec.units,)

    @staticmethod
    def parameters(spec: Spec) -> dict:
        """A weight [units, inputs], and a bias [units] if asked for."""
        weight = {"weight": (spec.units, spec.shape_in[0])}
        return weight | ({"bias": (spec.units,)} if spec.bias else {})
