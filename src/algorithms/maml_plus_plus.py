"""MAML++ (Antoniou, Edwards, Storkey, 2019): a query loss after every inner step, and steps that are learned.

To `Meta` it adds three of that paper's ideas: the outer loss is a weighted sum of the query losses after each
inner step, annealed to the last one alone (its section 4, MSL); every parameter has an inner rate of its own for
each step (LSLR); batch normalisation's beta has a shift of its own for each step (BNWB). Steps beyond the trained
ones reuse the last one's rates and shifts.
"""
from collections.abc import Callable
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, ops

from mindspore_maml.algorithms.learned_steps import LearnedSteps
from mindspore_maml.inner_loop import InnerLoop
from mindspore_maml.layers.network import Network
from mindspore_maml.passes import Passes

SMALLEST_SHARE = 0.03   # of an even share: where the annealed weights of the earlier losses end


def loss_weights(steps: int, epoch: int, annealed: int) -> list[float]:
    """The weight of the query loss after each inner step.

    Parameters
    ----------
    steps : int
        Inner steps.
    epoch, annealed : int
        Meta-steps done, and after how many the earlier losses have faded to `SMALLEST_SHARE`; from then on only
        the last one counts.

    Returns
    -------
    list of float
        They sum to 1.
    """
    if epoch >= annealed:
        return [0.0] * (steps - 1) + [1.0]
    even = 1 / steps
    earlier = max(even * (1 - epoch / annealed), SMALLEST_SHARE * even)
    return [earlier] * (steps - 1) + [1 - earlier * (steps - 1)]


class MAMLPlusPlus(LearnedSteps):
    """`Meta` with learned steps and a loss after each of them.

    Attributes
    ----------
    rates : Parameter, [steps, number of parameters]
        The inner learning rates.
    shifts : ParameterTuple of [steps, channel]
        What each step adds to every beta.
    """

    def __init__(self, net: Network, inner: InnerLoop, tasks_at_once: Callable[[int, int], int] | None = None):
        super().__init__(net, inner, tasks_at_once)
        self.shifted_places = tuple(i for i, kind in enumerate(net.kinds) if kind == "beta")
        self.rates = Parameter(Tensor(np.full((inner.steps, len(net.kinds)), inner.rate, np.float32)), name="rates")
        self.shifts = ParameterTuple([
            Parameter(Tensor(np.zeros((inner.steps, *net.parameters[i].shape), np.float32)),
                      name=f"shifts.{net.parameters[i].name}") for i in self.shifted_places])

    def loss_importance(self, epoch: int) -> list[float]:
        """No loss before the first step; after each, `loss_weights`."""
        return [0.0] + loss_weights(self.inner.steps, epoch, self.inner.multi_step_epochs)

    def step_rates(self, passes: Passes, number: int) -> tuple:
        """As `LearnedSteps.step_rates`: one number for each parameter."""
        return tuple(Tensor(rate.reshape(1, 1, 1)) for rate in self.rates.asnumpy()[self._row(number)])

    def step_shifts(self, task_num: int, number: int) -> tuple:
        """As `LearnedSteps.step_shifts`: one for each beta."""
        return tuple(Tensor(np.tile(shift.asnumpy()[self._row(number)], (task_num, 1, 1))) for shift in self.shifts)

    def learned_gradients(self, passes: Any, learned: list) -> dict:
        """As `Meta.learned_gradients`: those of every step, one above the other."""
        at_shifts, at_rates = zip(*((passes.sum_shifts(ms.mutable(shifts)), rates) for shifts, rates in learned))
        rates = ops.stack([ops.concat(of_step).reshape(-1) for of_step in at_rates]) * passes.factor
        found = {shift.name: ops.stack(of_steps) for shift, of_steps in zip(self.shifts, zip(*at_shifts))}
        return found | {self.rates.name: rates}

    def _row(self, number):
        """Steps beyond the trained ones take the last one's values; before any step the first one's hold."""
        return max(1, min(number, self.rates.shape[0])) - 1
