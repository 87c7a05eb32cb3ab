"""Every option of every program, defined once: name, default, help, valid range and who takes it.

Presets (`config/<name>.yaml`), command lines, the README's tables and all checks come from `OPTIONS`.
An option given by hand wins over the preset, the preset over the default; `eval.py` takes what shapes
the network from the checkpoint.
"""
import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import yaml

from src.errors import InputError

PRESET_FOLDER = Path(__file__).resolve().parent.parent / "config"
TRAIN, EVAL, DATA, BENCH, PLOT = "train", "eval", "preprocess", "bench", "plot"
LEARNING = (TRAIN, EVAL, BENCH)   # programs that build the network and its episodes
REQUIRED = "required"
OPERANDS = {PLOT: ("RUN", "folder of a training")}   # what a program takes without a flag, one or more: name and help


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes
    ----------
    default : object or dict
        The default; a dict gives each program its own. `REQUIRED` where there is none.
    kind : type
        int, float, str, bool, or list (numbers separated by commas).
    low, high : float
        The valid range, both ends included.
    stored : bool
        Whether the value belongs to the trained model: it travels in the checkpoint.
    several : bool
        Whether a value may be several of the `choices`, separated by commas.
    """

    name: str
    default: object
    help: str
    kind: type = str
    programs: tuple = LEARNING
    choices: tuple = ()
    low: float = -math.inf
    high: float = math.inf
    stored: bool = False
    several: bool = False

    def default_for(self, program):
        """The default that `program` starts from."""
        return self.default.get(program) if isinstance(self.default, dict) else self.default

    @property
    def expected(self):
        """What a valid value is, in words."""
        if self.choices:
            return ("some of " if self.several else "one of ") + ", ".join(map(str, self.choices))
        words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text",
                 list: "whole numbers separated by commas"}[self.kind]
        if self.low > -math.inf and self.high < math.inf:
            return f"{words} from {self.low:g} to {self.high:g}"
        return f"{words} of at least {self.low:g}" if self.low > -math.inf else words

    def convert(self, value, origin):
        """`value` (a text, or what YAML made of it) as this option's kind, checked against its range.

        Raises
        ------
        InputError
            Naming `origin` (the flag, or the file and key), the value and what was expected.
        """
        try:
            converted = _CONVERTERS[self.kind](value)
        except (TypeError, ValueError, OverflowError):
            converted = None
        if converted is None or not self._in_range(converted):
            raise InputError(f"{origin} is {value!r}; expected {self.expected}")
        return converted

    def _in_range(self, value):
        if self.choices:
            return all(part in self.choices for part in (value.split(",") if self.several else [value]))
        numbers = value if self.kind is list else [value] if self.kind in (int, float) else []
        return all(self.low <= number <= self.high for number in numbers)


def _to_int(value):
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        return None
    return int(value)


def _to_float(value):
    return None if isinstance(value, bool) or not math.isfinite(float(value)) else float(value)


def _to_bool(value):
    return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())


def _to_str(value):
    return None if isinstance(value, (list, dict)) or value is None else str(value)


def _to_list(value):
    parts = value if isinstance(value, (list, tuple)) else [part for part in str(value).split(",") if part.strip()]
    return [int(part) for part in parts]


_CONVERTERS = {int: _to_int, float: _to_float, bool: _to_bool, str: _to_str, list: _to_list}

SEED_HIGH = 2**32 - 1
OPTIONS = (
    # What runs where
    Option("preset", "maml", "name of a preset in config/, or a path to your own YAML file"),
    Option("device_target", "auto", "auto: an Ascend or GPU that MindSpore sees, else the CPU",
           choices=("auto", "CPU", "GPU", "Ascend")),
    Option("device_id", 0, "which of several devices", int, low=0),
    Option("mode", "graph", "compiled graphs, or operation by operation", choices=("graph", "pynative")),
    Option("workers", 0, "processes that share a batch's tasks, on the CPU; 0: one a core, with at least 2 tasks each",
           int, low=0),
    Option("seed", 1, "seed of weights and episodes", int, low=0, high=SEED_HIGH),
    # The data set
    Option("data_path", REQUIRED, "folder that holds omniglot.npy, the image folders or raw/*.zip (also in omniglot/)",
           programs=(TRAIN, EVAL, DATA)),
    Option("imgsz", 28, "height and width of an image, in pixels", int, (TRAIN, EVAL, DATA, BENCH), low=4, high=512,
           stored=True),
    Option("imgc", 1, "channels of an image: 1 grey, 3 colour", int, (TRAIN, EVAL, DATA, BENCH), choices=(1, 3),
           stored=True),
    Option("n_train_classes", 0, "characters to train on, the others test; 0: 1200, or that proportion", int,
           (TRAIN, EVAL), low=0, stored=True),
    Option("split", "sorted", "which characters train: the first ones, or a seeded random choice",
           programs=(TRAIN, EVAL), choices=("sorted", "shuffled"), stored=True),
    Option("split_seed", 0, "seed of the shuffled split", int, (TRAIN, EVAL), low=0, high=SEED_HIGH, stored=True),
    # Episodes
    Option("n_way", 5, "classes in a task", int, low=2, high=1000, stored=True),
    Option("k_spt", 1, "support images a class", int, low=1, high=1000, stored=True),
    Option("k_qry", {TRAIN: 5, EVAL: 15, BENCH: 5}, "query images a class", int, low=1, high=1000),
    Option("task_num", 32, "tasks in a batch", int, low=1, high=4096),
    Option("rotate", {TRAIN: True, EVAL: False}, "rotate each class by a random multiple of 90 degrees", bool,
           (TRAIN, EVAL)),
    # Inner loop
    Option("update_step", 1, "inner steps on the support set, in training", int, low=0, high=1000, stored=True),
    Option("update_step_test", 3, "inner steps on the support set, in evaluation", int, (TRAIN, EVAL, BENCH), low=0,
           high=1000, stored=True),
    Option("update_lr", 1.0, "inner learning rate, for the mean cross-entropy over the support set", float, low=0,
           stored=True),
    Option("adapt", "weight,bias,gamma,beta", "kinds of parameters the inner loop adapts, separated by commas",
           choices=("weight", "bias", "gamma", "beta"), several=True, stored=True),
    Option("order", "second", "meta-gradient through the inner gradients, or not",
           programs=(TRAIN,), choices=("first", "second")),
    Option("first_order_epochs", 0, "epochs of first order before those of second order", int, (TRAIN, BENCH), low=0),
    Option("learned_steps", False, "MAML++: learn inner rates and shifts of the betas for each inner step", bool,
           stored=True),
    Option("multi_step_epochs", 0, "with learned_steps: epochs until only the last step's query loss counts", int,
           (TRAIN, BENCH), low=0),
    Option("label_smoothing", 0.0, "share of the target probability spread over all classes", float, low=0, high=1,
           stored=True),
    Option("ink", 1.0, "value of ink in the images the network sees", float, (TRAIN, EVAL), low=0, high=255,
           stored=True),
    Option("paper", 0.0, "value of paper in the images the network sees", float, (TRAIN, EVAL), low=0, high=255,
           stored=True),
    # Outer loop
    Option("epoch", 20000, "meta-steps to train", int, (TRAIN,), low=1),
    Option("meta_lr", 3e-3, "outer (Adam) learning rate", float, (TRAIN,), low=0),
    Option("meta_loss", "mean", "how the tasks' query losses make one loss", programs=(TRAIN, BENCH),
           choices=("mean", "sum")),
    Option("optimizer", "Adam", "outer optimizer; AdamWeightDecay: MindSpore's, Adam without bias correction",
           programs=(TRAIN,), choices=("Adam", "AdamWeightDecay")),
    Option("weight_decay", 0.0, "decoupled weight decay of the outer optimizer", float, (TRAIN,), low=0),
    Option("lr_scheduler", "constant", "how meta_lr changes over the epochs", programs=(TRAIN,),
           choices=("constant", "step", "cosine")),
    Option("lr_milestones", "", "epochs at which the step scheduler multiplies meta_lr by lr_scheduler_gamma; "
           "empty: after each quarter of the run", list, (TRAIN,), low=1),
    Option("lr_scheduler_gamma", 0.5, "factor of the step scheduler", float, (TRAIN,), low=0, high=1),
    # Input and output
    Option("ckpt", "", "checkpoint to start from (training) or to evaluate: a file, or a folder of them",
           programs=(TRAIN, EVAL)),
    Option("output_dir", "./ckpt_outputs", "folder for checkpoints, metrics.jsonl and maml-accs.png",
           programs=(TRAIN,)),
    Option("save_every", 1000, "epochs between checkpoints", int, (TRAIN,), low=1),
    Option("log_every", 10, "epochs between log lines and metrics", int, (TRAIN,), low=1),
    Option("display_epoch", 0, "tasks in an epoch of the lines that the higher example prints; 0: no such lines", int,
           (TRAIN,), low=0),
    Option("per_step", False, "measure accuracy and loss after every inner step, and before the first", bool,
           (TRAIN, EVAL)),
    Option("eval_every", 0, "epochs between test passes; what they show on test characters is reported, and nothing is "
           "ever chosen by it; 0: none", int, (TRAIN,), low=0),
    Option("eval_batches", 10, "batches of tasks in a test pass, the same ones each time", int, (TRAIN,), low=1),
    Option("val_classes", 0, "training characters held out, for the passes of eval_every to be on these instead; the "
           "best epoch on them is kept as maml-best.ckpt", int, (TRAIN,), low=0),
    Option("profile", False, "first write the kernel table of one step to kernels.csv in output_dir", bool, (TRAIN,)),
    Option("test_batches", 30, "batches of test tasks", int, (EVAL,), low=1),
    Option("out", "accuracies.png", "file for the picture; its suffix says in which format", programs=(PLOT,)),
    Option("json", "", "file for the results as JSON; -: standard output", programs=(EVAL, BENCH)),
    # Preparing the data
    Option("download", False, "fetch the two official archives into raw/ where no data is found", bool, (DATA,)),
    Option("url", "https://github.com/brendenlake/omniglot/raw/master/python", "where --download finds the archives",
           programs=(DATA,)),
    Option("glyphs", False, "draw the built-in glyph data into processed/ first", bool, (DATA,)),
    Option("random", False, "write random bytes in Omniglot's shape, for trying the programs without data", bool,
           (DATA,)),
    Option("data_seed", 1, "seed of --glyphs and --random", int, (DATA,), low=0, high=SEED_HIGH),
)
BY_NAME = {option.name: option for option in OPTIONS}


def options_of(program):
    """The options `program` takes, in the order of `OPTIONS`."""
    return [option for option in OPTIONS if program in option.programs]


def parse(program, description, arguments=None, extra=()):
    """The options of one run: defaults, then the preset, then what the command line says.

    Parameters
    ----------
    program : str
        One of `TRAIN`, `EVAL`, `DATA`, `BENCH`, `PLOT`.
    description : str
        The first lines of `--help`.
    arguments : list of str, optional
        The command line without the program's name; by default the process's own.
    extra : sequence of Option
        Options of this one program alone (a benchmark's repeats).

    Returns
    -------
    argparse.Namespace
        Every option by name; `given`, the names given by hand; where the program learns, `network` too; where it
        takes `OPERANDS`, these as `operands`, a list of str.

    Raises
    ------
    InputError
        On a value outside its range or an unknown key in a preset.
    """
    options = options_of(program) + list(extra)
    typed = vars(_parser(program, description, options).parse_args(arguments))
    operands = {"operands": typed.pop("operands")} if program in OPERANDS else {}
    by_name = {option.name: option for option in options}
    given = {name: by_name[name].convert(value, f"--{name}") for name, value in typed.items() if value is not None}
    values = _starting_values(program, options, given) | given
    missing = [name for name, value in values.items() if value is REQUIRED]
    if missing:
        raise InputError(f"--{missing[0]} is missing; expected {by_name[missing[0]].help}")
    return argparse.Namespace(**values, **operands, given=frozenset(given))


def _starting_values(program, options, given):
    """What a run starts from before `given`, the options given by hand: the defaults, then the preset."""
    values = {option.name: option.default_for(program) for option in options}
    if "preset" in values:
        default = read_preset(values["preset"])
        values["network"] = default["network"]   # for a preset of the user's own that lists none
        values.update(_for_program(read_preset(given["preset"]) if "preset" in given else default, options))
    return values


def _parser(program, description, options):
    parser = _OneLineParser(description=description, allow_abbrev=False,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    if program in LEARNING:
        parser.add_argument("--list_presets", "--list-presets", action=_ListPresets, nargs=0,
                            help="print a table of the presets, and end")
    if program in OPERANDS:
        name, text = OPERANDS[program]
        parser.add_argument("operands", nargs="+", metavar=name, help=text)
    for option in options:
        names = list(dict.fromkeys((f"--{option.name}", f"--{option.name.replace('_', '-')}")))
        default = option.default_for(program)
        text = option.help.replace("%", "%%")
        text += "" if default in (REQUIRED, "") else f" (default {default})"
        if option.kind is bool:
            parser.add_argument(*names, dest=option.name, action="store_true", default=None, help=text)
            negative = dict.fromkeys(("--no_" + option.name, "--no-" + option.name.replace("_", "-")))
            parser.add_argument(*negative, dest=option.name, action="store_false", help=argparse.SUPPRESS)
        else:
            metavar = "{" + ",".join(map(str, option.choices)) + "}" if option.choices else option.name.upper()
            parser.add_argument(*names, dest=option.name, metavar=metavar, help=text)
    return parser


class _ListPresets(argparse.Action):
    """Print a table of the presets, and end the program."""

    def __call__(self, parser, namespace, values, option_string=None):
        columns = ("order", "n_way", "k_spt", "task_num", "update_step", "update_lr", "meta_lr")
        print(f"{'preset':12}" + "".join(f"{name:>12}" for name in columns) + "  description")
        for path in sorted(PRESET_FOLDER.glob("*.yaml")):
            preset = read_preset(path)
            values = [preset.get(name, BY_NAME[name].default_for(TRAIN)) for name in columns]
            print(f"{path.stem:12}" + "".join(f"{value!s:>12}" for value in values) + f"  {preset['description']}")
        parser.exit()


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message):
        raise InputError(f"{message} (--help lists the flags)")


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


PRESET_ONLY = ("description", "network")


def as_yaml(options):
    """All options of a run as a preset that would give them again, were it not for where it ran."""
    content = {name: value for name, value in vars(options).items() if name != "given"}
    layers = content.pop("network")
    lines = [yaml.safe_dump(layer, default_flow_style=True, sort_keys=False, width=200).strip() for layer in layers]
    return yaml.safe_dump(content, sort_keys=False) + "network:\n" + "".join(f"  - {line}\n" for line in lines)


def _for_program(content, options):
    names = {option.name for option in options} | {"network"}
    return {key: value for key, value in content.items() if key in names}


def markdown_table(program):
    """The README's table of the options of `program`, with the values that a run without flags has."""
    options = options_of(program)
    defaults = _starting_values(program, options, {})
    lines = ["| flag | default | meaning |", "| --- | --- | --- |"]
    for option in options:
        default = defaults[option.name]
        shown = "required" if default is REQUIRED else f"`{default}`" if default not in ("", []) else ""
        choices = f" ({', '.join(map(str, option.choices))})" if option.choices else ""
        lines.append(f"| `--{option.name}` | {shown} | {option.help}{choices} |")
    return "\n".join(lines)
