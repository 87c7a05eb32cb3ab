"""Evaluation: tasks adapted and judged on their query images, the mean accuracy, and its interval."""
import math
from collections.abc import Iterable, Sequence

import numpy as np

from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.run_options import Options
from mindspore_maml.devices.batch_share import Shared
from mindspore_maml.meta import Meta
from mindspore_maml.OmniglotIter import Batch

NORMAL_95 = 1.96   # the standard deviations that hold 95 % of a normal distribution, on both sides of its mean


def mean_and_interval(accuracies: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """The mean of the tasks' accuracies and half the width of its 95 % interval.

    Parameters
    ----------
    accuracies : array_like
        One accuracy a task, 0 to 1.

    Returns
    -------
    mean, interval : float
        The interval is 1.96 sigma / sqrt(tasks), sigma the standard deviation over the tasks (Finn et al., 2017,
        table 1).
    """
    accuracies = np.asarray(accuracies, np.float64).ravel()
    return float(accuracies.mean()), float(NORMAL_95 * accuracies.std() / math.sqrt(accuracies.size))


def bracketed(accuracy: float) -> str:
    """`accuracy` as the ModelZoo prints it: `[0.9608333]`."""
    return str(np.array([accuracy], np.float32))


def summarize(accuracies: np.ndarray, losses: Sequence[float] | np.ndarray, options: Options) -> dict:
    """The results of an evaluation, in values that JSON keeps.

    Parameters
    ----------
    accuracies : ndarray, shape (batches, task_num)
        The accuracy of every task.
    losses : sequence of float
        The mean query loss of every batch.
    options : Options
        Ways, shots, query images, protocol, steps and seed.
    """
    mean, interval = mean_and_interval(accuracies)
    return {"mean": mean, "interval_95": interval, "loss": float(np.mean(losses)), "tasks": int(accuracies.size),
            "n_way": options.n_way, "k_spt": options.k_spt, "k_qry": options.k_qry,
            "rotate": options.rotate, "protocol": options.protocol,
            "statistics": options.statistics, "views": options.views, "view_strength": options.view_strength,
            "update_step_test": options.update_step_test, "update_lr": options.update_lr, "seed": options.seed,
            "batches": [float(accuracy) for accuracy in accuracies.mean(axis=1)]}


def summary_line(results: dict) -> str:
    """One line that says what was measured and how."""
    rotated = ", classes rotated" if results["rotate"] else ""
    statistics = ", statistics of the support images" if results["statistics"] == "support" else ""
    protocol = "" if results["protocol"] == "none" else f", protocol {results['protocol']}"
    views = views_in_words(results)
    return (f"accuracy {results['mean']:.4f} +- {results['interval_95']:.4f} (95 % interval): "
            f"{results['tasks']} tasks, {results['n_way']}-way {results['k_spt']}-shot, "
            f"{results['k_qry']} query images a class{rotated}, {results['update_step_test']} inner steps"
            f"{statistics}{views}{protocol}")


def views_in_words(results: dict) -> str:
    """The end of a line that says by how many views was answered; empty for one."""
    return f", {results['views']} views of strength {results['view_strength']:g}" if results["views"] > 1 else ""


def summarize_runs(names: Sequence[str], accuracies: np.ndarray, losses: np.ndarray, options: Options) -> dict:
    """The results of Lake's runs, in values that JSON keeps; errors are 1 - accuracy.

    Parameters
    ----------
    names : sequence of str
    accuracies, losses : ndarray, [run]
    options : Options
    """
    mean, interval = mean_and_interval(accuracies)
    return {"error": 1 - mean, "interval_95": interval, "loss": float(np.mean(losses)), "n_way": options.n_way,
            "statistics": options.statistics, "views": options.views, "view_strength": options.view_strength,
            "update_step_test": options.update_step_test, "update_lr": options.update_lr, "seed": options.seed,
            "errors": {name: float(1 - accuracy) for name, accuracy in zip(names, accuracies)}}


def runs_line(results: dict) -> str:
    """One line that says what was measured on Lake's runs, and how."""
    return (f"error {results['error']:.4f} +- {results['interval_95']:.4f} (95 % interval): {len(results['errors'])} "
            f"runs, {results['n_way']}-way 1-shot, {results['update_step_test']} inner steps, statistics of the "
            f"{results['statistics']} images{views_in_words(results)}")


def evaluate_batch(meta: Meta | Shared, batch: Batch, steps: int,
                   per_step: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Adapt to a batch of tasks by `steps` inner steps, and judge.

    Parameters
    ----------
    meta : Meta or Shared
    batch : tuple of ndarray
        As `OmniglotIter` yields it.
    steps : int
        Inner steps.
    per_step : bool
        Whether to judge before adapting and after every step too.

    Returns
    -------
    losses : ndarray, [step]
        Means over tasks and query images, one for each time it judged.
    accuracies : ndarray, [step, task]
    logits : ndarray, [task, image, class]
        After the last step.

    Raises
    ------
    InputError
        Where a loss is no finite number: then the accuracies say nothing.
    """
    return _judged(meta.evaluate_each_step(*batch, steps, first=0 if per_step else steps), steps)


def evaluate_views(meta: Meta | Shared, batch: Batch, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `evaluate_batch`, of a batch with several views of each image; log-probabilities in place of logits."""
    return _judged(meta.evaluate_views(*batch, steps), steps)


def _judged(results, steps):
    judged = list(results)
    losses, accuracies = zip(*((loss.asnumpy(), accuracies.asnumpy()) for loss, accuracies, _ in judged))
    if not np.isfinite(losses).all():
        raise InputError(f"the query loss of a batch is {np.max(losses)} after {steps} inner steps; expected a finite "
                         f"number (a smaller --update_lr, or other weights)")
    return np.stack(losses), np.stack(accuracies), judged[-1][2].asnumpy()


def evaluate_batches(meta: Meta | Shared, batches: Iterable[Batch], steps: int,
                     per_step: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """What `evaluate_batch` measures of each of the batches: losses [batch, step], accuracies [batch, step, task]."""
    losses, accuracies = zip(*(evaluate_batch(meta, batch, steps, per_step)[:2] for batch in batches))
    return np.stack(losses), np.stack(accuracies)


def by_step(losses: Sequence | np.ndarray, accuracies: Sequence | np.ndarray, prefix: str = "") -> dict[str, list]:
    """The means over batches and tasks, in lists by inner step that JSON keeps.

    Parameters
    ----------
    losses : array_like, [batch, step]
    accuracies : array_like, [batch, step, task]
    prefix : str
        Begins the names: `accuracies` and `losses`.
    """
    return {f"{prefix}accuracies": np.mean(accuracies, axis=(0, 2), dtype=np.float64).tolist(),
            f"{prefix}losses": np.mean(losses, axis=0, dtype=np.float64).tolist()}
