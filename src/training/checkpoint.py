"""Checkpoints: weights, optimizer state, epoch, episodes and options in MindSpore's own format, read and checked."""
import importlib.resources
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn

from mindspore_maml.cli.errors import InputError, one_line, shown
from mindspore_maml.cli.options import BY_NAME, MOST_NUMBERS, SEED_HIGH
from mindspore_maml.cli.presets import check_values, read_preset
from mindspore_maml.cli.reading import is_file, is_folder, parse_json, parse_yaml, read_text
from mindspore_maml.cli.run_options import Options
from mindspore_maml.training import checkpoint_file
from mindspore_maml.training.run_id import is_run_id

FILE_NAME = "maml-{}_1.ckpt"
LARGEST = 1e4   # magnitude of a weight that is saved or loaded; those of trainings that learn stay far below a hundred
LARGEST_STATE = float(np.finfo(np.float32).max)   # of what an optimizer remembers
CELL_NAME = "cell.yaml"   # in a folder that judges the network of another: that folder, and options in place of its own
BEST_NAME = "maml-best.ckpt"   # of a folder's checkpoints it is taken only where it is named
WEIGHT_PREFIX = "net."   # names under it belong to the network; other names are the optimizer's, or other programs'
# A weight as other programs name it: the ModelZoo's MAML says `meta_optim.outer_netwithloss._backbone.net.0.weight`.
# Not what its inner loop left behind, not an optimizer's moments, not the shifts of MAML++ or the rates of Meta-SGD.
PREFIXED_WEIGHT = re.compile(r"(?!.*(?:inner|adam_|moment|shifts|rates)).*\.(net\.\d+\.(?:weight|bias|gamma|beta))")


@dataclass
class Checkpoint:
    """What a checkpoint file holds.

    Attributes
    ----------
    path : Path
        The file.
    tensors : dict of ndarray
        Weights and optimizer state, by name.
    epoch : int
        Epochs done; 0 for a file of another program.
    options : dict
        Every option of the run that wrote it; empty for a file of another program.
    episodes : dict or None
        State of the `OmniglotIter` after that epoch.
    run : str or None
        The id of the run that wrote it; None for a file of another program, or of before runs had one.
    flag : str
        By which it was named, for errors to say so.
    """

    path: Path
    tensors: dict
    epoch: int = 0
    options: dict = field(default_factory=dict)
    episodes: dict | None = None
    run: str | None = None
    flag: str = "--ckpt"

    def __str__(self) -> str:
        """What is known of it, in words."""
        parts = [f"epoch {self.epoch}" if self.epoch else "no epoch", f"run {self.run or 'without an id'}",
                 f"preset {self.options.get('preset', 'unknown')}"]
        return one_line(f"{self.path} ({', '.join(parts)})")

    def put_into(self, net: nn.Cell) -> None:
        """Give every parameter of `net` its value.

        A gamma of ones may be left over: in a network without it, it is fixed at 1.

        Raises
        ------
        InputError
            Naming the parameters that are missing, left over, or (the first) of another shape, or no weights.
        """
        parameters = {parameter.name: parameter for parameter in net.get_parameters()}
        self.refuse_lacking({name: parameter.shape for name, parameter in parameters.items()})
        left_over = [f"{name} {value.shape}" for name, value in self.tensors.items()
                     if name.startswith(WEIGHT_PREFIX) and name not in parameters and not _is_fixed_gamma(name, value)]
        if left_over:
            raise InputError(f"{self.flag} {self.path}: holds {', '.join(left_over)}, which this network does not "
                             f"have; expected only {_shorten(', '.join(parameters))}, and gammas of 1")
        self._fill(parameters.values(), LARGEST)

    def refuse_lacking(self, shapes: Mapping[str, tuple]) -> None:
        """Refuse a checkpoint that does not hold what a network of these shapes by name needs.

        Raises
        ------
        InputError
            Naming the parameters that are missing or (the first) of another shape.
        """
        missing = [f"{name} {shape}" for name, shape in shapes.items() if name not in self.tensors]
        if missing:
            raise InputError(f"{self.flag} {self.path}: does not hold {_shorten(', '.join(missing))}, which this "
                             f"network needs; it holds {_shorten(', '.join(self.tensors) or 'no weights')}")
        for name, shape in shapes.items():
            self._refuse_other_shape(name, shape)

    def resume(self, optimizer: nn.Cell) -> int:
        """Give `optimizer` its state back; return the number of epochs done.

        That is 0, and `optimizer` stays as it is, where the file holds weights only.
        """
        state = optimizer_state(optimizer)
        if self.episodes is None or any(parameter.name not in self.tensors for parameter in state):
            return 0
        self._fill(state, LARGEST_STATE)
        return self.epoch

    def fitting(self, name: str, like: Parameter, largest: float = LARGEST) -> np.ndarray:
        """The value called `name`, for a parameter like `like`.

        Raises
        ------
        InputError
            Where it is of another shape or kind, no finite number, or of a magnitude beyond `largest`.
        """
        value = self.tensors[name]
        self._refuse_other_shape(name, like.shape)
        wanted = like.asnumpy().dtype
        if (value.dtype.kind == "f") != (wanted.kind == "f"):
            raise InputError(f"{self.flag} {self.path}: {name} is of type {value.dtype}; expected {wanted}")
        reached = np.maximum(float(value.max(initial=0)), -float(value.min(initial=0)))
        if not reached <= largest:   # it may be no number
            raise InputError(f"{self.flag} {self.path}: {name} holds {reached:g}; expected finite numbers"
                             f"{f' of at most {largest:g}' if largest == LARGEST else ''}")
        return value.astype(wanted, copy=False)

    def completed(self, options: Options, names: Iterable[str]) -> Options:
        """The options with those of `names` as they were here that were given neither by hand nor by a preset so given.

        Raises
        ------
        InputError
            Where the file holds a value outside its option's range.
        """
        by_hand = given_by_hand(options)
        wanted = {name: self.options[name] for name in names if name in self.options and name not in by_hand}
        return options.but(**check_values(wanted, f"{self.flag} {self.path}"))

    def _fill(self, parameters, largest):
        """Give each of the parameters its value once all are checked."""
        values = [(parameter, self.fitting(parameter.name, parameter, largest)) for parameter in parameters]
        for parameter, value in values:
            parameter.set_data(ms.Tensor(value))

    def _refuse_other_shape(self, name, shape):
        if self.tensors[name].shape != shape:
            raise InputError(f"{self.flag} {self.path}: {name} has shape {self.tensors[name].shape}; expected {shape} "
                             f"(see --n_way and the preset's network)")


def given_by_hand(options: Options) -> set[str]:
    """The names of the options that were given by hand, or by a preset named by hand."""
    by_hand = set(options.given)
    if "preset" in by_hand:
        by_hand |= read_preset(options.preset).keys()
    return by_hand


def optimizer_state(optimizer: nn.Cell) -> list[Parameter]:
    """What `optimizer` remembers from step to step: neither the weights it trains nor the learning rates."""
    trained = {parameter.name for parameter in optimizer.parameters}
    return [parameter for parameter in optimizer.get_parameters()
            if parameter.name not in trained and parameter.name != "learning_rate"]


def numbered(folder: str | Path) -> dict[int, Path]:
    """The checkpoints `maml-<epoch>_1.ckpt` of a folder, by epoch."""
    # As `save` writes a number: `maml-01_1.ckpt` would be taken for a file `maml-1_1.ckpt`, which there is not.
    pattern = re.compile(FILE_NAME.replace(".", r"\.").format(r"([1-9][0-9]{0,8}|0)"))
    found = ((pattern.fullmatch(entry.name), entry) for entry in Path(folder).iterdir())
    return {int(match[1]): entry for match, entry in found if match}


def load(path: str | Path, flag: str = "--ckpt") -> Checkpoint:
    """Read a checkpoint: a file, or the one that `find` takes of a folder.

    Raises
    ------
    InputError
        Where there is none, or it is damaged, or it holds two values for one weight.
    """
    path = find(path, flag)
    if path.name == CELL_NAME:
        return _load_cell(path, flag)
    values = checkpoint_file.read(path, f"{flag} {path}")
    notes = {name: values.pop(name, None) for name in ("epoch", "episodes", "options", "run")}
    tensors = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    return Checkpoint(path, _named_as_here(tensors, path, flag), flag=flag, **_read_notes(notes, f"{flag} {path}"))


def _load_cell(path, flag):
    """The checkpoint that a cell's file names, with the cell's options in place of its own."""
    cell = parse_yaml(read_text(path, f"{flag} {path}"), f"{flag} {path}")
    if not isinstance(cell, dict) or not isinstance(cell.get("network"), str):
        raise InputError(f"{flag} {path}: {shown(cell)}; expected network, a folder beside this one, and options")
    network = find(path.parent / cell.pop("network"), flag)
    if network.name == CELL_NAME:
        raise InputError(f"{flag} {path}: its network {network.parent} is a cell too; expected a folder with a "
                         f"checkpoint in it")
    loaded = load(network, flag)
    return replace(loaded, options=loaded.options | check_values(cell, f"{flag} {path}"))


def _read_notes(notes, origin):
    """The notes beside the weights, checked: epoch, options, episodes and run, as `Checkpoint` has them."""
    epoch = 0 if notes["epoch"] is None else _as_number(notes["epoch"])
    highest = BY_NAME["epoch"].highest
    if epoch is None or not 0 <= epoch <= highest:
        raise InputError(f"{origin}: its epoch is {shown(notes['epoch'])}; expected a whole number from 0 to "
                         f"{highest}")
    options = _read_note(notes["options"], f"{origin}: its options") or {}
    if not isinstance(options, dict):
        raise InputError(f"{origin}: its options are {shown(options)}; expected a mapping by name")
    episodes = _read_note(notes["episodes"], f"{origin}: its episodes")
    if episodes is not None and not _is_state(episodes):
        raise InputError(f"{origin}: its episodes are {shown(episodes)}; expected 'seed' and 'drawn', whole numbers")
    run = notes["run"]
    if run is not None and not is_run_id(run):
        raise InputError(f"{origin}: its run is {shown(run)}; expected an id such as 20260131-120000-abcdef")
    return {"epoch": epoch, "options": _under_new_names(options), "episodes": episodes, "run": run}


def _as_number(value):
    """An array of one whole number as an int; None for anything else."""
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else None
    return int(value) if isinstance(value, (int, float)) and value == value // 1 else None   # also where not a number


def _read_note(text, origin):
    if text is not None and not isinstance(text, str):
        raise InputError(f"{origin} are an array; expected a text")
    return parse_json(text, origin) if text else None


def _is_state(episodes):
    """Whether `episodes` is a state that an `OmniglotIter` takes."""
    if not isinstance(episodes, dict) or not {"seed", "drawn"} <= set(episodes):
        return False
    seed = episodes["seed"]
    numbers = [*(seed if isinstance(seed, list) else [seed]), episodes["drawn"]]
    return len(numbers) <= MOST_NUMBERS and all(type(number) is int and 0 <= number <= SEED_HIGH for number in numbers)


def _under_new_names(options):
    """A checkpoint's options by the names of today."""
    if "learned_steps" in options:
        options.setdefault("algorithm", "maml++" if options.pop("learned_steps") else "maml")
    if options.get("imgc") == 3:   # before drawings were fitted, what was in colour stayed as it was
        options.setdefault("images", "photographs")
    return options


def published() -> Path:
    """The folder of the published network that comes with the package."""
    return Path(str(importlib.resources.files("mindspore_maml") / "published"))


def find(path: str | Path, flag: str = "--ckpt") -> Path:
    """The checkpoint file that `path` means: itself, or of a folder the one of the highest epoch, or its `CELL_NAME`.

    Raises
    ------
    InputError
        Where `path` is neither a file nor a folder with a `maml-<epoch>_1.ckpt` or a cell in it.
    """
    path = Path(path)
    if is_file(path):
        return path
    if not is_folder(path):
        raise InputError(f"{flag} {path}: no such file or folder; expected a checkpoint, or a folder of them")
    try:
        epochs = numbered(path)
    except OSError as error:
        raise InputError(f"{flag} {path}: this folder is not readable ({error.strerror}); expected checkpoints in "
                         f"it") from error
    if not epochs and is_file(path / CELL_NAME):
        return path / CELL_NAME
    if not epochs:
        raise InputError(f"{flag} {path}: this folder holds no {FILE_NAME.format('<epoch>')}; "
                         f"expected at least one (omniglot_train.py writes them)")
    return epochs[max(epochs)]


def _named_as_here(tensors, path, flag):
    """`tensors` with the weights of other programs under the names this one gives them.

    Raises
    ------
    InputError
        Naming the tensors that would get the same name and differ.
    """
    origins: dict[str, str] = {}
    clashes = []
    for name, value in tensors.items():
        match = PREFIXED_WEIGHT.fullmatch(name)
        here = match[1] if match else name
        first = origins.setdefault(here, name)
        if name != first and not _are_same(tensors[first], value):
            clashes.append(f"{first} and {name}")
    if clashes:
        raise InputError(f"{flag} {path}: holds more than one value for the same weight: {', '.join(clashes)}; "
                         f"expected one")
    return {here: tensors[name] for here, name in origins.items()}


def _are_same(first, second):
    """Whether two arrays hold the same bytes; no number is equal to itself where it is none."""
    return (first.dtype, first.shape) == (second.dtype, second.shape) and first.tobytes() == second.tobytes()


def _is_fixed_gamma(name, value):
    return name.endswith(".gamma") and (value == 1).all()


def _shorten(text):
    return text if len(text) <= 200 else text[:200] + " ..."
