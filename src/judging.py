"""Tasks judged on their query images: after the last inner step, or before the first and after every one."""
import numpy as np


def judge_batch(meta, batch, steps, per_step=False):
    """Adapt to a batch of tasks by `steps` inner steps, and judge.

    Parameters
    ----------
    meta : Meta or Workers
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
    """
    walk = meta.walk(*batch, steps, first=0 if per_step else steps)
    losses, accuracies = zip(*((loss.asnumpy(), accuracies.asnumpy()) for loss, accuracies, _ in walk))
    return np.stack(losses), np.stack(accuracies)


def judge_batches(meta, batches, steps, per_step=False):
    """What `judge_batch` returns for each of the batches: losses [batch, step], accuracies [batch, step, task]."""
    losses, accuracies = zip(*(judge_batch(meta, batch, steps, per_step) for batch in batches))
    return np.stack(losses), np.stack(accuracies)


def by_step(losses, accuracies, prefix=""):
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
