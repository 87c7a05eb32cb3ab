"""The validation pass: how well the network does during its training, on characters it does not train on."""
import argparse
from pathlib import Path

import numpy as np

from mindspore_maml.data.class_images import Classes, counts_of
from mindspore_maml.devices.batch_share import Shared
from mindspore_maml.meta import Meta
from mindspore_maml.training import protocols
from mindspore_maml.training.evaluation import by_step, evaluate_batches, mean_and_interval
from mindspore_maml.training.from_options import make_episodes
from mindspore_maml.training.run_log import FILE_NAME, VALIDATION, read_metrics


class ValidationPass:
    """Measures on the same tasks every time, so that the figures compare.

    They are the first that eval.py --protocol strict would draw from these characters with the training's --task_num.
    Nothing that training draws from is touched.

    Parameters
    ----------
    prefix : str
        `TEST`, or `VALIDATION`: then the best epoch counts.
    images : ndarray of uint8, [class, drawing, imgc, imgsz, imgsz], or ClassImages
        The characters.
    options : argparse.Namespace
        Those of the training.
    alphabets : ndarray of int, [class], optional
        Each character's, for --within_alphabet.

    Attributes
    ----------
    best : float
        The highest validation accuracy so far.
    """

    def __init__(self, prefix: str, images: Classes, options: argparse.Namespace,
                 alphabets: np.ndarray | None = None):
        as_evaluated = {"augment": 0.0, "elastic": 0.0}
        as_evaluated |= protocols.settings(protocols.STRICT, options.n_way, options.k_spt)
        left = int(counts_of(images).min()) - options.k_spt
        as_evaluated["k_qry"] = min(as_evaluated["k_qry"], left)   # all there are, if fewer
        self.prefix, self.options, self.best = prefix, options, 0.0
        self.episodes = make_episodes(images, argparse.Namespace(**vars(options) | as_evaluated), options.eval_batches,
                                      alphabets=alphabets)

    def is_due(self, epoch: int) -> bool:
        """Whether to measure after this epoch."""
        return epoch % self.options.eval_every == 0

    def measure(self, meta: Meta | Shared) -> dict:
        """The figures of one pass, for the record of the epoch it follows.

        Returns
        -------
        dict
            `accuracy` (0 to 1), `interval_95` (see `mean_and_interval`) and `loss` after the last inner step; with
            --per_step the lists `accuracies` and `losses` too. Each name begins with `prefix`.
        """
        losses, accuracies = evaluate_batches(meta, self.episodes, self.options.update_step_test, self.options.per_step)
        mean, interval = mean_and_interval(accuracies[:, -1])
        figures = {f"{self.prefix}accuracy": mean, f"{self.prefix}interval_95": interval,
                   f"{self.prefix}loss": float(losses[:, -1].mean())}
        return figures | (by_step(losses, accuracies, self.prefix) if self.options.per_step else {})

    def resume(self, folder: str | Path, done: int) -> None:
        """Take `best` from the records that the first `done` epochs left in a run's folder."""
        path = Path(folder) / FILE_NAME
        key = f"{VALIDATION}accuracy"
        records = read_metrics(path, key) if self.prefix == VALIDATION and done and path.exists() else []
        self.best = max((record.get(key, 0.0) for record in records if record["step"] <= done), default=0.0)

    def update_best(self, figures: dict) -> bool:
        """Take the figures of a pass into account for `best`; returns whether they are the best so far."""
        accuracy = figures.get(f"{VALIDATION}accuracy", 0.0)
        better, self.best = accuracy > self.best, max(accuracy, self.best)
        return better
