"""Presets: the options and the network of a YAML file, in `config/` or of the user's own, checked against `OPTIONS`."""
import importlib.resources
from pathlib import Path

import yaml

from mindspore_maml.cli.errors import InputError, shown
from mindspore_maml.cli.options import BY_NAME, LARGEST
from mindspore_maml.cli.reading import is_file, parse_yaml, read_text
from mindspore_maml.cli.run_options import Options

PRESET_FOLDER = Path(str(importlib.resources.files("mindspore_maml") / "config"))
PRESET_ONLY = ("description", "network")   # what a preset holds beside options
OF_A_RUN = ("run", "history")   # what the config.yaml of a run says of it, and no program takes from a preset
NEVER_KEPT = ("given", "overwrite", "log_file", "seeds", "ranks")   # what is meant for one start only
MOST_LAYERS = 200
LONGEST_DESCRIPTION = 1000   # letters


def read_preset(name: str | Path) -> dict:
    """The options and the network list of a preset: a name in `config/`, or a path to a YAML file.

    Raises
    ------
    InputError
        Where there is no such file, or on an unknown key or a value outside its range.
    """
    path = PRESET_FOLDER / f"{name}.yaml"
    if not is_file(path):
        path = Path(name)
    if not is_file(path):
        known = ", ".join(sorted(preset.stem for preset in PRESET_FOLDER.glob("*.yaml")))
        raise InputError(f"--preset {name}: no such preset or file; expected one of {known}, or a path")
    origin = f"--preset {path}"
    content = parse_yaml(read_text(path, origin), origin)
    if not isinstance(content, dict):
        raise InputError(f"{origin}: expected a mapping of options, found {type(content).__name__}")
    return check_values(content, origin)


def check_values(content: dict, origin: str) -> dict:
    """`content` (options by name, `network` among them) with every value converted and checked.

    Raises
    ------
    InputError
        On an unknown key or a value outside its range; names `origin`.
    """
    unknown = sorted(key if isinstance(key, str) else shown(key) for key in content
                     if key not in (*BY_NAME, *PRESET_ONLY, *OF_A_RUN) or key in NEVER_KEPT)
    if unknown:
        raise InputError(f"{origin}: unknown key {unknown[0]}; expected options (see --help), "
                         f"{' or '.join(PRESET_ONLY)}")
    return {key: _check(key, value, f"{origin}: {key}") for key, value in content.items() if key not in OF_A_RUN}


def _check(key, value, origin):
    if key == "network":
        return check_layers(value, origin)
    if key == "description":
        if not isinstance(value, str) or len(value) > LONGEST_DESCRIPTION:
            raise InputError(f"{origin} is {shown(value)}; expected a text of at most {LONGEST_DESCRIPTION} letters")
        return value
    return BY_NAME[key].convert(value, origin)


def check_layers(layers: object, origin: str) -> list:
    """A list of layers as far as it can be checked without knowing them: mappings of names to plain values.

    Raises
    ------
    InputError
        Where it is something else, or a number in it is larger than any layer's can be.
    """
    if not isinstance(layers, list) or not 0 < len(layers) <= MOST_LAYERS:
        raise InputError(f"{origin} is {shown(layers)}; expected a list of 1 to {MOST_LAYERS} layers such as "
                         f"{{layer: conv2d, filters: 64}}")
    for index, layer in enumerate(layers):
        named = isinstance(layer, dict) and all(isinstance(name, str) for name in layer)
        if not named or not isinstance(layer.get("layer"), str):
            raise InputError(f"{origin}: layer {index} is {shown(layer)}; expected a mapping of properties by name, "
                             f"'layer' among them")
        for name, value in layer.items():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                check_layers(value, f"{origin}: layer {index}: {name}")   # layers inside a layer
            elif not _is_plain(value):
                raise InputError(f"{origin}: layer {index}: {name} is {shown(value)}; expected a text, true or false, "
                                 f"a number of at most {LARGEST[int]:g}, or a list of these")
    return layers


def _is_plain(value):
    if isinstance(value, list):
        return all(_is_plain(part) for part in value)
    if isinstance(value, (int, float)):
        return abs(value) <= LARGEST[int]   # nor is this so of what is no number
    return value is None or isinstance(value, str)


def as_yaml(options: Options) -> str:
    """All options of a run as a preset that would give them again, were it not for where it ran."""
    content = {name: value for name, value in vars(options).items() if name not in NEVER_KEPT}
    layers = content.pop("network")
    lines = [yaml.safe_dump(layer, default_flow_style=True, sort_keys=False, width=200).strip() for layer in layers]
    return yaml.safe_dump(content, sort_keys=False) + "network:\n" + "".join(f"  - {line}\n" for line in lines)
