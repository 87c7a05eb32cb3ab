"""Learner: one network, run for a batch of tasks at once, every task with weights of its own, passed in."""
from mindspore import jit_class

from src.crossentropy import CrossEntropy
from src.layers.fused_first import CentredPatches, FirstConvNorm, ImageRows
from src.layers.geometry import Grid
from src.layers.layers import (
    Affine,
    AsGiven,
    BatchNorm,
    Flatten,
    MaxPool,
    Patches,
    PerImage,
    ReLU,
    RowConstants,
    SpatialMean,
)


@jit_class
class Learner:
    """The network for `task_num` tasks of `images` images each.

    It holds no parameters: `weights` is a tuple in the order of `Network.parameters`, each
    [task, in, out] or [task, 1, out] (see `network.to_rows`), and every method returns what it computes.

    Parameters
    ----------
    network : Network
        What to build.
    task_num, images : int
        Tasks in a batch; images of a task.
    label_smoothing : float
        Passed to `CrossEntropy`.
    """

    def __init__(self, network, task_num, images, label_smoothing=0.0):
        self.prepare, layers, self.repeated = build(network, task_num, images)
        self.layers = layers
        self.loss = CrossEntropy(label_smoothing)

    def __call__(self, weights, x):
        """Logits [task, image, class] of prepared images."""
        return self.forward(weights, x)[0]

    def forward(self, weights, x):
        """Logits, and what each layer saved for its derivatives."""
        saved, first = (), 0
        for layer in self.layers:
            last = first + len(layer.kinds)
            x, kept = layer.forward(weights[first:last], x)
            saved, first = (*saved, kept), last
        return x, saved

    def gradient(self, weights, x, labels, scale):
        """The loss of every task, and the gradient of `scale` times that loss with respect to its weights.

        Parameters
        ----------
        weights : tuple of Tensor
            Every task's weights.
        x : tuple of Tensor
            Images, as `prepare` makes them.
        labels : Tensor of int32, [task, image]
        scale : float
            Usually the learning rate: scaling the loss is cheaper than scaling its gradient.

        Returns
        -------
        logits : Tensor, [task, image, class]
        gradients : tuple of Tensor
            Like `weights`.
        trace : tuple
            What `curvature` needs of this pass.
        """
        logits, saved = self.forward(weights, x)
        dy, probability = self.loss.gradient(logits, labels, scale)
        gradients, kept, last = (), (), len(weights)
        for i in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[i]
            first = last - len(layer.kinds)
            dy, dw, k = layer.backward(weights[first:last], saved[i], dy)
            gradients, kept, last = (*dw, *gradients), (k, *kept), first
        return logits, gradients, (self._compact(saved), kept, probability)

    def curvature(self, weights, x, trace, direction, scale):
        """Hessian of `scale` times each task's loss, times `direction`: how `gradient` moves along it.

        Parameters
        ----------
        weights, direction : tuple of Tensor
            Every task's weights, and numbers like them.
        x : tuple of Tensor
            Images, as `prepare` makes them.
        trace : tuple
            From `gradient` at these weights.
        scale : float
            The same as there.

        Returns
        -------
        tuple of Tensor
            Like `weights`.
        """
        saved, kept, probability = trace
        saved = self._restore(weights, x, saved)
        y_dot, moved, first = (), (), 0
        for i in range(len(self.layers)):
            layer = self.layers[i]
            last = first + len(layer.kinds)
            y_dot, m = layer.forward_tangent(weights[first:last], saved[i], direction[first:last], y_dot)
            moved, first = (*moved, m), last
        dy_dot = self.loss.gradient_tangent(probability, y_dot, scale)
        products, last = (), len(weights)
        for i in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[i]
            first = last - len(layer.kinds)
            dy_dot, dw_dot = layer.backward_tangent(weights[first:last], saved[i], kept[i], direction[first:last],
                                                    moved[i], dy_dot)
            products, last = (*dw_dot, *products), first
        return products

    def _compact(self, saved):
        compact = ()
        for i in range(self.repeated):
            compact = (*compact, self.layers[i].compact(saved[i]))
        return (*compact, *saved[self.repeated:])

    def _restore(self, weights, x, compact):
        saved, first = (), 0
        for i in range(self.repeated):
            last = first + len(self.layers[i].kinds)
            x, kept = self.layers[i].restore(weights[first:last], x, compact[i])
            saved, first = (*saved, kept), last
        return (*saved, *compact[self.repeated:])


def build(network, task_num, images):
    """What prepares the images, and the layers, of a network for `task_num` tasks of `images` images each.

    Layers before the first weights see data only: they belong to the preparation. The third value is how many of the
    layers repeat on the way back what they would otherwise have to save (`compact` and `restore`).
    """
    specs, channels = network.specs, network.image_shape[0]
    if [spec.kind for spec in specs[:2]] == ["conv2d", "bn"]:
        return _build_fused(specs, channels, task_num, images)
    first = next(i for i, spec in enumerate(specs) if spec.kind in ("conv2d", "linear"))
    before = [_layer(spec, task_num, images) for spec in specs[:first]]
    layers = [_layer(specs[first], task_num, images, is_first=True)]
    layers += [_layer(spec, task_num, images) for spec in specs[first + 1:]]
    return ImageRows(task_num, channels, before), layers, 1


def _build_fused(specs, channels, task_num, images):
    """The first convolution, its normalisation and ReLU in one, making its rows as the next convolution takes them."""
    conv, norm, *rest = specs
    relu = [spec.kind for spec in rest[:1]] == ["relu"]
    rest = rest[relu:]
    follower = rest[0] if rest and rest[0].kind == "conv2d" else None
    prepare = CentredPatches(task_num, channels, _grid(conv.shape_in, images), conv.window,
                             follower and follower.window)
    layers = [FirstConvNorm(norm.eps, conv.bias, norm.gamma, relu)]
    layers += [_layer(spec, task_num, images, rows_as_given=spec is follower) for spec in rest]
    return prepare, layers, 2 if follower else 1   # a follower takes the first activations as they are


def _grid(shape, images):
    return Grid(images, *shape[1:])


def _layer(spec, task_num, images, is_first=False, rows_as_given=False):
    if spec.kind == "relu":
        return ReLU()
    if spec.is_flat:   # bn or linear
        constants = RowConstants(task_num, images, zero_row=False)
        return BatchNorm(constants, spec.eps, spec.gamma) if spec.kind == "bn" \
            else Affine(PerImage(), constants, spec.bias, is_first)
    grid = _grid(spec.shape_in, images)
    if spec.kind == "conv2d":
        patches = AsGiven(spec.window.taps) if rows_as_given else Patches(spec.window, grid)
        out = RowConstants(task_num, spec.window.slide(grid).positions, zero_row=True)
        return Affine(patches, out, spec.bias, is_first)
    if spec.kind == "bn":
        return BatchNorm(RowConstants(task_num, grid.positions, zero_row=True), spec.eps, spec.gamma)
    if spec.kind == "max_pool2d":
        return MaxPool(spec.window, grid)
    return SpatialMean(task_num, grid) if spec.kind == "reduce_mean" else Flatten(task_num, grid, spec.shape_in[0])
