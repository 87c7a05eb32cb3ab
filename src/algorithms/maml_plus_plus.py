"""MAML++ (Antoniou, Edwards, Storkey, 2019): a query loss after every inner step, and steps that are learned.

To `Meta` it adds three of that paper's ideas: the outer loss is a weighted sum of the query losses after each
inner step, annealed to the last one alone (its section 4, MSL); every parameter has an inner rate of its own for
each step (LSLR); batch normalisation's beta has a shift of its own for each step (BNWB). Steps beyond the trained
ones reuse the last one's rates and shifts.
"""
import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from src.meta import Gather, Meta, Passes, QueryGradient, _each, _or_zeros, _sub

SMALLEST_SHARE = 0.03   # of an even share: where the annealed weights of the earlier losses end


def loss_weights(steps, epoch, annealed):
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


def shifted(weights, shifts, places):
    """The weights with `shifts` [task, 1, channel] added at `places`, the betas."""
    result, used = (), 0
    for i in range(len(weights)):
        value = weights[i]
        if i in places:
            value, used = value + shifts[used], used + 1
        result = (*result, value)
    return result


class LearnedStep(nn.Cell):
    """w - a_k grad L(w + b_k), with the rates a_k and the betas' shifts b_k of step k."""

    def __init__(self, learner, adapted, places):
        super().__init__()
        self.learner, self.adapted, self.places = learner, adapted, places

    def construct(self, weights, shifts, rates, x, labels):
        """Returns the next weights, the gradient, and the trace that `LearnedBackStep` needs."""
        _, gradients, trace = self.learner.gradient(shifted(weights, shifts, self.places), x, labels, 1.0)
        moved = ()
        for i in range(len(self.adapted)):
            moved = (*moved, (weights[i] - rates[i] * gradients[i] if self.adapted[i] else weights[i]))
        return moved, gradients, trace


class LearnedBackStep(nn.Cell):
    """The transposed Jacobian of `LearnedStep`, with respect to weights, shifts and rates."""

    def __init__(self, learner, adapted, places, second):
        super().__init__()
        self.learner, self.adapted, self.places, self.second = learner, adapted, places, second

    def construct(self, weights, shifts, rates, x, gradients, trace, later):
        """`later` is the outer gradient at the weights after the step; returns it before, at shifts, and at rates."""
        direction, d_rates = (), ()
        for i in range(len(self.adapted)):
            used = _or_zeros(later[i], self.adapted[i])
            d_rates = (*d_rates, -(used * gradients[i]).sum())
            direction = (*direction, used * rates[i])
        if not self.second:
            d_shifts = ()
            for place in self.places:
                d_shifts = (*d_shifts, ops.zeros_like(later[place]))
            return later, d_shifts, ops.stack(d_rates)
        products = self.learner.curvature(shifted(weights, shifts, self.places), x, trace, direction, 1.0)
        d_shifts = ()
        for place in self.places:
            d_shifts = (*d_shifts, -products[place])
        return _each(_sub, later, products), d_shifts, ops.stack(d_rates)


class ShiftedQuery(nn.Cell):
    """`QueryGradient` (or `Judge`) at shifted weights."""

    def __init__(self, query, places):
        super().__init__()
        self.query, self.places = query, places

    def construct(self, weights, shifts, tasks, x, labels):
        """As the wrapped cell."""
        return self.query(shifted(weights, shifts, self.places), tasks, x, labels)


class AddWeighted(nn.Cell):
    """a + weight b, tensor by tensor."""

    def construct(self, a, b, weight):
        """Tuples of as many tensors."""
        result = ()
        for i in range(len(a)):
            result = (*result, a[i] + weight * b[i])
        return result


class PlusPasses(Passes):
    """The compiled graphs of `Passes`, and those with learned steps."""

    def __init__(self, meta, task_num, images):
        super().__init__(meta, task_num, images)
        learner, adapted, places = self.learner, self.adapted, meta.places
        self.learned_step = LearnedStep(learner, adapted, places)
        self.back = {second: LearnedBackStep(learner, adapted, places, second) for second in (True, False)}
        self.shifted_gradient = ShiftedQuery(QueryGradient(learner), places)
        self.shifted_judge = ShiftedQuery(self.judge, places)
        self.gather_shifts = Gather(task_num, self.gather.factor, [meta.net.parameters[i].shape for i in places])


class MetaPlus(Meta):
    """`Meta` with learned steps and a loss after each of them.

    Attributes
    ----------
    rates : Parameter, [update_step, number of parameters]
        The inner learning rates.
    shifts : ParameterTuple of [update_step, channel]
        What each step adds to every beta.
    """

    passes_class = PlusPasses

    def __init__(self, net, options):
        super().__init__(net, options)
        steps = max(1, options.update_step)
        self.places = tuple(i for i, kind in enumerate(net.kinds) if kind == "beta")
        self.rates = Parameter(Tensor(np.full((steps, len(net.kinds)), options.update_lr, np.float32)), name="rates")
        self.shifts = ParameterTuple([
            Parameter(Tensor(np.zeros((steps, *net.parameters[i].shape), np.float32)),
                      name=f"shifts.{net.parameters[i].name}") for i in self.places])
        self.add_weighted = AddWeighted()

    def meta_gradient(self, x_spt, y_spt, x_qry, y_qry):
        """As `Meta.meta_gradient`; the gradients are those of `trainable_params()`: network, rates, shifts."""
        support, weights, x, y_spt = self._start(x_spt, y_spt)
        query, parts = self._query_parts(x_qry, y_qry)
        path, losses = [], []
        for k, share in enumerate(loss_weights(self.options.update_step, self.epoch, self.options.multi_step_epochs)):
            step = (weights, *self._step(k, len(x_spt)))
            moved, gradients, trace = support.learned_step(*step, x, y_spt)
            weights = ms.mutable(moved)
            judged = self._outer(query.shifted_gradient, parts, weights, step[1]) if share else None
            path.append((step, ms.mutable(gradients), ms.mutable(trace), share, judged))
            losses.append(share * judged[0] if share else 0.0)
        accuracy = path[-1][-1][1]
        return sum(losses), accuracy, self._way_back(support, x, path)

    def _way_back(self, support, x, path):
        """Gradients with respect to everything trainable, from the last step to the first."""
        d_rates, d_shifts, later = [], [], None
        back = support.back[self.is_second_order()]
        for step, gradients, trace, share, judged in reversed(path):
            direct = None
            if share:
                zero = later or ms.mutable(tuple(map(ops.zeros_like, judged[2])))
                later = ms.mutable(self.add_weighted(zero, ms.mutable(judged[2]), Tensor(share, ms.float32)))
                direct = [share * judged[2][i] for i in self.places]
            earlier, at_shifts, at_rates = back(*step, x, gradients, trace, later)
            at_shifts = [a + b for a, b in zip(at_shifts, direct)] if direct else at_shifts
            d_shifts.append(support.gather_shifts(ms.mutable(tuple(at_shifts))))
            d_rates.append(at_rates * support.gather.factor)
            later = ms.mutable(earlier)
        of_shifts = [ops.stack(steps[::-1]) for steps in zip(*d_shifts)]
        found = dict(zip([parameter.name for parameter in (*self.net.parameters, self.rates, *self.shifts)],
                         [*support.gather(later), ops.stack(d_rates[::-1]), *of_shifts]))
        return tuple(found[parameter.name] for parameter in self.trainable_params())

    def _adapt(self, support, weights, number, x, labels):
        return support.learned_step(weights, *self._step(number - 1, labels.shape[0]), x, labels)[0]

    def _judge(self, query, weights, done, tasks, x, labels):
        shifts, _ = self._step(done - 1, weights[0].shape[0])   # those of the step that led here
        return query.shifted_judge(weights, shifts, tasks, x, labels)

    def _step(self, number, task_num):
        """Shifts [task, 1, channel] and rates of one inner step; beyond the trained ones, those of the last."""
        row = max(0, min(number, self.rates.shape[0] - 1))
        shifts = tuple(Tensor(np.tile(shift.asnumpy()[row], (task_num, 1, 1))) for shift in self.shifts)
        return ms.mutable(shifts), Tensor(self.rates.asnumpy()[row])
