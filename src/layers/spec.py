"""One layer of a preset's list, described: its properties, and the shapes it takes and makes."""
from dataclasses import dataclass
from typing import Any

from mindspore_maml.cli.errors import InputError
from mindspore_maml.layers.geometry import Grid, Window

PARAMETERS = ("weight", "bias", "gamma", "beta")   # the kinds of the project's own layers


def kind_of(name: str) -> str:
    """The kind of a parameter, which --adapt chooses by: "weight" of `net.3.weight` and of `net.3.weight_shift`."""
    return name.rsplit(".", 1)[-1].partition("_")[0]


@dataclass(frozen=True)
class Property:
    """A property of a layer: its type, default and valid range.

    Attributes
    ----------
    kind : type
        int, float, bool, str, or list for layers inside the layer.
    default : object
        None: it must be given. `N_WAY`: the number of classes of a task.
    low : float, optional
        The smallest value.
    below : float, optional
        Every value is less than this one.
    choices : tuple of str
        The values of a str.
    """

    kind: type
    default: Any = None
    low: float | None = None
    below: float | None = None
    choices: tuple = ()

    def fits(self, value: Any) -> bool:
        """Whether `value` is of the type and in the range."""
        types: Any = (int, float) if self.kind is float else self.kind
        if not isinstance(value, types):
            return False
        if isinstance(value, bool) != (self.kind is bool):
            return False
        return (self.low is None or value >= self.low) and (self.below is None or value < self.below) \
            and (not self.choices or value in self.choices)

    @property
    def expected(self) -> str:
        """In words, what fits."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.kind is list:
            return "a list of layers"
        words = self.kind.__name__ + (f" of at least {self.low}" if self.low is not None else "")
        return words + (f" and less than {self.below}" if self.below is not None else "")


N_WAY = "n_way"   # a property's default that depends on the task


@dataclass(frozen=True)
class Spec:
    """One layer of the list. Its properties are attributes, too.

    Attributes
    ----------
    layer : type
        The subclass of `Layer`.
    kind : str
        Its name in the list.
    place : tuple of int
        Its index in the list; for a layer inside another one, that one's index first.
    properties : dict
        Checked, with their defaults; a list of layers as a list of `Spec`s.
    shape_in : tuple of int
        What it is given: (channels, height, width), or (numbers,) an image.
    """

    layer: Any
    kind: str
    place: tuple
    properties: dict
    shape_in: tuple

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["properties"][name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def name(self) -> str:
        """The layer's part of its parameters' names: "3", or "3.0" inside of layer 3."""
        return ".".join(map(str, self.place))

    @property
    def shape_out(self) -> tuple:
        """What it makes: (channels, height, width), or (numbers,) an image."""
        return self.layer.output_shape(self)

    @property
    def parameters(self) -> dict:
        """The shapes of the layer's parameters by name, in the order checkpoints and layers hold them."""
        return self.layer.parameters(self)

    @property
    def is_flat(self) -> bool:
        """Whether the layer is given one vector an image, rather than rows of positions."""
        return len(self.shape_in) == 1

    @property
    def window(self) -> Window:
        """The window that slides over the image, of a layer that has one."""
        return Window(self.kernel, self.stride, self.properties.get("padding", 0))

    def grid(self, images: int) -> Grid:
        """The rows it is given."""
        return Grid(images, *self.shape_in[1:])

    def error(self, text: str) -> InputError:
        """An error that names the layer."""
        return InputError(f"network: layer {self.name} ({self.kind}){text}")
