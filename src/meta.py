"""Meta: the inner loop, the outer loss, and the meta-gradient of both orders (Finn, Abbeel, Levine, 2017).

The inner loop on one task is w_0 = theta, w_{k+1} = w_k - a grad L(w_k), on the support set; the outer loss
is the query loss at w_N. Its gradient with respect to theta runs the loop backwards (equation 1 of the paper):

    l_N = grad L_query(w_N)         l_k = l_{k+1} - a H(w_k) l_{k+1}         d outer / d theta = l_0

with H the Hessian of the support loss. First order leaves the Hessian out: l_0 = l_N. Each line is one
compiled graph that all inner steps share, so neither compile time nor graph size grows with their number.
"""
import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.devices.device import tasks_at_once
from src.layers.network import to_parameter, to_rows
from src.learner import Learner

_each = ops.HyperMap()   # a function of each of a tuple's tensors, compiled faster than a loop
_matmul, _reshape, _sub, _mean = ops.MatMul(), ops.Reshape(), ops.Sub(), ops.ReduceMean()
_argmax, _equal, _cast = ops.Argmax(axis=-1, output_type=ms.int32), ops.Equal(), ops.Cast()
_gather, _join_tasks = ops.Gather(), ops.Concat(axis=0)


class Spread(nn.Cell):
    """Give every task its own copy of the parameters, in the form the layers take."""

    def __init__(self, task_num):
        super().__init__()
        self.ones = Tensor(np.ones((task_num, 1), np.float32))

    def construct(self, parameters):
        """Parameters in checkpoint form -> [task, in, out] each."""
        return _each(self._copies, parameters)

    def _copies(self, value):
        rows = to_rows(value)
        copies = _matmul(self.ones, _reshape(rows, (1, -1)))            # [task, in x out]
        return _reshape(copies, (-1, *rows.shape))


class Gather(nn.Cell):
    """The transpose of `Spread`: sum over the tasks, times `factor`, in checkpoint form."""

    def __init__(self, task_num, factor, shapes):
        super().__init__()
        self.factor, self.shapes = factor, shapes
        self.factors = Tensor(np.full((1, task_num), factor, np.float32))

    def construct(self, gradients):
        """[task, in, out] each -> like the parameters."""
        totals = ()
        for i in range(len(self.shapes)):
            total = _matmul(self.factors, _reshape(gradients[i], (gradients[i].shape[0], -1)))
            totals = (*totals, to_parameter(total, self.shapes[i]))
        return totals


class InnerStep(nn.Cell):
    """One step of gradient descent on the support loss: w - a grad L(w)."""

    def __init__(self, learner, update_lr, adapted, keep_trace):
        super().__init__()
        self.learner, self.update_lr, self.adapted, self.keep_trace = learner, update_lr, adapted, keep_trace

    def construct(self, weights, x, labels):
        """Returns the next weights, and the trace that `BackStep` needs."""
        _, steps, trace = self.learner.gradient(weights, x, labels, self.update_lr)
        return _each(_moved, weights, steps, self.adapted), (trace if self.keep_trace else ())


class BackStep(nn.Cell):
    """The inner step's transposed Jacobian: l - a H(w) l."""

    def __init__(self, learner, update_lr, adapted):
        super().__init__()
        self.learner, self.update_lr, self.adapted = learner, update_lr, adapted

    def construct(self, weights, x, trace, gradients):
        """[task, in, out] each, with respect to the weights after the step -> before it."""
        direction = _each(_or_zeros, gradients, self.adapted)
        return _each(_sub, gradients, self.learner.curvature(weights, x, trace, direction, self.update_lr))


def _moved(weight, step, adapted):
    return _sub(weight, step) if adapted else weight


def _is_right(predictions, labels):
    """1 for every image whose class was found, else 0 (float32)."""
    return _cast(_equal(predictions, labels), ms.float32)


def _or_zeros(gradient, adapted):
    return gradient if adapted else ops.zeros_like(gradient)


def weights_of(tasks, weights):
    """All tasks' weights [task, in, out] -> those of some, by their numbers."""
    return _each(ops.partial(_chosen, tasks), weights)


def _chosen(tasks, weight):
    return _gather(weight, tasks, 0)


class QueryGradient(nn.Cell):
    """The query loss of some tasks, its accuracy, and the loss's gradient at their adapted weights."""

    def __init__(self, learner):
        super().__init__()
        self.learner = learner

    def construct(self, weights, tasks, x, labels):
        """Weights of all tasks, the numbers of some, and their images and labels.

        Returns the loss and the accuracy, means over these tasks, and their gradients [task, in, out].
        """
        logits, gradients, _ = self.learner.gradient(weights_of(tasks, weights), x, labels, 1.0)
        return _mean(self.learner.loss(logits, labels)), _mean(_is_right(_argmax(logits), labels)), gradients


class Judge(nn.Cell):
    """The query loss, accuracy and predictions of some tasks, without gradients."""

    def __init__(self, learner):
        super().__init__()
        self.learner = learner

    def construct(self, weights, tasks, x, labels):
        """As `QueryGradient`; returns the mean loss, accuracies [task] and predictions [task, image] (int32)."""
        logits = self.learner(weights_of(tasks, weights), x)
        predictions = _argmax(logits)
        return _mean(self.learner.loss(logits, labels)), _mean(_is_right(predictions, labels), -1), predictions


class Join(nn.Cell):
    """Tensors of some tasks each -> tensors of all of them."""

    def construct(self, parts):
        """Tuples of as many tensors each, all of them [task, ...]."""
        return _each(_all_tasks, *parts)


def _all_tasks(*values):
    return _join_tasks(values)


class Passes:
    """The compiled graphs for one number of tasks and of images a task."""

    def __init__(self, meta, task_num, images):
        options = meta.options
        self.learner = learner = Learner(meta.net, task_num, images, options.label_smoothing)
        self.adapted = adapted = tuple(kind in options.adapt.split(",") for kind in meta.net.kinds)
        summed = getattr(options, "meta_loss", None) == "sum"            # evaluation has no outer loss
        factor = 1.0 if summed else 1.0 / task_num
        self.prepare = learner.prepare
        self.spread = Spread(task_num)
        self.gather = Gather(task_num, factor, [parameter.shape for parameter in meta.net.parameters])
        self.adapt = InnerStep(learner, options.update_lr, adapted, keep_trace=False)
        self.adapt_traced = InnerStep(learner, options.update_lr, adapted, keep_trace=True)
        self.step_back = BackStep(learner, options.update_lr, adapted)
        self.query_gradient = QueryGradient(learner)
        self.judge = Judge(learner)


class Meta(nn.Cell):
    """The meta-learner.

    Parameters
    ----------
    net : Network
        Its parameters are what is meta-learned.
    options : argparse.Namespace
        From `options.parse`.

    Attributes
    ----------
    epoch : int
        Meta-steps done; whoever trains sets it.
    """

    passes_class = Passes

    def __init__(self, net, options):
        super().__init__()
        self.net = net
        self.options = options
        self.epoch = 0
        self.join = Join()
        self._passes = {}

    def is_second_order(self):
        """Whether the meta-gradient of this epoch goes through the inner gradients."""
        return self.options.order == "second" and self.epoch >= self.options.first_order_epochs

    def meta_gradient(self, x_spt, y_spt, x_qry, y_qry):
        """The outer loss and its gradient.

        Parameters
        ----------
        x_spt, x_qry : Tensor or ndarray of float32, [task, image, imgc, imgsz, imgsz]
        y_spt, y_qry : Tensor or ndarray of int32, [task, image]

        Returns
        -------
        loss, accuracy : Tensor
            Over the query images after the last inner step, means over the tasks.
        gradients : tuple of Tensor
            In the order of `trainable_params()`.
        """
        second = self.is_second_order()
        support, weights, x, y_spt = self._start(x_spt, y_spt)
        step, path = support.adapt_traced if second else support.adapt, []
        for _ in range(self.options.update_step):
            moved, trace = step(weights, x, y_spt)
            if second:
                path.append((weights, x, ms.mutable(trace)))
            weights = ms.mutable(moved)
        query, parts = self._query_parts(x_qry, y_qry)
        loss, accuracy, gradients = self._outer(query.query_gradient, parts, weights)
        while path:
            gradients = support.step_back(*path.pop(), ms.mutable(gradients))
        return loss, accuracy, support.gather(ms.mutable(gradients))

    def evaluate(self, x_spt, y_spt, x_qry, y_qry):
        """Adapt by `update_step_test` inner steps, then judge on the query images.

        Returns
        -------
        loss : Tensor
            Mean over tasks and query images.
        accuracies : Tensor, [task]
        predictions : Tensor of int32, [task, image]
        """
        steps = self.options.update_step_test
        return next(self.walk(x_spt, y_spt, x_qry, y_qry, steps, first=steps))

    def walk(self, x_spt, y_spt, x_qry, y_qry, steps, first=0):
        """Walk the inner loop, and judge on the query images on the way.

        Parameters
        ----------
        steps : int
            Inner steps to take.
        first : int
            The step after which to judge for the first time; 0: before adapting.

        Yields
        ------
        loss, accuracies, predictions : Tensor
            As `evaluate` returns them, after each inner step from number `first` to the last.
        """
        support, weights, x, y_spt = self._start(x_spt, y_spt)
        query, parts = self._query_parts(x_qry, y_qry)
        for done in range(steps + 1):
            if done:
                weights = ms.mutable(self._adapt(support, weights, done, x, y_spt))
            if done >= first:
                losses, accuracies, predictions = zip(*(self._judge(query, weights, done, *part) for part in parts))
                yield _mean_of(losses), _all_of(accuracies), _all_of(predictions)

    def _start(self, x_spt, y_spt):
        """The graphs for the support images, every task's copy of the parameters, the images prepared, and labels."""
        support = self.passes_for(*x_spt.shape[:2])
        weights = ms.mutable(support.spread(ms.mutable(tuple(self.net.parameters))))
        return support, weights, _changing(support.prepare(Tensor(x_spt))), Tensor(y_spt)

    def _query_parts(self, x_qry, y_qry):
        """The graphs for the query images, and the batch in parts: numbers of tasks, images prepared, labels."""
        count = tasks_at_once(*x_qry.shape[:2])
        query, parts = self.passes_for(count, x_qry.shape[1]), []
        for first in range(0, len(x_qry), count):
            part = slice(first, first + count)
            tasks = Tensor(np.arange(first, first + count, dtype=np.int32))
            parts.append((tasks, _changing(query.prepare(Tensor(x_qry[part]))), Tensor(y_qry[part])))
        return query, parts

    def _outer(self, graph, parts, *weights):
        """The outer loss, the accuracy and the gradients [task, in, out], by a query gradient's graph."""
        losses, accuracies, gradients = zip(*(graph(*weights, *part) for part in parts))
        return _mean_of(losses), _mean_of(accuracies), \
            self.join(ms.mutable(gradients)) if len(parts) > 1 else gradients[0]

    def _adapt(self, support, weights, number, x, labels):
        """The weights after inner step `number`, counted from 1."""
        return support.adapt(weights, x, labels)[0]

    def _judge(self, query, weights, done, tasks, x, labels):
        """What `walk` yields after `done` inner steps, for a part of the tasks."""
        return query.judge(weights, tasks, x, labels)

    def passes_for(self, task_num, images):
        """The compiled graphs for `task_num` tasks of `images` images each."""
        size = task_num, images
        if size not in self._passes:
            self._passes[size] = self.passes_class(self, *size)
        return self._passes[size]


def _mean_of(values):
    """The mean of scalars of as many tasks each."""
    return values[0] if len(values) == 1 else Tensor(np.mean([value.asnumpy() for value in values]))


def _all_of(values):
    """Tensors of some tasks each, as one."""
    return values[0] if len(values) == 1 else Tensor(np.concatenate([value.asnumpy() for value in values]))


def _changing(prepared):
    """Tell MindSpore that a tuple's tensors change from call to call (by default they are constants)."""
    return ms.mutable(prepared) if isinstance(prepared, tuple) else prepared
