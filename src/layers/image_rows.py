"""Images as rows, the form in which layers take them."""
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from mindspore import Tensor, nn

from mindspore_maml.layers.layer import Layer
from mindspore_maml.layers.primitives import join_rows, reshape, transpose

Prepared: TypeAlias = Tensor | tuple   # images as the first layer takes them


class ImageRows(nn.Cell):
    """Images [task, image, channel, height, width] as rows [task, rows, channel], through `layers` without weights."""

    def __init__(self, task_num: int, channels: int, layers: Sequence[Layer] = ()):
        super().__init__()
        self.zero_row = Tensor(np.zeros((task_num, 1, channels), np.float32))
        self.layers = list(layers)

    def normalise_by(self, images: int) -> None:
        """As `Layer.normalise_by`."""
        for layer in self.layers:
            layer.normalise_by(images)

    def construct(self, images: Tensor) -> Tensor:
        """Rows, or what the layers make of them."""
        rows = images if images.shape[2] == 1 else transpose(images, (0, 1, 3, 4, 2))
        rows = reshape(rows, (images.shape[0], -1, images.shape[2]))
        x = join_rows((rows, self.zero_row))
        for layer in self.layers:
            x = layer.on_rows((), x)
        return x
