"""Presets: the options and the network of a YAML file, in `config/` or of the user's own, checked against `OPTIONS`."""
from pathlib import Path

import yaml

from src.cli.errors import InputError
from src.cli.options import BY_NAME

PRESET_FOLDER = Path(__file__).resolve().parents[2] / "config"
PRESET_ONLY = ("description", "network")   # what a preset holds beside options


def read_preset(name):
    """The options and the network list of a preset: a name in `config/`, or a path to a YAML file.

    Raises
    ------
    InputError
        Where there is no such file, or on an unknown key or a value outside its range.
    """
    path = PRESET_FOLDER / f"{name}.yaml"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        known = ", ".join(sorted(preset.stem for preset in PRESET_FOLDER.glob("*.yaml")))
        raise InputError(f"--preset {name}: no such preset or file; expected one of {known}, or a path")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"--preset {path}: not readable as YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(content, dict):
        raise InputError(f"--preset {path}: expected a mapping of options, found {type(content).__name__}")
    return check_values(content, str(path))


def check_values(content, origin):
    """`content` (options by name, `network` among them) with every value converted and checked.

    Raises
    ------
    InputError
        On an unknown key or a value outside its range; names `origin`.
    """
    unknown = sorted(str(key) for key in content if key not in BY_NAME and key not in PRESET_ONLY)
    if unknown:
        raise InputError(f"{origin}: unknown key {unknown[0]}; expected options (see --help), "
                         f"{' or '.join(PRESET_ONLY)}")
    return {key: value if key in PRESET_ONLY else BY_NAME[key].convert(value, f"{origin}: {key}")
            for key, value in content.items()}


def as_yaml(options):
    """All options of a run as a preset that would give them again, were it not for where it ran."""
    content = {name: value for name, value in vars(options).items() if name != "given"}
    layers = content.pop("network")
    lines = [yaml.safe_dump(layer, default_flow_style=True, sort_keys=False, width=200).strip() for layer in layers]
    return yaml.safe_dump(content, sort_keys=False) + "network:\n" + "".join(f"  - {line}\n" for line in lines)
