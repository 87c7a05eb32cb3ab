"""A checkpoint's last layer for another number of classes than it was trained on."""
import dataclasses
from collections.abc import Mapping

import numpy as np

from mindspore_maml.training.checkpoint import Checkpoint


def with_ways(checkpoint: Checkpoint, layers: list, shapes: Mapping[str, tuple]) -> Checkpoint:
    """The checkpoint with a last layer for as many classes as `shapes` says.

    Fewer classes than it was trained on take the first of the trained ones. With more, each starts from the mean of
    the trained ones, so that none is ahead of another (Ye and Chao, 2022, train so). What the inner loop learned of
    the layer, a rate for every weight, likewise. Measured in docs/own-images.md.

    Parameters
    ----------
    layers : list of dict
        The network's layers, as in a preset.
    shapes : dict of tuple
        Of the network's parameters, by name. A value that does not fit them but for the classes stays as it is.
    """
    head = f"net.{len(layers) - 1}"   # the whole name: a layer inside a residual one may have the same index
    wanted = {f"{of}{name}": shapes[name] for of in ("", "rates.") for kind in ("weight", "bias")
              if (name := f"{head}.{kind}") in shapes}
    resized = {name: _for_classes(value, shape[0]) for name, shape in wanted.items()
               if (value := checkpoint.tensors.get(name)) is not None and _fits_but_for_classes(value, shape)}
    return dataclasses.replace(checkpoint, tensors=checkpoint.tensors | resized)


def _fits_but_for_classes(value, shape):
    return value.dtype.kind == "f" and value.ndim == len(shape) and value.shape[1:] == shape[1:]


def _for_classes(value, n_way):
    """An array [class, ...] for `n_way` classes: its first ones, or its mean over the classes for each."""
    if n_way <= len(value):
        return value[:n_way]
    with np.errstate(all="ignore"):   # what is no number is refused later
        return np.repeat(value.mean(axis=0, keepdims=True), n_way, axis=0)
