"""Dropout's masks on their way to the layers: drawn beside the prepared images, then taken among the weights."""
import zlib

import numpy as np
from mindspore import Tensor, jit_class

from mindspore_maml.layers.chain import Chain
from mindspore_maml.layers.dropout import MASK
from mindspore_maml.layers.image_rows import Prepared


@jit_class
class NoMasks:
    """Stands for `Masks` in a network without dropout: everything is as it comes."""

    def drawn_for(self, x: Prepared, images: Tensor, seed: tuple | None) -> Prepared:
        """Prepared images alone."""
        return x

    def data(self, x: Prepared) -> Prepared:
        """Prepared images alone."""
        return x

    def beside(self, x: Prepared, features: Tensor) -> Prepared:
        """The features alone."""
        return features

    def put_into(self, weights: tuple, x: Prepared) -> tuple:
        """The weights alone."""
        return weights

    def taken_from(self, mixed: tuple) -> tuple:
        """The weights alone."""
        return mixed


@jit_class
class Masks:
    """The masks of a chain's dropouts.

    Parameters
    ----------
    chain : Chain
        With a dropout in it.
    """

    def __init__(self, chain: Chain):
        self.dropouts, self.is_mask = chain.dropouts, tuple(kind == MASK for kind in chain.kinds)

    def drawn_for(self, x: Prepared, images: Tensor, seed: tuple | None) -> Prepared:
        """Prepared images `x`, and a mask of each dropout [task, rows, channel]; 1 [1, 1, 1] where `seed` is None.

        Every task draws from the seed and from its images, so it makes no difference which it is batched with.
        """
        if seed is None:
            return x, tuple(Tensor(np.ones((1, 1, 1), np.float32)) for _ in self.dropouts)
        tasks = [zlib.crc32(task.tobytes()) for task in images.asnumpy()]
        return x, tuple(Tensor(np.stack([dropout.draw((*seed, number, task)) for task in tasks]))
                        for number, dropout in enumerate(self.dropouts))

    def data(self, x: Prepared) -> Prepared:
        """Of what `drawn_for` returns, the prepared images."""
        return x[0]

    def beside(self, x: Prepared, features: Tensor) -> Prepared:
        """What `drawn_for` returned, with `features` in the images' place."""
        return features, x[1]

    def put_into(self, weights: tuple, x: Prepared) -> tuple:
        """The weights, with the masks where the layers take them."""
        mixed, used = (), 0
        for i in range(len(self.is_mask)):
            if self.is_mask[i]:
                mixed, used = (*mixed, x[1][used]), used + 1
            else:
                mixed = (*mixed, weights[i - used])
        return mixed

    def taken_from(self, mixed: tuple) -> tuple:
        """The inverse of `put_into`."""
        weights = ()
        for i in range(len(self.is_mask)):
            if not self.is_mask[i]:
                weights = (*weights, mixed[i])
        return weights
