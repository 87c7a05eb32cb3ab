"""An independent MAML in NumPy: one task and one parameter's entry at a time, derivatives by differences.

It shares no formula with the program beyond the definition of the layers. Inner gradients are complex-step
derivatives (exact to rounding), the outer gradient is a central difference, all in double precision.
"""
import functools
import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

STEP = 1e-30   # of the complex-step derivative: no subtraction, so no cancellation


def larger(a, b):
    """The entry with the larger real part, so that a complex step passes through."""
    return np.where(a.real >= b.real, a, b)


def windows(x, kernel, stride):
    """[image, c, h, w] -> [image, c, h', w', kernel, kernel]; incomplete windows at the edge are left out."""
    return sliding_window_view(x, (kernel, kernel), axis=(2, 3))[:, :, ::stride, ::stride]


def conv2d(x, weight, bias, stride, padding):
    """[image, c, h, w] -> [image, filters, h', w']."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    out = np.tensordot(windows(x, weight.shape[2], stride), weight, ((1, 4, 5), (1, 2, 3)))   # [image, h', w', filters]
    out = np.moveaxis(out, -1, 1)
    return out if bias is None else out + bias[:, None, None]


def batch_norm(x, gamma, beta, eps, counted):
    """Statistics over all axes but the channels', which are the second, of the first `counted` images (None: all)."""
    axes = (0, *range(2, x.ndim))
    shape = (-1,) + (1,) * (x.ndim - 2)
    mean = x[:counted].mean(axes, keepdims=True)
    normal = (x - mean) / np.sqrt(((x - mean)[:counted] ** 2).mean(axes, keepdims=True) + eps)
    return normal * (1 if gamma is None else gamma.reshape(shape)) + beta.reshape(shape)


def max_pool2d(x, kernel, stride):
    """Incomplete windows at the edge are left out."""
    taps = windows(x, kernel, stride)
    return functools.reduce(larger, (taps[..., i, j] for i in range(kernel) for j in range(kernel)))


def avg_pool2d(x, kernel, stride):
    """Incomplete windows at the edge are left out."""
    return windows(x, kernel, stride).mean((4, 5))


def group_norm(x, gamma, beta, groups, eps):
    """Statistics of each image and group of channels."""
    shape = (-1,) + (1,) * (x.ndim - 2)
    parts = np.split(x, groups, axis=1)                                 # each [image, channels of a group, ...]
    axes = tuple(range(1, x.ndim))
    normal = [(part - part.mean(axes, keepdims=True))
              / np.sqrt(((part - part.mean(axes, keepdims=True)) ** 2).mean(axes, keepdims=True) + eps)
              for part in parts]
    return np.concatenate(normal, 1) * (1 if gamma is None else gamma.reshape(shape)) + beta.reshape(shape)


def gelu(x):
    """x Phi(x); the error function of a complex step is its value and its slope times the step."""
    at = x.real / np.sqrt(2)
    phi = (1 + np.vectorize(math.erf)(at)) / 2
    if not np.iscomplexobj(x):
        return x * phi
    return x * (phi + 1j * x.imag * np.exp(-at ** 2) / np.sqrt(2 * np.pi))


def softplus(x, sharpness):
    """A smooth rectifier."""
    return np.log1p(np.exp(sharpness * x)) / sharpness


# Every kind of layer: its properties, a function that gives its parameters by kind, and x -> its result
LAYERS = {
    "conv2d": lambda layer, of, x: conv2d(x, of("weight"), of("bias"), layer.get("stride", 1), layer.get("padding", 0)),
    "linear": lambda layer, of, x: x @ of("weight").T + (0 if of("bias") is None else of("bias")),
    "group_norm": lambda layer, of, x: group_norm(x, of("gamma"), of("beta"), layer.get("groups", 1),
                                                  layer.get("eps", 1e-5)),
    "relu": lambda layer, of, x: larger(x, np.zeros_like(x)),
    "leaky_relu": lambda layer, of, x: larger(x, layer.get("slope", 0.01) * x),
    "gelu": lambda layer, of, x: gelu(x),
    "max_pool2d": lambda layer, of, x: max_pool2d(x, layer.get("kernel", 2), layer.get("stride", 2)),
    "avg_pool2d": lambda layer, of, x: avg_pool2d(x, layer.get("kernel", 2), layer.get("stride", 2)),
    "reduce_mean": lambda layer, of, x: x.mean((2, 3)),
    "flatten": lambda layer, of, x: x.reshape(len(x), -1),
    "dropout": lambda layer, of, x: x * of("mask"),
    "own_layers:Softplus": lambda layer, of, x: softplus(
        x + of("beta").reshape((-1,) + (1,) * (x.ndim - 2)), layer.get("sharpness", 1.0)),
}


def logits(layers, weights, x, prefix="", counted=None):
    """The network on the images [image, c, h, w] of one task; `weights` by name ("0.weight").

    `x` may be images and masks: arrays by name ("0.mask"), each like what its dropout is given. Batch normalisation
    takes the statistics of the first `counted` images.
    """
    images, masks = x if isinstance(x, tuple) else (x, {})
    known = weights | masks
    for index, layer in enumerate(layers):
        name = f"{prefix}{index}."
        if layer["layer"] == "residual":
            images = images + logits(layer["layers"], weights, (images, masks), name, counted)
        elif layer["layer"] == "bn":
            gamma, beta = known.get(name + "gamma"), known[name + "beta"]
            images = batch_norm(images, gamma, beta, layer.get("eps", 1e-5), counted)
        else:
            images = LAYERS[layer["layer"]](layer, lambda kind, name=name: known.get(name + kind), images)
    return images


def loss(layers, weights, x, labels, smoothing=0.0, support=()):
    """Mean cross-entropy of one task; with `support` images, batch normalisation takes their statistics."""
    counted = len(support)
    z = logits(layers, weights, np.concatenate([support, x]), counted=counted)[counted:] if counted else \
        logits(layers, weights, x)
    z = z - z.real.max(1, keepdims=True)
    log_probability = z - np.log(np.exp(z).sum(1, keepdims=True))
    target = np.eye(z.shape[1])[labels] * (1 - smoothing) + smoothing / z.shape[1]
    return -(target * log_probability).sum(1).mean()


def gradient(layers, weights, x, labels, smoothing=0.0, support=()):
    """Gradient of `loss` by complex steps, one parameter entry at a time."""
    result = {}
    for name, value in weights.items():
        result[name] = np.empty(value.shape)
        for entry in np.ndindex(*value.shape):
            moved = value.astype(complex)
            moved[entry] += 1j * STEP
            result[name][entry] = loss(layers, {**weights, name: moved}, x, labels, smoothing, support).imag / STEP
    return result


def adapt(layers, weights, x, labels, steps, rate, adapted, smoothing=0.0):
    """`steps` gradient steps on the support set of one task."""
    for _ in range(steps):
        slope = gradient(layers, weights, x, labels, smoothing)
        weights = {name: value - rate * slope[name] if name.rsplit(".", 1)[1] in adapted else value
                   for name, value in weights.items()}
    return weights


def outer_loss(layers, weights, batch, of_support=False, **inner):
    """Mean over the tasks of the query loss after adapting; `of_support`: with the statistics of the support images."""
    smoothing = inner.get("smoothing", 0.0)
    return np.mean([loss(layers, adapt(layers, weights, x_spt, y_spt, **inner), x_qry, y_qry, smoothing,
                         x_spt if of_support else ())
                    for x_spt, y_spt, x_qry, y_qry in zip(*batch)])


def directional_derivative(layers, weights, batch, direction, width=1e-8, **inner):
    """d outer_loss along `direction` (second order: through the inner gradients), by a central difference.

    The width is tiny, for a kink of ReLU crossed inside it would show as a jump.
    """
    def moved(sign):
        return {name: value + sign * width * direction[name] for name, value in weights.items()}
    return (outer_loss(layers, moved(1), batch, **inner) - outer_loss(layers, moved(-1), batch, **inner)) / (2 * width)


def first_order_gradient(layers, weights, batch, of_support=False, **inner):
    """Mean over the tasks of the plain query gradient at the adapted weights."""
    smoothing, total = inner.get("smoothing", 0.0), None
    for x_spt, y_spt, x_qry, y_qry in zip(*batch):
        slope = gradient(layers, adapt(layers, weights, x_spt, y_spt, **inner), x_qry, y_qry, smoothing,
                         x_spt if of_support else ())
        total = slope if total is None else {name: total[name] + slope[name] for name in slope}
    return {name: value / len(batch[0]) for name, value in total.items()}
