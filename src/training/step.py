"""A training step: the meta-gradient of a batch, and the optimizer's move along it."""
import math

from mindspore import nn, ops

from mindspore_maml.devices.batch_share import Shared
from mindspore_maml.meta import Meta
from mindspore_maml.OmniglotIter import Batch
from mindspore_maml.training.saving import DivergedError


class TrainingStep:
    """Call it with a batch; it moves the initial weights once.

    Parameters
    ----------
    meta : Meta
        Or what shares its batches among processes.
    optimizer : Cell
        Takes the tuple of meta-gradients.
    clip_norm : float
        The norm that a longer meta-gradient is shortened to; 0: none is.
    """

    def __init__(self, meta: Meta | Shared, optimizer: nn.Cell, clip_norm: float = 0.0):
        self.meta, self.optimizer, self.clip_norm = meta, optimizer, clip_norm

    def __call__(self, batch: Batch, epoch: int) -> tuple[float, float]:
        """One meta-step; returns the loss and accuracy before it.

        Both are read back in every step, not only where they are logged: a loss that is no number must stop the run
        before it reaches the weights, and the milliseconds then are those of the whole step on any device.

        Parameters
        ----------
        batch : Batch
            As `OmniglotIter` yields it.
        epoch : int
            The number of this step, from 1.

        Raises
        ------
        DivergedError
            Where the loss is not finite; the weights are as before.
        """
        loss, accuracy, gradients = self.meta.meta_gradient(*batch, epoch=epoch - 1)
        loss = float(loss.asnumpy())
        if not math.isfinite(loss):
            raise DivergedError(f"epoch {epoch}: the loss is {loss}; stopped")
        if self.clip_norm:   # of all gradients together (Pascanu, Mikolov and Bengio, 2013, algorithm 1)
            gradients = ops.clip_by_global_norm(gradients, self.clip_norm)
        self.optimizer(gradients)
        return loss, float(accuracy.asnumpy())
