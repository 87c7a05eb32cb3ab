"""An adapted classifier as a plain network of MindSpore's own layers, which exports to MindIR and ONNX."""
import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindspore_maml.classifier import FewShotClassifier, image_values
from mindspore_maml.cli.errors import InputError
from mindspore_maml.layers.network import to_parameter
from mindspore_maml.layers.spec import Spec


class SpatialMean(nn.Cell):
    """[image, channel, height, width] -> [image, channel]."""

    def __init__(self):
        super().__init__()
        self.mean = ops.ReduceMean()

    def construct(self, x: Tensor) -> Tensor:
        return self.mean(x, (2, 3))


class Flatten(nn.Cell):
    """[image, channel, height, width] -> [image, numbers], for any number of images."""

    def __init__(self):
        super().__init__()
        self.reshape = ops.Reshape()

    def construct(self, x: Tensor) -> Tensor:
        return self.reshape(x, (-1, x.shape[1] * x.shape[2] * x.shape[3]))


class Residual(nn.Cell):
    """x plus what the layers inside make of it."""

    def __init__(self, inside: nn.Cell):
        super().__init__()
        self.inside = inside

    def construct(self, x: Tensor) -> Tensor:
        return x + self.inside(x)


class GroupNorm(nn.Cell):
    """Normalisation of every image's groups of channels, of operations that ONNX has."""

    def __init__(self, groups: int, shape: tuple, eps: float, gamma: np.ndarray, beta: np.ndarray):
        super().__init__()
        self.groups, self.shape, self.eps = groups, shape, eps
        spread = (-1,) + (1,) * (len(shape) - 1)
        self.gamma, self.beta = Tensor(gamma.reshape(spread)), Tensor(beta.reshape(spread))
        self.mean, self.sqrt, self.reshape = ops.ReduceMean(keep_dims=True), ops.Sqrt(), ops.Reshape()

    def construct(self, x: Tensor) -> Tensor:
        parts = self.reshape(x, (-1, self.groups, int(np.prod(self.shape)) // self.groups))
        centred = parts - self.mean(parts, 2)
        normal = centred / self.sqrt(self.mean(centred * centred, 2) + self.eps)
        return self.reshape(normal, (-1, *self.shape)) * self.gamma + self.beta


class GELU(nn.Cell):
    """x Phi(x), of operations that ONNX's converter has.

    Phi's error function is the polynomial of Abramowitz and Stegun, 1964, 7.1.26, right to 1.5e-7.
    """

    def __init__(self):
        super().__init__()
        self.relu, self.exp, self.divide, self.one = ops.ReLU(), ops.Exp(), ops.RealDiv(), Tensor([1.0], ms.float32)

    def construct(self, x: Tensor) -> Tensor:
        positive = self.relu(x)
        size = positive + self.relu(-x)
        t = self.divide(self.one, 1.0 + 0.3275911 / 2 ** 0.5 * size)   # 1 / x would be an operation that it lacks
        tail = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t
        return positive - 0.5 * size * tail * self.exp(-0.5 * x * x)


class ScaleShift(nn.Cell):
    """x a + b, number by number: normalisation of vectors with fixed statistics."""

    def __init__(self, scale: np.ndarray, shift: np.ndarray):
        super().__init__()
        self.scale, self.shift = Tensor(scale.astype(np.float32)), Tensor(shift.astype(np.float32))

    def construct(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift


class PlainNetwork(nn.Cell):
    """Probabilities [image, class] of images [image, imgc, imgsz, imgsz], float32, with the support's statistics.

    Parameters
    ----------
    model : FewShotClassifier
        Fitted. Its adapted weights are copied, and batch normalisation is fixed at the statistics of its support
        images.

    Raises
    ------
    InputError
        Where the network has a layer of the user's own.
    """

    def __init__(self, model: FewShotClassifier):
        super().__init__()
        options, network, learned = model.options(), model.network(), model.adapted_
        weights = {parameter.name.removeprefix("net."): to_parameter(Tensor(weight[0]), parameter.shape).asnumpy()
                   for parameter, weight in zip(network.parameters, learned.weights)}
        support = Tensor(image_values(learned.taken, options)[0])
        self.layers, _ = _sequence(network.specs, weights, support)
        self.softmax, self.temperature = nn.Softmax(), learned.limits.temperature if learned.limits else 1.0

    def construct(self, x: Tensor) -> Tensor:
        """Probabilities."""
        return self.softmax(self.layers(x) / self.temperature)


def _sequence(specs, weights, x):
    """The layers as one cell, and what they make of the support images `x`, whose statistics they take."""
    cells = []
    for spec in specs:
        if spec.kind == "residual":
            cell: nn.Cell = Residual(_sequence(spec.layers, weights, x)[0])
        else:
            cell = _plain(spec, {kind: weights[f"{spec.name}.{kind}"] for kind in spec.parameters}, x)
        cells.append(cell)
        x = cell(x)
    return nn.SequentialCell(cells), x


def _plain(spec: Spec, of: dict, x: Tensor) -> nn.Cell:
    """One layer with the parameters `of` by kind; `x` are the support images as they come to it."""
    makers = {"conv2d": _conv2d, "linear": _linear, "bn": _batch_norm, "group_norm": _group_norm,
              "relu": lambda *_: nn.ReLU(), "leaky_relu": lambda *_: nn.LeakyReLU(spec.slope),
              "gelu": lambda *_: GELU(), "dropout": lambda *_: nn.Identity(),
              "max_pool2d": lambda *_: nn.MaxPool2d(spec.kernel, spec.stride, "valid"),
              "avg_pool2d": lambda *_: nn.AvgPool2d(spec.kernel, spec.stride, "valid"),
              "reduce_mean": lambda *_: SpatialMean(), "flatten": lambda *_: Flatten()}
    if spec.kind not in makers:
        raise InputError(f"network: layer {spec.name} ({spec.kind}) has no plain form; expected layers of this program")
    return makers[spec.kind](spec, of, x)


def _conv2d(spec, of, x):
    return nn.Conv2d(spec.shape_in[0], spec.filters, spec.kernel, spec.stride, "pad", spec.padding,
                     has_bias=spec.bias, weight_init=Tensor(of["weight"]),
                     bias_init=Tensor(of["bias"]) if spec.bias else None)


def _linear(spec, of, x):
    units, numbers = of["weight"].shape
    return nn.Dense(numbers, units, weight_init=Tensor(of["weight"]), has_bias=spec.bias,
                    bias_init=Tensor(of["bias"]) if spec.bias else None)


def _batch_norm(spec, of, x):
    values = x.asnumpy().astype(np.float64)
    axes = (0, *range(2, values.ndim))
    mean, variance = values.mean(axes), values.var(axes)
    beta = of["beta"]
    gamma = of.get("gamma", np.ones_like(beta))
    if spec.is_flat:   # nn.BatchNorm1d exports to ONNX for one number of images alone
        scale = gamma / np.sqrt(variance + spec.eps)
        return ScaleShift(scale, beta - mean * scale)
    return nn.BatchNorm2d(len(beta), eps=spec.eps, gamma_init=Tensor(gamma), beta_init=Tensor(beta),
                          moving_mean_init=Tensor(mean.astype(np.float32)),
                          moving_var_init=Tensor(variance.astype(np.float32)), use_batch_statistics=False)


def _group_norm(spec, of, x):
    return GroupNorm(spec.groups, spec.shape_in, spec.eps, of.get("gamma", np.ones_like(of["beta"])), of["beta"])
