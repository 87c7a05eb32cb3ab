"""Meta: the inner loop, the outer loss, and the meta-gradient of both orders (Finn, Abbeel, Levine, 2017).

The inner loop on one task is w_0 = theta, w_{k+1} = w_k - a grad L(w_k), on the support set; the outer loss
is the query loss at w_N. Its gradient with respect to theta runs the loop backwards (equation 1 of the paper):

    l_N = grad L_query(w_N)         l_k = l_{k+1} - a H(w_k) l_{k+1}         d outer / d theta = l_0

with H the Hessian of the support loss. First order leaves the Hessian out: l_0 = l_N. Each line is one
compiled graph (`passes.py`) that all inner steps share, so neither compile time nor graph size grows with them.
"""
from collections.abc import Callable, Iterator

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindspore_maml.cli.errors import InputError
from mindspore_maml.crossentropy import log_probabilities
from mindspore_maml.inner_loop import HEAD, SUPPORT, Array, Back, InnerLoop, Judged, QuerySet, Step, SupportSet
from mindspore_maml.layers.image_rows import Prepared
from mindspore_maml.layers.network import Network
from mindspore_maml.layers.spec import PARAMETERS
from mindspore_maml.passes import AddScaled, JoinTasks, Passes


class Meta(nn.Cell):
    """The meta-learner. Another algorithm is a subclass that replaces some of its short methods (`src/algorithms`).

    Parameters
    ----------
    net : Network
        Its parameters are what is meta-learned.
    inner : InnerLoop
        The inner loop.
    tasks_at_once : callable, optional
        Of a number of tasks and of query images a task, how many tasks' query images to work on at a time, a divisor
        of the tasks; by default all.
    """

    def __init__(self, net: Network, inner: InnerLoop, tasks_at_once: Callable[[int, int], int] | None = None):
        super().__init__()
        self.net, self.inner, self.loss = net, inner, inner.loss_function()
        self.tasks_at_once = tasks_at_once or (lambda tasks, images: tasks)
        self.adapted = _adapted(net, inner.adapted)
        self.join_tasks, self.add_scaled = JoinTasks(), AddScaled()
        self._passes: dict[tuple[int, int, int], Passes] = {}

    def __call__(self, x_spt: Array, y_spt: Array, x_qry: Array, y_qry: Array) -> tuple[Tensor, Tensor]:
        """Adapt by the steps of training; the query loss and accuracy then, means over the tasks.

        Parameters
        ----------
        x_spt, x_qry : Tensor or ndarray of float32, [task, image, imgc, imgsz, imgsz]
        y_spt, y_qry : Tensor or ndarray of int32, [task, image]
        """
        steps = self.inner.steps
        loss, accuracies, _ = next(self.evaluate_each_step(x_spt, y_spt, x_qry, y_qry, steps, first=steps))
        return loss, accuracies.mean()

    def adapt(self, x: Array, labels: Array, steps: int) -> tuple:
        """Every task's weights after `steps` inner steps on its support images.

        Parameters
        ----------
        x : Tensor or ndarray of float32, [task, image, imgc, imgsz, imgsz]
        labels : Tensor or ndarray of int32, [task, image]

        Returns
        -------
        tuple of Tensor, each [task, in, out]
            In the order of `net.parameters`.
        """
        support = self.support_set(x, labels)
        weights = self.start(support)
        for number in range(1, steps + 1):
            weights = self.inner_step(support, weights, number).weights
        return weights

    def predict(self, weights: tuple, x: Array, x_spt: Array | None = None) -> Tensor:
        """Logits [task, image, class] of images at every task's `weights`.

        Parameters
        ----------
        weights : tuple of Tensor
            From `adapt`.
        x, x_spt : Tensor or ndarray of float32, [task, image, imgc, imgsz, imgsz]
            The images, and the support images, needed where the statistics are to be theirs.
        """
        self.refuse_other("query", x)
        passes = self.passes_for(len(x), x.shape[1], self.in_front(x_spt))
        return passes.learner(weights, changing(passes.prepare(self.behind_support(x, x_spt))))

    def meta_gradient(self, x_spt: Array, y_spt: Array, x_qry: Array, y_qry: Array,
                      epoch: int = 0) -> tuple[Tensor, Tensor, tuple]:
        """The outer loss and its gradient.

        Parameters
        ----------
        x_spt, x_qry : Tensor or ndarray of float32, [task, image, imgc, imgsz, imgsz]
        y_spt, y_qry : Tensor or ndarray of int32, [task, image]
        epoch : int
            Meta-steps done so far; the order may depend on it.

        Returns
        -------
        loss, accuracy : Tensor
            The outer loss, and the accuracy on the query images after the last inner step; means over the tasks.
        gradients : tuple of Tensor
            In the order of `trainable_params()`.
        """
        seed = self.net.seed, epoch
        support, query = self.support_set(x_spt, y_spt, seed), self.query_set(x_qry, y_qry, x_spt, seed)
        second, (first, *importance) = self.inner.is_second_order(epoch), self.loss_importance(epoch)
        weights, path = self.start(support), []
        judged = [self.judge(query, weights, 0, first)]
        for number, counts in enumerate(importance, 1):
            path.append(self.inner_step(support, weights, number, keeps_state=second))
            weights = path[-1].weights
            judged.append(self.judge(query, weights, number, counts))
        losses, last = [one.importance * one.loss for one in judged if one], judged[-1]
        assert last, "the last loss counts for nothing; expected more (loss_importance)"
        return sum(losses[1:], losses[0]), last.accuracy, self.backward_pass(support, path, judged, second)

    def loss_importance(self, epoch: int) -> list[float]:
        """What the query losses before and after each inner step count for in the outer loss; the last one not 0."""
        return [0.0] * self.inner.steps + [1.0]

    def start(self, support: SupportSet) -> tuple:
        """Every task's copy of the initial weights, each [task, in, out], which `support` then knows as such."""
        support.initial = ms.mutable(support.passes.copy_to_tasks(ms.mutable(tuple(self.net.parameters))))
        return support.initial

    def inner_step(self, support: SupportSet, weights: tuple, number: int, keeps_state: bool = False) -> Step:
        """Inner step `number`, counted from 1; with `keeps_state` for the way back through its Hessian.

        Without, the first layers that no step adapts see the images once, in the first step.
        """
        x = support.x if keeps_state else self.settled(support, weights)
        moved, state = support.passes.inner_step[keeps_state](weights, x, support.labels)
        return Step(number, weights, ms.mutable(moved), ms.mutable(state) if keeps_state else ())

    def settled(self, support: SupportSet, weights: tuple) -> Prepared:
        """What the first layers that no step adapts make of the support images, or else these as they are."""
        if support.settled is None:
            settle = support.passes.settle
            support.settled = changing(settle(weights, support.x)) if settle else support.x
        return support.settled

    def judge(self, query: QuerySet, weights: tuple, number: int, importance: float) -> Judged | None:
        """The query loss, accuracy and gradients at the weights after step `number`; None where it counts for 0."""
        if not importance:
            return None
        graph, weights = query.passes.query_gradient, self.query_weights(weights, number)
        losses, accuracies, gradients = zip(*(graph(*weights, *part) for part in query.parts))
        whole = self.join_tasks(ms.mutable(gradients)) if len(gradients) > 1 else gradients[0]
        return Judged(_mean_of(losses), _mean_of(accuracies), whole, importance)

    def query_weights(self, weights: tuple, number: int) -> tuple:
        """What the query pass after step `number` is called with before the images: the weights."""
        return (weights,)

    def step_back(self, support: SupportSet, step: Step, later: tuple, judged: Judged | None, second: bool) -> Back:
        """The outer gradient before an inner step from that after it.

        Parameters
        ----------
        later : tuple of Tensor, each [task, in, out]
            With respect to the weights after the step.
        judged : Judged or None
            What `judge` gave after the step, a part of `later` already.
        second : bool
            Whether to go through the inner gradient.
        """
        before = support.passes.inner_step_back(step.before, support.x, step.state, later) if second else later
        return Back(ms.mutable(before))

    def learned_gradients(self, passes: Passes, learned: list) -> dict:
        """The gradients of what the algorithm learns beside the weights, by name, from all steps' `Back.learned`.

        A gradient by the name of one of the network's parameters is taken in place of its own.
        """
        return {}

    def backward_pass(self, support: SupportSet, path: list[Step], judged: list[Judged | None], second: bool) -> tuple:
        """The outer gradient in the order of `trainable_params()`, from the last step back to the first."""
        later: tuple = ()
        of_initial: tuple = ()
        learned: list = []
        while path:   # what is behind is let go, for it is large
            step, after = path.pop(), judged.pop()
            if after:
                later = self.plus(later, after.gradients, after.importance)
            back = self.step_back(support, step, later, after, second)
            later, learned = back.before, [back.learned, *learned]
            of_initial = self.plus(of_initial, back.initial) if back.initial else of_initial
        if before := judged.pop():
            later = self.plus(later, before.gradients, before.importance)
        totals = support.passes.sum_over_tasks(self.plus(later, of_initial) if of_initial else later)
        found = {parameter.name: total for parameter, total in zip(self.net.parameters, totals)}
        found |= self.learned_gradients(support.passes, learned)
        return tuple(found[parameter.name] for parameter in self.trainable_params())

    def plus(self, gradients: tuple, more: tuple, factor: float = 1.0) -> tuple:
        """`gradients` (empty: zero) plus `factor` times `more`."""
        more = ms.mutable(more)
        if not gradients and factor == 1:
            return more
        zeros = gradients or ms.mutable(tuple(map(ms.ops.zeros_like, more)))
        return ms.mutable(self.add_scaled(zeros, more, Tensor(factor, ms.float32)))

    def evaluate(self, x_spt: Array, y_spt: Array, x_qry: Array, y_qry: Array) -> tuple[Tensor, Tensor, Tensor]:
        """Adapt by the steps of evaluation, then judge on the query images.

        Returns
        -------
        loss : Tensor
            Mean over tasks and query images.
        accuracies : Tensor, [task]
        predictions : Tensor of int32, [task, image]
        """
        steps = self.inner.steps_test
        loss, accuracies, logits = next(self.evaluate_each_step(x_spt, y_spt, x_qry, y_qry, steps, first=steps))
        return loss, accuracies, self.loss.answers(logits)

    def evaluate_each_step(self, x_spt: Array, y_spt: Array, x_qry: Array, y_qry: Array, steps: int,
                           first: int = 0) -> Iterator[tuple]:
        """Take inner steps, and judge on the query images after each.

        Parameters
        ----------
        steps : int
            Inner steps to take.
        first : int
            The step after which to judge for the first time; 0: before adapting.

        Yields
        ------
        loss, accuracies, logits : Tensor
            As `evaluate` returns them, with logits [task, image, class] in place of predictions, after each inner step
            from number `first` to the last.
        """
        support, query = self.support_set(x_spt, y_spt), self.query_set(x_qry, y_qry, x_spt)
        weights = self.start(support)
        for number in range(steps + 1):
            if number:
                weights = self.inner_step(support, weights, number).weights
            if number >= first:
                yield self.query_evaluation(query, weights, number)

    def query_evaluation(self, query: QuerySet, weights: tuple, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """What `evaluate_each_step` yields, at the weights after inner step `number`."""
        graph, weights = query.passes.query_evaluation, self.query_weights(weights, number)
        losses, accuracies, logits = zip(*(graph(*weights, *part) for part in query.parts))
        return _mean_of(losses), _all_of(accuracies), _all_of(logits)

    def evaluate_views(self, x_spt: Array, y_spt: Array, x_qry: Array, y_qry: Array,
                       steps: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Take inner steps, then judge each query image by several views of it, in the mean log-probability.

        Parameters
        ----------
        x_qry : ndarray of float32, [task, view x image, imgc, imgsz, imgsz]
            As `views_of` makes it; as many views as there are more images than labels `y_qry` [task, image].

        Yields
        ------
        loss, accuracies, log_probabilities : Tensor
            As `evaluate_each_step` yields them, once, with that mean [task, image, class] in place of logits, and as
            loss what it leaves for the labels.
        """
        images, views = y_qry.shape[1], x_qry.shape[1] // y_qry.shape[1]
        weights, parts = self.adapt(x_spt, y_spt, steps), views // self._views_at_once(views, images, x_spt)
        logits = [self.predict(weights, part, x_spt).asnumpy() for part in np.split(_array(x_qry), parts, axis=1)]
        found = log_probabilities(np.concatenate(logits, axis=1), views)          # [task, image, class]
        labels = _array(y_qry)
        loss = -np.take_along_axis(found, labels[..., None], axis=-1).mean()
        accuracies = (found.argmax(axis=-1) == labels).mean(axis=-1).astype(np.float32)
        yield Tensor(np.float32(loss)), Tensor(accuracies), Tensor(found.astype(np.float32))

    def _views_at_once(self, views, images, x_spt):
        """How many of the views of so many images make one query pass: each goes through the support images too."""
        room = self.in_front(x_spt)   # 0 where the statistics are those of one view's query images
        return max(count for count in range(1, views + 1) if views % count == 0 and count * images <= max(images, room))

    def support_set(self, x: Array, labels: Array, seed: tuple | None = None) -> SupportSet:
        """Images [task, image, imgc, imgsz, imgsz] and labels, ready for inner steps; `seed` as `Learner.prepare`."""
        self.refuse_other("support", x, labels)
        passes = self.passes_for(*x.shape[:2])
        return SupportSet(passes, changing(passes.prepare(Tensor(x), seed)), Tensor(labels))

    def query_set(self, x: Array, labels: Array, x_spt: Array, seed: tuple | None = None) -> QuerySet:
        """Images [task, image, imgc, imgsz, imgsz] and labels, ready for the query pass; `seed` likewise.

        `x_spt` are the support images, whose statistics may be wanted.
        """
        self.refuse_other("query", x, labels)
        images, support = x.shape[1], self.in_front(x_spt)
        count = self.tasks_at_once(len(x), support + images)
        passes, parts = self.passes_for(count, images, support), []
        for first in range(0, len(x), count):
            part = slice(first, first + count)
            tasks = Tensor(np.arange(first, first + count, dtype=np.int32))
            prepared = passes.prepare(self.behind_support(x[part], x_spt[part]), seed)
            parts.append((tasks, changing(prepared), Tensor(labels[part])))
        return QuerySet(passes, parts)

    def refuse_other(self, which: str, x: Array, labels: Array | None = None) -> None:
        """Refuse images or labels of another type or shape than the graphs take, before MindSpore meets them.

        Raises
        ------
        InputError
            With what was found and what is expected.
        """
        shape = ", ".join(map(str, self.net.image_shape))
        if _type_of(x) != "float32" or x.ndim != 5 or tuple(x.shape[2:]) != self.net.image_shape:
            raise InputError(f"{which} images are {_type_of(x)} {tuple(x.shape)}; expected float32 "
                             f"[task, image, {shape}]")
        kind = self.loss.label_type
        if labels is not None and (_type_of(labels) != kind or tuple(labels.shape[:2]) != tuple(x.shape[:2])
                                   or labels.ndim != 2 + (kind == "float32")):
            raise InputError(f"{which} labels are {_type_of(labels)} {tuple(labels.shape)}; expected {kind} "
                             f"{tuple(x.shape[:2])}, a number for every image")

    def in_front(self, x_spt: Array | None) -> int:
        """How many support images of a task the query pass takes in front of the query images."""
        if self.inner.statistics != SUPPORT:
            return 0
        if x_spt is None:
            raise ValueError("no support images; expected some, for the statistics are to be theirs")
        return x_spt.shape[1]

    def behind_support(self, x: Array, x_spt: Array | None) -> Tensor:
        """Query images as the query pass takes them: [task, support + image, imgc, imgsz, imgsz]."""
        return Tensor(np.concatenate([_array(x_spt), _array(x)], axis=1)) if self.in_front(x_spt) else Tensor(x)

    def passes_for(self, task_num: int, images: int, support: int = 0) -> Passes:
        """The compiled graphs for `task_num` tasks of `images` images each, `support` images in front of them."""
        size = task_num, images, support
        if size not in self._passes:
            self._passes[size] = self.build_passes(*size)
        return self._passes[size]

    def build_passes(self, task_num: int, images: int, support: int) -> Passes:
        """The graphs themselves; an algorithm with others builds those."""
        return Passes(self.net, self.inner, self.adapted, task_num, images, support)


def _adapted(net, kinds):
    """For every parameter, whether it is one of the adapted `kinds`, or of the head if that is among them."""
    unknown = sorted(set(kinds) - {*PARAMETERS, *net.kinds, HEAD})
    if unknown:
        raise InputError(f"--adapt {unknown[0]}: the network has no such parameters; expected kinds of them: "
                         f"{', '.join(dict.fromkeys([*PARAMETERS, *net.kinds, HEAD]))}")
    layers = [parameter.name.rsplit(".", 1)[0] for parameter in net.parameters]
    return tuple(kind in kinds or (HEAD in kinds and layer == layers[-1]) for layer, kind in zip(layers, net.kinds))


def _type_of(values):
    return str(values.dtype).lower()


def _array(images):
    return images.asnumpy() if isinstance(images, Tensor) else images


def changing(prepared: Prepared) -> Prepared:
    """Tell MindSpore that a tuple's tensors change from call to call (by default they are constants)."""
    return ms.mutable(prepared) if isinstance(prepared, tuple) else prepared


def _mean_of(values):
    """The mean of scalars of as many tasks each."""
    return values[0] if len(values) == 1 else Tensor(np.mean([value.asnumpy() for value in values]))


def _all_of(values):
    """Tensors of some tasks each, as one."""
    return values[0] if len(values) == 1 else Tensor(np.concatenate([value.asnumpy() for value in values]))
