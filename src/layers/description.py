"""The language in which a preset describes a network: a list of layers, checked layer by layer."""

from mindspore_maml.cli.errors import InputError
from mindspore_maml.layers.registry import find_kind
from mindspore_maml.layers.spec import N_WAY, Spec


def describe(layers: list, imgc: int, imgsz: int, n_way: int) -> list[Spec]:
    """Check a list of layers against the images' size; return its `Spec`s.

    Raises
    ------
    InputError
        Naming the layer (its index and kind) that does not fit, what was found and what was expected.
    """
    specs = _describe_list(layers, "network", (), (imgc, imgsz, imgsz), n_way)
    last = specs[-1]
    if "weight" not in last.parameters or last.shape_out != (n_way,):
        raise last.error(f" makes {last.shape_out}; expected the last layer to be linear with n_way = {n_way} units")
    return specs


def _describe_list(layers, origin, place, shape, n_way):
    if not isinstance(layers, list) or not layers:
        raise InputError(f"{origin} is {layers!r}; expected a list of layers such as {{layer: conv2d, filters: 64}}")
    specs = []
    for index, entry in enumerate(layers):
        spec = _describe_entry(entry, (*place, index), shape, n_way)
        specs.append(spec)
        shape = spec.shape_out
    return specs


def _describe_entry(entry, place, shape, n_way):
    name = ".".join(map(str, place))
    if not isinstance(entry, dict) or not isinstance(entry.get("layer"), str):
        raise InputError(f"network: layer {name} is {entry!r}; expected a mapping such as {{layer: relu}}")
    try:
        layer = find_kind(entry["layer"])
    except InputError as error:
        raise InputError(f"network: layer {name} is {entry['layer']!r}: {error}") from error
    spec = Spec(layer, entry["layer"], place, {}, shape)
    if ("vector" if spec.is_flat else "image") not in layer.takes:
        raise spec.error(f" is given {_in_words(shape)}")
    spec = Spec(layer, entry["layer"], place, _properties(spec, entry, n_way), shape)
    for kind, size in spec.parameters.items():
        if not all(part.isidentifier() or part.isdecimal() for part in kind.split(".")) or len(size) not in (1, 2, 4):
            raise spec.error(f" has a parameter {kind!r} {size}; expected a name such as weight or weight_shift, and "
                             f"[channel], [out, in] or [out, in, k, k]")
    return spec


def _in_words(shape):
    if len(shape) == 1:
        return f"{shape[0]} numbers an image; expected an image (channels, height, width)"
    return f"images of shape {shape}; expected reduce_mean or flatten before it"


def _properties(spec, entry, n_way):
    """The properties of an entry with their defaults, checked."""
    known = spec.layer.properties
    unknown = sorted(str(name) for name in set(entry) - set(known) - {"layer"})
    if unknown:
        raise spec.error(f": unknown property {unknown[0]}; expected {', '.join(known) or 'none'}")
    properties = {}
    for name, prop in known.items():
        value = entry.get(name, n_way if prop.default == N_WAY else prop.default)
        if not prop.fits(value):
            raise spec.error(f": {name} is {value!r}; expected {prop.expected}")
        if prop.kind is list:
            value = _describe_list(value, f"network: layer {spec.name} ({spec.kind}): {name}", spec.place,
                                   spec.shape_in, n_way)
        properties[name] = value
    return properties
