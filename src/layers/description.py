"""The language in which a preset describes a network: a list of layers, checked layer by layer."""
import math
from dataclasses import dataclass

from src.cli.errors import InputError
from src.layers.geometry import Grid, Window

# Every kind of layer, with its properties: (kind of value, default, smallest value). None: no default.
INITS = ("kaiming_fan_in", "kaiming_fan_out", "uniform", "ones")
INIT = {"init": (str, None, None), "init_scale": (float, 1.0, 0)}
LAYERS = {
    "conv2d": {"filters": (int, None, 1), "kernel": (int, 3, 1), "stride": (int, 1, 1), "padding": (int, 0, 0),
               "bias": (bool, True, None)} | INIT,
    "bn": {"eps": (float, 1e-5, 0), "gamma": (bool, False, None)},
    "relu": {},
    "max_pool2d": {"kernel": (int, 2, 1), "stride": (int, 2, 1)},
    "reduce_mean": {},
    "flatten": {},
    "linear": {"units": (int, 0, 1), "bias": (bool, True, None)} | INIT,
}
DEFAULT_INIT = {"conv2d": "kaiming_fan_out", "linear": "kaiming_fan_out"}


@dataclass(frozen=True)
class Spec:
    """One layer of the list, with the shape it is given and the shape it makes: (channels, height, width)."""

    index: int
    kind: str
    properties: dict
    shape_in: tuple
    shape_out: tuple

    def __getattr__(self, name):
        try:
            return self.properties[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def window(self):
        return Window(self.kernel, self.stride, self.properties.get("padding", 0))

    @property
    def parameters(self):
        """The shapes of the layer's parameters by kind, in the order checkpoints and layers hold them."""
        if self.kind == "bn":
            names = ("gamma", "beta") if self.gamma else ("beta",)
            return dict.fromkeys(names, (self.shape_in[0],))
        if self.kind not in ("conv2d", "linear"):
            return {}
        window = (self.kernel, self.kernel) if self.kind == "conv2d" else ()
        weight = {"weight": (self.shape_out[0], self.shape_in[0], *window)}
        return weight | {"bias": (self.shape_out[0],)} if self.bias else weight

    @property
    def is_flat(self):
        """Whether the layer is given one vector an image, rather than rows of positions."""
        return len(self.shape_in) == 1


def describe(layers, imgc, imgsz, n_way):
    """Check a list of layers against the images' size; return its `Spec`s.

    Raises
    ------
    InputError
        Naming the layer (its index and kind) that does not fit, what was found and what was expected.
    """
    if not isinstance(layers, list) or not layers:
        raise InputError(f"network is {layers!r}; expected a list of layers such as {{layer: conv2d, filters: 64}}")
    shape, specs = (imgc, imgsz, imgsz), []
    for index, entry in enumerate(layers):
        kind, properties = _read_entry(index, entry)
        if kind == "bn" and not any(spec.kind in ("conv2d", "linear") for spec in specs):
            raise InputError(f"network: layer {index} (bn) is given the images; expected a conv2d or linear before it")
        if kind == "linear" and not properties["units"]:
            properties["units"] = n_way
        spec = Spec(index, kind, properties, shape, _shape_out(index, kind, properties, shape))
        specs.append(spec)
        shape = spec.shape_out
    if specs[-1].kind != "linear" or shape != (n_way,):
        raise InputError(f"network: layer {specs[-1].index} ({specs[-1].kind}) makes {shape}; expected the last layer "
                         f"to be linear with n_way = {n_way} units")
    return specs


def _read_entry(index, entry):
    if not isinstance(entry, dict) or entry.get("layer") not in LAYERS:
        raise InputError(f"network: layer {index} is {entry!r}; expected a mapping whose 'layer' is one of "
                         f"{', '.join(LAYERS)}")
    kind = entry["layer"]
    known = LAYERS[kind]
    unknown = set(entry) - set(known) - {"layer"}
    if unknown:
        raise InputError(f"network: layer {index} ({kind}): unknown property {sorted(unknown)[0]}; expected "
                         f"{', '.join(known) or 'none'}")
    properties = {}
    for name, (value_kind, default, low) in known.items():
        value = entry.get(name, DEFAULT_INIT.get(kind) if name == "init" else default)
        fits = isinstance(value, (int, float) if value_kind is float else value_kind)
        fits = fits and isinstance(value, bool) == (value_kind is bool)
        if name in entry or value is None:
            fits = fits and (low is None or value >= low) and (name != "init" or value in INITS)
            if not fits:
                expected = f"one of {', '.join(INITS)}" if name == "init" else value_kind.__name__ + (
                    f" of at least {low}" if low is not None else "")
                raise InputError(f"network: layer {index} ({kind}): {name} is {value!r}; expected {expected}")
        properties[name] = value
    return kind, properties


def _shape_out(index, kind, properties, shape):
    if kind in ("conv2d", "max_pool2d", "reduce_mean", "flatten") and len(shape) == 1:
        raise InputError(f"network: layer {index} ({kind}) is given {shape[0]} numbers an image; expected an image "
                         f"(channels, height, width)")
    if kind == "linear":
        if len(shape) != 1:
            raise InputError(f"network: layer {index} (linear) is given images of shape {shape}; expected reduce_mean "
                             f"or flatten before it")
        return (properties["units"],)
    if kind in ("conv2d", "max_pool2d"):
        window = Window(properties["kernel"], properties["stride"], properties.get("padding", 0))
        out = window.slide(Grid(1, *shape[1:]))
        if out.height < 1 or out.width < 1:
            raise InputError(f"network: layer {index} ({kind}): a window of {window.kernel}, padding {window.padding}, "
                             f"does not fit into an image of {shape[1]} x {shape[2]}")
        return (properties.get("filters", shape[0]), out.height, out.width)
    if kind == "reduce_mean":
        return (shape[0],)
    return (math.prod(shape),) if kind == "flatten" else shape
