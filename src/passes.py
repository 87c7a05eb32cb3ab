"""The compiled graphs of MAML: tasks' copies of the weights, an inner step, its way back, and the query pass.

Each is compiled once for a number of tasks and of images a task, and is called as often as there are inner steps.
"""
from typing import Any

import numpy as np
from mindspore import Tensor, nn, ops

from mindspore_maml.last_layers import LastLayers, OnFeatures, stepping
from mindspore_maml.layers.image_rows import Prepared
from mindspore_maml.layers.network import Network, to_parameter, to_rows
from mindspore_maml.learner import Learner

each = ops.HyperMap()   # a function of each of a tuple's tensors, compiled faster than a loop
_matmul, _reshape, _sub, _mean = ops.MatMul(), ops.Reshape(), ops.Sub(), ops.ReduceMean()
_choose_tasks, _join_tasks = ops.Gather(), ops.Concat(axis=0)


class CopyToTasks(nn.Cell):
    """Give every task its own copy of the parameters, in the form the layers take."""

    def __init__(self, task_num: int):
        super().__init__()
        self.ones = Tensor(np.ones((task_num, 1), np.float32))

    def construct(self, parameters: tuple) -> tuple:
        """Parameters in checkpoint form -> [task, in, out] each."""
        return each(self._copies, parameters)

    def _copies(self, value):
        rows = to_rows(value)
        copies = _matmul(self.ones, _reshape(rows, (1, -1)))            # [task, in x out]
        return _reshape(copies, (-1, *rows.shape))                      # [task, in, out]


class SumOverTasks(nn.Cell):
    """The transpose of `CopyToTasks`: sum over the tasks, times `factor`, in checkpoint form."""

    def __init__(self, task_num: int, factor: float, shapes: list):
        super().__init__()
        self.shapes = shapes
        self.factors = Tensor(np.full((1, task_num), factor, np.float32))

    def construct(self, gradients: tuple) -> tuple:
        """[task, in, out] each -> like the parameters."""
        totals = ()
        for i in range(len(self.shapes)):
            total = _matmul(self.factors, _reshape(gradients[i], (gradients[i].shape[0], -1)))   # [1, in x out]
            totals = (*totals, to_parameter(total, self.shapes[i]))
        return totals


class InnerStep(nn.Cell):
    """One step of gradient descent on the support loss: w - a grad L(w)."""

    def __init__(self, learner: Learner | LastLayers | OnFeatures, rate: float, adapted: tuple, keeps_state: bool):
        super().__init__()
        self.learner, self.rate, self.adapted, self.keeps_state = learner, rate, adapted, keeps_state

    def construct(self, weights: tuple, x: Prepared, labels: Tensor) -> tuple[tuple, tuple]:
        """Returns the weights after the step, and the state of the gradient that `InnerStepBack` needs."""
        _, scaled_gradients, state = self.learner.gradient(weights, x, labels, self.rate)
        return each(_moved, weights, scaled_gradients, self.adapted), (state if self.keeps_state else ())


class InnerStepBack(nn.Cell):
    """The inner step's transposed Jacobian: l - a H(w) l."""

    def __init__(self, learner: Learner | LastLayers, rate: float, adapted: tuple):
        super().__init__()
        self.learner, self.rate, self.adapted = learner, rate, adapted

    def construct(self, weights: tuple, x: Prepared, state: tuple, gradients: tuple) -> tuple:
        """[task, in, out] each, with respect to the weights after the step -> before it."""
        direction = each(masked, gradients, self.adapted)
        return each(_sub, gradients, self.learner.curvature(weights, x, state, direction, self.rate))


def _moved(weight, scaled_gradient, adapted):
    return _sub(weight, scaled_gradient) if adapted else weight


def masked(gradient: Tensor, adapted: bool) -> Tensor:
    """A parameter's gradient if the inner loop adapts it, else zeros."""
    return gradient if adapted else ops.zeros_like(gradient)


def _weights_of(tasks, weights):
    """All tasks' weights [task, in, out] -> those of some, by their numbers."""
    return each(ops.partial(_of_tasks, tasks), weights)


def _of_tasks(tasks, weight):
    return _choose_tasks(weight, tasks, 0)


class QueryGradient(nn.Cell):
    """The query loss of some tasks, its accuracy, and the loss's gradient at their adapted weights."""

    def __init__(self, learner: Learner):
        super().__init__()
        self.learner = learner

    def construct(self, weights: tuple, tasks: Tensor, x: Prepared, labels: Tensor) -> tuple[Tensor, Tensor, tuple]:
        """Weights of all tasks, the numbers of some, and their images and labels.

        Returns the loss and the accuracy, means over these tasks, and their gradients [task, in, out].
        """
        logits, gradients, _ = self.learner.gradient(_weights_of(tasks, weights), x, labels, 1.0)
        loss = self.learner.loss
        return _mean(loss(logits, labels)), _mean(loss.is_right(loss.answers(logits), labels)), gradients


class QueryEvaluation(nn.Cell):
    """The query loss, accuracy and logits of some tasks, without gradients."""

    def __init__(self, learner: Learner):
        super().__init__()
        self.learner = learner

    def construct(self, weights: tuple, tasks: Tensor, x: Prepared, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `QueryGradient`; returns the mean loss, accuracies [task] and logits [task, image, class]."""
        logits = self.learner(_weights_of(tasks, weights), x)
        loss = self.learner.loss
        return _mean(loss(logits, labels)), _mean(loss.is_right(loss.answers(logits), labels), -1), logits


class JoinTasks(nn.Cell):
    """Tensors of some tasks each -> tensors of all of them."""

    def construct(self, parts: tuple) -> tuple:
        """Tuples of as many tensors each, all of them [task, ...]."""
        return each(_joined, *parts)


def _joined(*values):
    return _join_tasks(values)


class AddScaled(nn.Cell):
    """a + factor b, tensor by tensor."""

    def construct(self, a: tuple, b: tuple, factor: Tensor) -> tuple:
        """Tuples of as many tensors; `factor` a scalar Tensor."""
        result = ()
        for i in range(len(a)):
            result = (*result, a[i] + factor * b[i])
        return result


class Passes:
    """The compiled graphs for one number of tasks and of images a task.

    Parameters
    ----------
    net : Network
        What to build.
    inner : InnerLoop
        The inner loop's rate, what it adapts, and how tasks make one loss.
    adapted : tuple of bool
        For every parameter, whether the inner loop adapts it.
    task_num, images, support : int
        As `Learner` takes them.
    """

    def __init__(self, net: Network, inner: Any, adapted: tuple, task_num: int, images: int, support: int = 0):
        self.learner = learner = Learner(net, task_num, images, inner.loss_function(), support)
        self.factor = 1.0 if inner.meta_loss == "sum" else 1.0 / task_num
        self.prepare = learner.prepare
        self.copy_to_tasks = CopyToTasks(task_num)
        self.sum_over_tasks = SumOverTasks(task_num, self.factor, [parameter.shape for parameter in net.parameters])
        steps = stepping(learner, adapted)
        self.settle = steps if isinstance(steps, LastLayers) else None
        last = steps.on_features if isinstance(steps, LastLayers) else steps
        self.inner_step = {True: InnerStep(steps, inner.rate, adapted, keeps_state=True),
                           False: InnerStep(last, inner.rate, adapted, keeps_state=False)}
        self.inner_step_back = InnerStepBack(steps, inner.rate, adapted)
        self.query_gradient = QueryGradient(learner)
        self.query_evaluation = QueryEvaluation(learner)
