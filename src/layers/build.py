"""A described network as what prepares its images, and its layers."""
from mindspore import nn

from mindspore_maml.layers.batch_norm import BatchNorm
from mindspore_maml.layers.chain import Chain
from mindspore_maml.layers.conv2d import Conv2D
from mindspore_maml.layers.fused_first import CentredPatches, FirstConvNorm
from mindspore_maml.layers.image_rows import ImageRows
from mindspore_maml.layers.layer import Layer
from mindspore_maml.layers.network import Network
from mindspore_maml.layers.relu import ReLU


def build(network: Network, task_num: int, images: int) -> tuple[nn.Cell, Chain]:
    """What prepares the images, and the layers, of a network for `task_num` tasks of `images` images each.

    Layers before the first weights see data only: they belong to the preparation.
    """
    specs, channels = network.specs, network.image_shape[0]
    if [spec.layer for spec in specs[:2]] == [Conv2D, BatchNorm]:
        return _build_fused(specs, channels, task_num, images)
    layers = [spec.layer(spec, task_num, images) for spec in specs]
    first = next(i for i, layer in enumerate(layers) if layer.kinds)
    layers[first] = specs[first].layer(specs[first], task_num, images, is_first=True)
    return ImageRows(task_num, channels, layers[:first]), Chain(layers[first:])


def _build_fused(specs, channels, task_num, images):
    """The first convolution, its normalisation and ReLU in one, making its rows as the next convolution takes them."""
    conv, norm, *rest = specs
    relu = [spec.layer for spec in rest[:1]] == [ReLU]
    rest = rest[relu:]
    layers: list[Layer] = [FirstConvNorm(conv, norm, relu)]
    next_window = None
    if rest and rest[0].layer is Conv2D:
        next_window = rest[0].window
        layers.append(Conv2D(rest[0], task_num, images, rows_as_given=True))   # the first activations as they are
        rest = rest[1:]
    layers += [spec.layer(spec, task_num, images) for spec in rest]
    prepare = CentredPatches(task_num, channels, conv.grid(images), conv.window, next_window)
    return prepare, Chain(layers)
