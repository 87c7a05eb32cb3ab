"""Inner steps with learned values: rates, and shifts added to some parameters before the gradient is taken.

What MAML++ and Meta-SGD share. They say which values there are and how a step reads them; the graphs are here:

    w_{k+1} = w_k - a_k grad L(w_k + b_k)        with the rates a_k and the shifts b_k of step k.
"""
import mindspore as ms
from mindspore import Tensor, nn, ops

from mindspore_maml.inner_loop import Array, Back, InnerLoop, Judged, Step, SupportSet
from mindspore_maml.layers.image_rows import Prepared
from mindspore_maml.layers.network import Network
from mindspore_maml.layers.primitives import sum_of_all
from mindspore_maml.learner import Learner
from mindspore_maml.meta import Meta
from mindspore_maml.passes import Passes, SumOverTasks, each, masked

_sub, _mul = ops.Sub(), ops.Mul()


def shifted(weights: tuple, shifts: tuple, places: tuple) -> tuple:
    """The weights with `shifts` [task, 1, channel] added at `places`, numbers of parameters."""
    result, used = (), 0
    for i in range(len(weights)):
        value = weights[i]
        if i in places:
            value, used = value + shifts[used], used + 1
        result = (*result, value)
    return result


def _moved(weight, rate, gradient, adapted):
    return _sub(weight, _mul(rate, gradient)) if adapted else weight


class LearnedStep(nn.Cell):
    """One inner step with learned rates and shifts."""

    def __init__(self, learner: Learner, adapted: tuple, places: tuple):
        super().__init__()
        self.learner, self.adapted, self.places = learner, adapted, places

    def construct(self, weights: tuple, shifts: tuple, rates: tuple, x: Prepared,
                  labels: Tensor) -> tuple[tuple, tuple, tuple]:
        """Rates [1, 1, 1] or like the weights. Returns the next weights, the gradient, and its state."""
        _, gradients, state = self.learner.gradient(shifted(weights, shifts, self.places), x, labels, 1.0)
        return each(_moved, weights, rates, gradients, self.adapted), gradients, state


class LearnedStepBack(nn.Cell):
    """The transposed Jacobian of `LearnedStep`, with respect to weights, shifts and rates."""

    def __init__(self, learner: Learner, adapted: tuple, places: tuple, second: bool):
        super().__init__()
        self.learner, self.adapted, self.places, self.second = learner, adapted, places, second

    def construct(self, weights: tuple, shifts: tuple, rates: tuple, x: Prepared, gradients: tuple, state: tuple,
                  later: tuple) -> tuple[tuple, tuple, tuple]:
        """`later` is the outer gradient at the weights after the step; returns it before, at shifts, and at rates."""
        used = each(masked, later, self.adapted)
        at_rates = each(_at_rate, used, gradients, rates)
        if not self.second:
            at_shifts = ()
            for place in self.places:
                at_shifts = (*at_shifts, ops.zeros_like(later[place]))
            return later, at_shifts, at_rates
        products = self.learner.curvature(shifted(weights, shifts, self.places), x, state, each(_mul, used, rates), 1.0)
        at_shifts = ()
        for place in self.places:
            at_shifts = (*at_shifts, -products[place])
        return each(_sub, later, products), at_shifts, at_rates


def _at_rate(later, gradient, rate):
    """The outer gradient at a rate, like the rate of one task: [1, 1, 1] or [task, in, out]."""
    product = -_mul(later, gradient)
    return sum_of_all(product).reshape((1, 1, 1)) if rate.size == 1 else product


class ShiftedQuery(nn.Cell):
    """`QueryGradient` or `QueryEvaluation` at shifted weights."""

    def __init__(self, query: nn.Cell, places: tuple):
        super().__init__()
        self.query, self.places = query, places

    def construct(self, weights: tuple, shifts: tuple, tasks: Tensor, x: Prepared, labels: Tensor) -> tuple:
        """As the wrapped cell; the shifts are of all tasks."""
        return self.query(shifted(weights, shifts, self.places), tasks, x, labels)


class LearnedPasses(Passes):
    """The compiled graphs with learned values; `places` are the parameters shifted, by their numbers."""

    def __init__(self, net: Network, inner: InnerLoop, adapted: tuple, task_num: int, images: int, support: int,
                 places: tuple):
        super().__init__(net, inner, adapted, task_num, images, support)
        self.learned_step = LearnedStep(self.learner, adapted, places)
        self.learned_step_back = {second: LearnedStepBack(self.learner, adapted, places, second)
                                  for second in (False, True)}
        self.sum_shifts = SumOverTasks(task_num, self.factor, [net.parameters[place].shape for place in places])
        self.query_gradient = ShiftedQuery(self.query_gradient, places)
        self.query_evaluation = ShiftedQuery(self.query_evaluation, places)


class LearnedSteps(Meta):
    """`Meta` whose inner steps read learned values; a subclass gives them, and sums up their gradients.

    Attributes
    ----------
    shifted_places : tuple of int
        The parameters that have a shift, by their numbers.
    """

    shifted_places: tuple[int, ...] = ()

    def step_rates(self, passes: Passes, number: int) -> tuple:
        """The rates of inner step `number` (from 1): for every parameter [1, 1, 1], or like its weights."""
        raise NotImplementedError

    def step_shifts(self, task_num: int, number: int) -> tuple:
        """The shifts of inner step `number`, each [task, 1, channel]; none unless a subclass has some."""
        return ()

    def build_passes(self, task_num: int, images: int, support: int) -> LearnedPasses:
        """As `Meta.build_passes`."""
        return LearnedPasses(self.net, self.inner, self.adapted, task_num, images, support, self.shifted_places)

    def adapt(self, x: Array, labels: Array, steps: int) -> tuple:
        """As `Meta.adapt`, with the shifts of the last step added, as the query pass sees the weights."""
        weights = super().adapt(x, labels, steps)
        return ms.mutable(shifted(weights, self.step_shifts(len(x), steps), self.shifted_places))

    def inner_step(self, support: SupportSet, weights: tuple, number: int, keeps_state: bool = False) -> Step:
        """As `Meta.inner_step`; keeps the gradient for the rates in first order too."""
        before = (*self.query_weights(weights, number), ms.mutable(self.step_rates(support.passes, number)))
        moved, gradients, state = support.passes.learned_step(*before, support.x, support.labels)
        return Step(number, before, ms.mutable(moved), (ms.mutable(gradients), ms.mutable(state)))

    def query_weights(self, weights: tuple, number: int) -> tuple:
        """The weights, and the shifts of the step that led to them."""
        shifts = self.step_shifts(weights[0].shape[0], number)
        return weights, (ms.mutable(shifts) if shifts else ())   # an empty tuple can only be a constant

    def step_back(self, support: SupportSet, step: Step, later: tuple, judged: Judged | None, second: bool) -> Back:
        """As `Meta.step_back`; the step's learned values have gradients at its shifts and at its rates."""
        back = support.passes.learned_step_back[second]
        before, at_shifts, at_rates = back(*step.before, support.x, *step.state, later)
        if judged:   # the query pass after the step was at the shifted weights too
            at_shifts = tuple(at + judged.importance * judged.gradients[place]
                              for at, place in zip(at_shifts, self.shifted_places))
        return Back(ms.mutable(before), learned=(at_shifts, at_rates))
