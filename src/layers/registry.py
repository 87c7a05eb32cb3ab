"""The kinds of layers by the names a preset's list gives them, and layers of the user's own."""
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.own_code import find_class
from mindspore_maml.layers.avg_pool2d import AvgPool2D
from mindspore_maml.layers.batch_norm import BatchNorm
from mindspore_maml.layers.conv2d import Conv2D
from mindspore_maml.layers.dropout import Dropout
from mindspore_maml.layers.flatten import Flatten
from mindspore_maml.layers.gelu import GELU
from mindspore_maml.layers.group_norm import GroupNorm
from mindspore_maml.layers.layer import Layer
from mindspore_maml.layers.leaky_relu import LeakyReLU
from mindspore_maml.layers.linear import Linear
from mindspore_maml.layers.max_pool2d import MaxPool2D
from mindspore_maml.layers.relu import ReLU
from mindspore_maml.layers.residual import Residual
from mindspore_maml.layers.spatial_mean import SpatialMean

KINDS = {
    "conv2d": Conv2D,
    "linear": Linear,
    "bn": BatchNorm,
    "group_norm": GroupNorm,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "gelu": GELU,
    "max_pool2d": MaxPool2D,
    "avg_pool2d": AvgPool2D,
    "reduce_mean": SpatialMean,
    "flatten": Flatten,
    "dropout": Dropout,
    "residual": Residual,
}


def find_kind(name: str) -> type[Layer]:
    """The class of a kind of layer: one of `KINDS`, or `module:Class`, also from the working directory.

    Raises
    ------
    InputError
        Where there is no such kind, module or class, or the class is not a `Layer`.
    """
    if name in KINDS:
        return KINDS[name]
    if ":" not in name:
        raise InputError(f"expected one of {', '.join(KINDS)}, or module:Class")
    return find_class(name, Layer)
