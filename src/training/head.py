"""A checkpoint's last layer for another number of classes than it was trained on."""
import dataclasses

import mindspore as ms
import numpy as np

from mindspore_maml.training.checkpoint import Checkpoint


def with_ways(checkpoint: Checkpoint, layers: list, n_way: int) -> Checkpoint:
    """The checkpoint with a last layer for `n_way` classes.

    Fewer classes than it was trained on take the first of the trained ones. With more, each starts from the mean of
    the trained ones, so that none is ahead of another (Ye and Chao, 2022, train so). What the inner loop learned of
    the layer, a rate for every weight, likewise. Measured in docs/own-images.md.

    Parameters
    ----------
    layers : list of dict
        The network's layers, as in a preset.
    n_way : int
        Classes of a task.
    """
    head = f"net.{len(layers) - 1}"   # the whole name: a layer inside a residual one may have the same index
    names = [f"{of}{head}.{kind}" for of in ("", "rates.") for kind in ("weight", "bias")]
    resized = {name: _for_classes(checkpoint.tensors[name], n_way) for name in names if name in checkpoint.tensors}
    return dataclasses.replace(checkpoint, tensors=checkpoint.tensors | resized)


def _for_classes(value, n_way):
    """A tensor [class, ...] for `n_way` classes: its first ones, or its mean over the classes for each."""
    array = value.asnumpy()
    resized = array[:n_way] if n_way <= len(array) else np.repeat(array.mean(axis=0, keepdims=True), n_way, axis=0)
    return ms.Parameter(ms.Tensor(resized), name=value.name)
