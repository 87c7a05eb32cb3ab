"""The command line of every program: defaults, then the preset, then the flags given by hand."""
import argparse
from collections.abc import Sequence
from typing import Any, overload

from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import BY_NAME, OPERANDS, REQUIRED, RUNNING, TRAIN, Option, options_of
from mindspore_maml.cli.presets import PRESET_FOLDER, read_preset
from mindspore_maml.cli.run_options import Options

PLAIN = "maml"   # the preset that is the options' own defaults and a network they fit


@overload
def parse(program: str, description: str, arguments: Sequence[str] | None = ...) -> Options: ...


@overload   # no type knows the extra ones
def parse(program: str, description: str, arguments: Sequence[str] | None = ..., *, extra: Sequence[Option]) -> Any: ...


def parse(program: str, description: str, arguments: Sequence[str] | None = None,
          extra: Sequence[Option] = ()) -> Any:
    """The options of one run: defaults, then the preset, then what the command line says.

    Parameters
    ----------
    program : str
        Whose options: a name that `Option.programs` holds, such as `TRAIN`; any other takes `extra` alone.
    description : str
        The first lines of `--help`.
    arguments : list of str, optional
        The command line without the program's name; by default the process's own.
    extra : sequence of Option
        Options of this one program alone (a benchmark's repeats).

    Returns
    -------
    Options
        Every option by name; `given`, the names given by hand; where the program learns, `network` too; where it
        takes `OPERANDS`, these as `operands`, a list of str.

    Raises
    ------
    InputError
        On a value outside its range or an unknown key in a preset.
    """
    options = options_of(program) + list(extra)
    typed = vars(_parser(program, description, options).parse_args(arguments))
    operand = OPERANDS.get(program)
    operands = {"operands": [operand.convert(text, operand.name) for text in typed.pop("operands")]} if operand else {}
    by_name = {option.name: option for option in options}
    given = {name: by_name[name].convert(value, f"--{name}") for name, value in typed.items() if value is not None}
    values = starting_values(program, options, given) | given
    missing = [name for name, value in values.items() if value is REQUIRED]
    if missing:
        raise InputError(f"--{missing[0]} is missing; expected {by_name[missing[0]].help}")
    return Options(**values, **operands, given=frozenset(given))


def options_of_call(program: str, given: dict) -> Options:
    """The options of a call from Python: defaults, then the preset, then those `given` by name.

    Raises
    ------
    InputError
        As `parse` does, but not where a required one is missing.
    """
    given = {name: BY_NAME[name].convert(value, name) for name, value in given.items()}
    return Options(**starting_values(program, options_of(program), given) | given, given=frozenset(given))


def as_arguments(flags: dict[str, Any]) -> list[str]:
    """The command line that gives these flags, as `parse` takes it."""
    arguments = []
    for name, value in flags.items():
        if isinstance(value, bool):
            arguments.append(f"--{name}" if value else f"--no_{name}")
        else:
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            arguments += [f"--{name}={text}"] if text.startswith("-") else [f"--{name}", text]
    return arguments


def starting_values(program: str, options: list[Option], given: dict) -> dict:
    """What a run starts from before `given`, the options given by hand: the defaults, then the preset."""
    values = {option.name: option.default_for(program) for option in options}
    if "preset" in values:
        known = {option.name for option in options} | {"network"}
        preset = read_preset(given.get("preset", values["preset"]))
        values.update({name: value for name, value in preset.items() if name in known})
        if "network" not in values:   # a preset of the user's own may list none
            values["network"] = read_preset(PLAIN)["network"]
    return values


def _parser(program, description, options):
    parser = _OneLineParser(description=description, allow_abbrev=False,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    if program in RUNNING:
        parser.add_argument("--list_presets", "--list-presets", action=_ListPresets, nargs=0,
                            help="print a table of the presets, and end")
    if program in OPERANDS:
        parser.add_argument("operands", nargs="+", metavar=OPERANDS[program].name, help=OPERANDS[program].help)
    for option in options:
        names = list(dict.fromkeys((f"--{option.name}", f"--{option.name.replace('_', '-')}")))
        default = option.default_for(program)
        text = option.help.replace("%", "%%")
        text += f"; or {option.also[1]}" if option.also else ""
        text += "" if default in (REQUIRED, "") else f" (default {default})"
        if option.kind is bool:
            parser.add_argument(*names, dest=option.name, action="store_true", default=None, help=text)
            negative = dict.fromkeys(("--no_" + option.name, "--no-" + option.name.replace("_", "-")))
            parser.add_argument(*negative, dest=option.name, action="store_false", help=argparse.SUPPRESS)
        else:
            metavar = "{" + ",".join(map(str, option.choices)) + "}" if option.choices else option.name.upper()
            several: dict[str, Any] = {"action": "extend", "nargs": "+"} if option.kind is tuple else {}
            parser.add_argument(*names, dest=option.name, metavar=metavar, help=text, **several)
    return parser


class _ListPresets(argparse.Action):
    """Print a table of the presets, and end the program."""

    def __call__(self, parser, namespace, values, option_string=None):
        columns = ("order", "n_way", "k_spt", "task_num", "update_step", "update_lr", "meta_lr")
        print(f"{'preset':14}" + "".join(f"{name:>12}" for name in columns) + "  description")
        for path in sorted(PRESET_FOLDER.glob("*.yaml")):
            preset = read_preset(path)
            values = [preset.get(name, BY_NAME[name].default_for(TRAIN)) for name in columns]
            print(f"{path.stem:14}" + "".join(f"{value!s:>12}" for value in values) + f"  {preset['description']}")
        parser.exit()


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message):
        raise InputError(f"{message} (--help lists the flags)")
