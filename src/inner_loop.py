"""The inner loop: how it is set, and what its steps and the query pass hand to one another."""
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from mindspore import Tensor

from mindspore_maml.crossentropy import CrossEntropy
from mindspore_maml.layers.image_rows import Prepared
from mindspore_maml.layers.spec import PARAMETERS
from mindspore_maml.passes import Passes

Array: TypeAlias = Tensor | np.ndarray
QUERY, SUPPORT = "query", "support"   # whose statistics
HEAD = "head"   # among the adapted kinds: the last layer, whatever its parameters' kinds


@dataclass(frozen=True)
class InnerLoop:
    """The inner loop, and how its end makes the outer loss.

    Attributes
    ----------
    steps, steps_test : int
        Inner steps in training and in evaluation.
    rate : float
        Inner learning rate, for the mean cross-entropy over the support set.
    adapted : tuple of str
        Kinds of parameters that the inner loop adapts, as `Network.kinds` names them; `HEAD`: all of the last layer.
    order : str
        "second", or "first": the meta-gradient leaves out the Hessian.
    first_order_epochs : int
        Epochs of first order before those of second order.
    multi_step_epochs : int
        Epochs in which the query loss counts after every step, for the algorithms that have it.
    label_smoothing : float
        As `CrossEntropy` takes it.
    meta_loss : str
        "mean" or "sum" over the tasks; the reported loss is the mean in both.
    statistics : str
        Of which images batch normalisation takes mean and variance in the query pass: `QUERY`, of the query images of
        a task, all together (as Finn et al. do); `SUPPORT`, of its support images, so that no answer depends on
        another query image.
    loss : optional
        In place of the cross-entropy, an object with its methods (`src/crossentropy.py`).
    """

    steps: int = 1
    steps_test: int = 3
    rate: float = 1.0
    adapted: tuple[str, ...] = PARAMETERS
    order: str = "second"
    first_order_epochs: int = 0
    multi_step_epochs: int = 0
    label_smoothing: float = 0.0
    meta_loss: str = "mean"
    statistics: str = QUERY
    loss: Any = None

    def loss_function(self) -> Any:
        """The loss of support and query sets."""
        return self.loss or CrossEntropy(self.label_smoothing)

    def is_second_order(self, epoch: int) -> bool:
        """Whether the meta-gradient after `epoch` meta-steps goes through the inner gradients."""
        return self.order == "second" and epoch >= self.first_order_epochs


@dataclass
class SupportSet:
    """A batch's support images prepared for the first layer, with labels [task, image], and the graphs for them.

    `initial` are the weights that the inner loop started from, every task's copy [task, in, out]; `settled`, what the
    layers that it does not adapt made of the images.
    """

    passes: Any   # `Passes`, or those of another algorithm
    x: Prepared
    labels: Tensor
    initial: tuple = ()
    settled: Prepared | None = None


@dataclass
class QuerySet:
    """A batch's query images in parts: numbers of tasks [task], prepared images, labels [task, image]; their graphs."""

    passes: Passes
    parts: list


@dataclass
class Step:
    """Inner step `number` (from 1) of all tasks: what it started from, where it led, and the state of its gradient."""

    number: int
    before: tuple
    weights: tuple
    state: tuple


@dataclass
class Judged:
    """The query loss and accuracy at some weights, means over the tasks, and the loss's gradients [task, in, out]."""

    loss: Tensor
    accuracy: Tensor
    gradients: tuple
    importance: float   # what the loss counts for in the outer loss


@dataclass
class Back:
    """The outer gradient, traced back through an inner step, each part a tuple of [task, in, out].

    Attributes
    ----------
    before : tuple of Tensor
        With respect to the weights before the step.
    initial : tuple of Tensor
        What the step adds to the gradient with respect to the initial weights, where it reads these; () else.
    learned
        With respect to the step's own learned values, as `Meta.learned_gradients` takes it, if it has any.
    """

    before: tuple
    initial: tuple = ()
    learned: Any = None
