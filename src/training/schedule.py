"""The outer learning rate of every epoch: constant, in steps, or along half a cosine."""
import numpy as np

from mindspore_maml.cli.run_options import Options


def learning_rates(options: Options) -> np.ndarray:
    """The outer learning rate of each epoch of a run.

    Parameters
    ----------
    options : Options
        `meta_lr`, `epoch`, `lr_scheduler`, `lr_milestones`, `lr_scheduler_gamma`.

    Returns
    -------
    ndarray of float64, shape (epoch,)
        Entry 0 is the rate of epoch 1. After milestone m, from epoch m + 1 on, the step scheduler's rate is
        `lr_scheduler_gamma` times what it was; the cosine falls from `meta_lr` towards 0 (Loshchilov and Hutter,
        2017, "SGDR", equation 5, without restarts).
    """
    done = np.arange(options.epoch)   # epochs done before each one
    if options.lr_scheduler == "constant":
        return np.full(options.epoch, options.meta_lr)
    if options.lr_scheduler == "cosine":
        return options.meta_lr * ((1 + np.cos(np.pi * done / options.epoch)) / 2)
    milestones = np.sort(options.lr_milestones or options.epoch * np.array([0.25, 0.5, 0.75]))
    return options.meta_lr * options.lr_scheduler_gamma ** np.searchsorted(milestones, done, side="right")
