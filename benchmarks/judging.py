"""Checkpoints of one training, judged one after the other by the same tasks."""
from collections.abc import Iterator, Mapping
from pathlib import Path

from mindspore_maml.cli.command_line import as_arguments, parse
from mindspore_maml.cli.options import EVAL
from mindspore_maml.devices import device
from mindspore_maml.training import checkpoint, protocols
from mindspore_maml.training.evaluation import evaluate_batches, mean_and_interval
from mindspore_maml.training.from_options import load_split, load_trained, make_episodes, weight_shapes
from mindspore_maml.training.head import with_ways


def judge_checkpoints(paths: Mapping[int, Path], flags: dict, batches: int,
                      held_out: int = 0) -> Iterator[tuple[int, dict]]:
    """The accuracy of every checkpoint, on test characters, or on the last `held_out` of those to train on.

    Parameters
    ----------
    paths : dict
        The checkpoints, by epoch.
    flags : dict
        Of eval.py.
    batches : int
        How many batches of tasks each is judged by.
    held_out : int
        0: test characters.

    Yields
    ------
    epoch : int
    results : dict
        `mean` and `interval_95`.
    """
    meta = None
    for epoch, path in paths.items():
        if meta is None:   # it compiles for the first, and takes the weights of the others
            options = parse(EVAL, "", as_arguments(flags | {"ckpt": path}))
            device.set_up_for(options)
            meta, _, options = load_trained(options)
            learned, test, options = load_split(protocols.applied(options))
            episodes = make_episodes(learned[-held_out:] if held_out else test, options, batches)
        loaded = checkpoint.load(path)
        with_ways(loaded, loaded.options["network"], weight_shapes(options)).put_into(meta)
        accuracies = evaluate_batches(meta, episodes, options.update_step_test)[1][:, -1]
        mean, interval = mean_and_interval(accuracies)
        yield epoch, {"mean": mean, "interval_95": interval}
