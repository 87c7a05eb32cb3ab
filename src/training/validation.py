"""The validation pass: how well the network does during its training, on characters it does not train on."""
from pathlib import Path

import numpy as np

from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.run_options import Options
from mindspore_maml.data.class_images import Classes, counts_of
from mindspore_maml.devices.batch_share import Shared
from mindspore_maml.meta import Meta
from mindspore_maml.training import protocols
from mindspore_maml.training.evaluation import by_step, evaluate_batches, mean_and_interval
from mindspore_maml.training.from_options import make_episodes
from mindspore_maml.training.run_log import FILE_NAME, VALIDATION, read_metrics

ACCURACY = f"{VALIDATION}accuracy"


def best_and_since(folder: str | Path, done: int) -> tuple[float, int]:
    """The highest validation accuracy that the first `done` epochs left in a run's folder, and the passes since."""
    path = Path(folder) / FILE_NAME
    found = [record[ACCURACY] for record in (read_metrics(path, ACCURACY) if done and path.exists() else [])
             if record["step"] <= done and ACCURACY in record]
    best = max(found, default=0.0)
    return best, len(found) - 1 - found.index(best) if found else 0


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
    options : Options
        Those of the training.
    alphabets : ndarray of int, [class], optional
        Each character's, for --within_alphabet.

    Attributes
    ----------
    best : float
        The highest validation accuracy so far.
    since_best : int
        Passes since then.
    """

    def __init__(self, prefix: str, images: Classes, options: Options,
                 alphabets: np.ndarray | None = None):
        as_evaluated = {"augment": 0.0, "elastic": 0.0}
        as_evaluated |= protocols.settings(protocols.STRICT, options.n_way, options.k_spt)
        left = int(counts_of(images).min()) - options.k_spt
        as_evaluated["k_qry"] = min(as_evaluated["k_qry"], left)   # all there are, if fewer
        self.prefix, self.options, self.best, self.since_best = prefix, options, 0.0, 0
        self.episodes = make_episodes(images, options.but(**as_evaluated), options.eval_batches,
                                      alphabets=alphabets)

    def is_due(self, epoch: int) -> bool:
        """Whether to measure after this epoch; after the last one always."""
        return epoch % self.options.eval_every == 0 or epoch == self.options.epoch

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
        """Take `best` and `since_best` from the records that the first `done` epochs left in a run's folder.

        Raises
        ------
        InputError
            Where --patience has ended the run.
        """
        self.best, self.since_best = best_and_since(folder, done) if self.prefix == VALIDATION else (0.0, 0)
        if self.gains_no_more:
            raise InputError(f"--patience {self.options.patience}: the run has ended by it; expected more, or 0, to go "
                             f"on with it")

    def update_best(self, figures: dict) -> bool:
        """Take the figures of a pass into account for `best`; returns whether they are the best so far."""
        before, self.best = self.best, max(figures.get(ACCURACY, 0.0), self.best)
        self.since_best = 0 if self.best > before else self.since_best + 1
        return self.best > before

    @property
    def gains_no_more(self) -> bool:
        """Whether so many passes as --patience says brought no better one."""
        return 0 < self.options.patience <= self.since_best
