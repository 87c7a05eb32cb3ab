"""A share of a batch's tasks, and how the results of all shares add up to those of the batch.

Tasks need nothing of each other before their gradients are summed. So a batch can be shared out in any way: to
forked processes, or to ranks of msrun.
"""
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from mindspore_maml.cli.errors import InputError


class LostProcessError(InputError):
    """A process that had a share of the batch is gone; what the asking process holds can still be saved."""


@dataclass(frozen=True)
class Share:
    """Tasks number `start` to `stop` - 1 of a batch of `tasks`."""

    start: int
    stop: int
    tasks: int

    @property
    def part(self) -> np.float32:
        """The size of the share as a part of the batch."""
        return np.float32((self.stop - self.start) / self.tasks)

    def of(self, batch: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The arrays of a whole batch, cut to these tasks."""
        return [array[self.start:self.stop] for array in batch]


def shares_of(tasks: int, count: int) -> list[Share]:
    """A batch in `count` shares whose sizes differ by one at most, or in one a task where those are fewer."""
    bounds = np.linspace(0, tasks, min(count, tasks) + 1).astype(int).tolist()
    return [Share(start, stop, tasks) for start, stop in zip(bounds, bounds[1:])]


@dataclass(frozen=True)
class Call:
    """A method of `Meta` to call with a batch.

    Attributes
    ----------
    method : str
        "meta_gradient", "evaluate_each_step" or "evaluate_views".
    arguments : tuple of int
        Those that follow the batch.
    """

    method: str
    arguments: tuple = ()


def contribution(meta: nn.Cell, call: Call, batch: Sequence[np.ndarray], share: Share) -> list[np.ndarray]:
    """What a share of the tasks adds to the results of the whole batch.

    Parameters
    ----------
    meta : Meta
    call : Call
    batch : sequence of ndarray
        The share's tasks alone.
    share : Share

    Returns
    -------
    list of ndarray
        Summed over all shares they are the batch's loss, accuracy and gradients, or, for the other methods, the loss,
        accuracies and logits of each inner step. A mean over tasks counts by the size of the share; what is
        of one task stands in its place among zeros.
    """
    results = getattr(meta, call.method)(*batch, *call.arguments)
    if call.method == "meta_gradient":
        loss, accuracy, gradients = results
        of_gradients = np.float32(1) if meta.inner.meta_loss == "sum" else share.part
        return [share.part * loss.asnumpy(), share.part * accuracy.asnumpy(),
                *(of_gradients * gradient.asnumpy() for gradient in gradients)]
    return [value for loss, *of_tasks in results
            for value in (share.part * loss.asnumpy(), *(_among_zeros(values, share) for values in of_tasks))]


def _among_zeros(values, share):
    """[task of the share, ...] -> [task of the batch, ...]."""
    whole = np.zeros((share.tasks, *values.shape[1:]), values.asnumpy().dtype)
    whole[share.start:share.stop] = values.asnumpy()
    return whole


class Shared(ABC):
    """As `Meta`, for a batch that is shared out.

    Parameters
    ----------
    meta : Meta
        Holds the parameters.
    """

    def __init__(self, meta: nn.Cell):
        self.meta, self.inner = meta, meta.inner

    @abstractmethod
    def total(self, call: Call, batch: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The contributions of all shares (`contribution`), summed."""

    def meta_gradient(self, *batch: np.ndarray, epoch: int = 0) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """As `Meta.meta_gradient`."""
        loss, accuracy, *gradients = self._of_all(Call("meta_gradient", (epoch,)), batch)
        return loss, accuracy, tuple(gradients)

    def evaluate_each_step(self, *batch_and_steps: Any, first: int = 0) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """As `Meta.evaluate_each_step`; all inner steps are done when the first one's results come."""
        *batch, steps = batch_and_steps
        yield from self._judged(Call("evaluate_each_step", (steps, first)), batch)

    def evaluate_views(self, *batch_and_steps: Any) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """As `Meta.evaluate_views`."""
        *batch, steps = batch_and_steps
        yield from self._judged(Call("evaluate_views", (steps,)), batch)

    def _judged(self, call, batch):
        values = self._of_all(call, batch)
        yield from zip(values[::3], values[1::3], values[2::3])

    def _of_all(self, call, batch):
        return [Tensor(value) for value in self.total(call, list(map(np.asarray, batch)))]
