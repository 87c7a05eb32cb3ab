"""The program's meta-gradient on a small batch, in the form that the reference in NumPy takes and gives."""
import numpy as np
from mindspore import Tensor
from networks import SIZE, WAYS, inner

from mindspore_maml.meta import Meta

TASKS = 2


def batch_of(channels=1, k_spt=2, k_qry=3):
    """Smooth images, whose classes differ: [task, image, channel, height, width] and labels, support and query."""
    draws = np.random.default_rng(5)
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    result = []
    for k in (k_spt, k_qry):
        waves = draws.uniform(1, 6, (TASKS, WAYS * k, channels, 2, 1, 1))
        phases = draws.uniform(0, 6, waves.shape)
        images = (np.sin(waves[:, :, :, 0] * x + phases[:, :, :, 0]) * np.sin(waves[:, :, :, 1] * y
                                                                              + phases[:, :, :, 1]) + 1) / 2
        result += [images.astype(np.float32), np.tile(np.arange(WAYS).repeat(k), (TASKS, 1)).astype(np.int32)]
    return result


def weights_of(net):
    """Parameters by name in double precision, as the reference takes them."""
    return {parameter.name.removeprefix("net."): parameter.asnumpy().astype(np.float64)
            for parameter in net.parameters}


def meta_gradient(net, batch, tasks_at_once=None, **changes):
    """Loss and gradients by name, from the program."""
    loss, _, gradients = Meta(net, inner(**changes), tasks_at_once).meta_gradient(*map(Tensor, batch))
    return float(loss), {name: g.asnumpy().astype(np.float64) for name, g in zip(weights_of(net), gradients)}


def in_double(batch):
    return [array.astype(np.float64) if array.dtype == np.float32 else array for array in batch]


INNER = {"steps": 2, "rate": 0.3, "adapted": ("weight", "bias", "gamma", "beta")}


def relative_error(found, expected):
    """Of the whole gradient."""
    found, expected = (np.concatenate([g[name].ravel() for name in expected]) for g in (found, expected))
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def length(values):
    """Of all arrays of a dict as one vector."""
    return np.sqrt(sum((value ** 2).sum() for value in values.values()))
