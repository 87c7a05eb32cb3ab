"""The network's parameters: their initial values, their names, and the two forms they take."""
from mindspore import Parameter, ParameterTuple, Tensor, float32, nn

from mindspore_maml.layers.description import describe
from mindspore_maml.layers.primitives import reshape, transpose
from mindspore_maml.layers.spec import kind_of


class Network(nn.Cell):
    """The parameters in the form checkpoints hold them, one set for all tasks.

    Parameters
    ----------
    layers : list of dict
        As in a preset's `network`.
    imgc, imgsz, n_way : int
        Channels and size of an image; classes in a task.
    seed : int
        Seed of the initial values, and of dropout's masks.

    Attributes
    ----------
    specs : list of Spec
        The layers, checked, with their shapes.
    parameters : ParameterTuple
        Named `<layer>.<kind>` (inside of a layer `<layer>.<layer inside>.<kind>`), layer by layer in the list's order:
        a convolution's weight [out, in, k, k], a dense layer's [out, in], biases, gammas and betas [channel].
    """

    def __init__(self, layers: list, imgc: int, imgsz: int, n_way: int, seed: int):
        super().__init__()
        self.specs = describe(layers, imgc, imgsz, n_way)
        self.image_shape, self.seed = (imgc, imgsz, imgsz), seed
        self.parameters = ParameterTuple([
            Parameter(Tensor(spec.layer.initial_value(spec, name, shape, (seed, *spec.place, number)), float32),
                      name=f"{spec.name}.{name}")   # each has draws of its own
            for spec in self.specs for number, (name, shape) in enumerate(spec.parameters.items())])

    @property
    def kinds(self) -> list[str]:
        """The kind of every parameter: "weight", "bias", "gamma", "beta", or one of a layer of the user's own."""
        return [kind_of(parameter.name) for parameter in self.parameters]


def to_rows(value: Tensor) -> Tensor:
    """A parameter in the form the layers take: [in, out] (a window's taps outermost), or [1, out] for a shift."""
    if value.ndim == 4:                                                # [out, in, k, k] -> [k x k x in, out]
        return reshape(transpose(value, (2, 3, 1, 0)), (-1, value.shape[0]))
    return transpose(value, (1, 0)) if value.ndim == 2 else reshape(value, (1, -1))


def to_parameter(value: Tensor, shape: tuple) -> Tensor:
    """The inverse of `to_rows`, for a parameter of `shape`."""
    if len(shape) == 4:
        return transpose(reshape(value, (shape[2], shape[3], shape[1], shape[0])), (3, 2, 0, 1))
    return transpose(reshape(value, (shape[1], shape[0])), (1, 0)) if len(shape) == 2 else reshape(value, shape)
