"""Checkpoints on their way to the disk: written whole, refused after divergence, the old ones removed."""
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from mindspore import Parameter, nn

from mindspore_maml.cli.atomic_files import replacing
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.run_options import Options
from mindspore_maml.training import checkpoint_file
from mindspore_maml.training.checkpoint import FILE_NAME, LARGEST, LARGEST_STATE, numbered, optimizer_state


class DivergedError(InputError):
    """The training has gone wrong for good: nothing of it is worth keeping."""


def save(folder: Path, epoch: int, *, net: nn.Cell, optimizer: nn.Cell, options: Options,
         episodes: dict, run: str | None, more: Iterable[Parameter] = (), name: str = FILE_NAME) -> Path:
    """Write `maml-<epoch>_1.ckpt`, or another `name`, whole or not at all.

    Parameters
    ----------
    folder : Path
        Where to.
    epoch : int
        Epochs done.
    net : Cell
        Its parameters are the weights.
    optimizer : Cell
        Its state is kept for a run that goes on from here.
    options : Options
        All options of the run.
    episodes : dict
        `OmniglotIter.state` after `epoch` batches.
    run : str or None
        The run's id, where it has one.
    more : sequence of Parameter
        What the run needs besides to go on from here.
    name : str
        The file's name; `{}` in it stands for the epoch.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DivergedError
        Where a weight is no finite number, or a huge one: no file is better than that one.
    InputError
        Where the file cannot be written.
    """
    path = Path(folder) / name.format(epoch)
    weights, state = list(net.get_parameters()), [*optimizer_state(optimizer), *more]
    tensors = {parameter.name: parameter.asnumpy() for parameter in weights + state}
    _refuse_diverged(tensors, len(weights), epoch, path)
    plain = {name: value for name, value in vars(options).items() if name != "given"}
    write(path, tensors, epoch, plain, episodes, run)
    return path


def write(path: Path, tensors: dict[str, np.ndarray], epoch: int, options: dict, episodes: dict | None,
          run: str | None = None) -> None:
    """Write a checkpoint file, whole or not at all.

    Parameters
    ----------
    path : Path
        The file.
    tensors : dict of ndarray
        By name.
    epoch : int
    options : dict
    episodes : dict or None
    run : str or None
        As `Checkpoint` holds them.

    Raises
    ------
    InputError
        Where the file cannot be written.
    """
    notes: dict[str, np.ndarray | str] = {
        "epoch": np.array(epoch, np.int64), "episodes": json.dumps(episodes), "options": json.dumps(options)}
    notes |= {"run": run} if run else {}
    try:
        with replacing(path) as temporary:
            checkpoint_file.write(temporary, {**tensors, **notes})
    except OSError as error:
        raise InputError(f"--output_dir {path.parent}: cannot write {path.name} ({error})") from error


def _refuse_diverged(tensors, weights, epoch, path):
    """Refuse tensors of which one is no number or too large; the first `weights` are of the network."""
    bounds = [LARGEST] * weights + [LARGEST_STATE] * (len(tensors) - weights)
    for (name, value), bound in zip(tensors.items(), bounds):
        reached = np.abs(value).max(initial=0)
        if not reached <= bound:   # it may be no number
            raise DivergedError(f"epoch {epoch}: {name} has reached {reached:g}, so the training has diverged; "
                                f"{path.name} is not written")


def last_good(folder: Path) -> str:
    """What to do after a training in `folder` has diverged, in words."""
    advice = "with a smaller --meta_lr or --update_lr, or with --clip_norm"
    epochs = numbered(folder)
    if not epochs:
        return f"no checkpoint was saved before; start again {advice}"
    return f"the last good checkpoint is {epochs[max(epochs)]}: --ckpt goes on from it, {advice}"


def prune(folder: Path, keep: int) -> None:
    """Remove all but the `keep` newest of a folder's numbered checkpoints; 0: none is removed."""
    epochs = numbered(folder)
    for epoch in sorted(epochs)[:-keep] if keep else ():
        epochs[epoch].unlink(missing_ok=True)
