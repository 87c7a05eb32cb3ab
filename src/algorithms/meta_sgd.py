"""Meta-SGD (Li, Zhou, Chen, Li, 2017, arXiv 1707.09835): a learned inner rate for every single weight."""
from collections.abc import Callable

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor

from mindspore_maml.algorithms.learned_steps import LearnedSteps
from mindspore_maml.inner_loop import InnerLoop
from mindspore_maml.layers.network import Network
from mindspore_maml.passes import Passes


class MetaSGD(LearnedSteps):
    """`Meta` with w - a * grad L(w), a product of every weight with a rate of its own (the paper's equation 1).

    Attributes
    ----------
    rates : ParameterTuple
        Like the network's parameters; all inner steps share them. They start at the inner loop's rate.
    """

    def __init__(self, net: Network, inner: InnerLoop, tasks_at_once: Callable[[int, int], int] | None = None):
        super().__init__(net, inner, tasks_at_once)
        self.rates = ParameterTuple([
            Parameter(Tensor(np.full(parameter.shape, inner.rate, np.float32)), name=f"rates.{parameter.name}")
            for parameter in net.parameters])

    def step_rates(self, passes: Passes, number: int) -> tuple:
        """As `LearnedSteps.step_rates`: every task's copy of the rates, [task, in, out]."""
        return passes.copy_to_tasks(ms.mutable(tuple(self.rates)))

    def learned_gradients(self, passes: Passes, learned: list) -> dict:
        """As `Meta.learned_gradients`: summed over the steps, which share the rates."""
        of_steps = [passes.sum_over_tasks(ms.mutable(at_rates)) for _, at_rates in learned]
        return {rate.name: sum(totals[1:], totals[0]) for rate, totals in zip(self.rates, zip(*of_steps))}
