"""A first training of the body as an ordinary classifier of all training classes, from which MAML can start.

Features that tell hundreds of classes apart tell new ones apart too (Ye and Chao, 2022, arXiv 2106.16245, start from
such); and a step costs a forward and a backward pass alone.
"""
import functools
from collections.abc import Callable

import mindspore as ms
import numpy as np
from mindspore import ParameterTuple, Tensor

from mindspore_maml.inner_loop import InnerLoop
from mindspore_maml.layers.network import Network
from mindspore_maml.meta import Meta, changing
from mindspore_maml.passes import Passes

PREFIX = "classes."   # of the names of its own head's parameters


class Classifier(Meta):
    """`Meta` whose training classifies images among all classes, by a head of its own in place of the network's.

    It is tested as MAML is, from the network's own head, which stays as it was. So its checkpoint is one of MAML's with
    a trained body.

    Parameters
    ----------
    net, inner, tasks_at_once
        As `Meta` takes them.
    of_classes : Network, optional
        The same network with as many outputs as there are classes to train on; its head is trained, and its body is
        that of `net`. None: for testing alone.
    """

    def __init__(self, net: Network, inner: InnerLoop, tasks_at_once: Callable[[int, int], int] | None = None,
                 of_classes: Network | None = None):
        super().__init__(net, inner, tasks_at_once)
        if of_classes:
            head = of_classes.specs[-1].name + "."
            body = [parameter for parameter in net.parameters if not parameter.name.startswith(f"net.{head}")]
            own = [parameter for parameter in of_classes.parameters if parameter.name.startswith(head)]
            for parameter in own:
                parameter.name = PREFIX + parameter.name.removeprefix(head)
            self.trained = ParameterTuple([*body, *own])
            not_adapted = (False,) * len(self.trained)   # there is no inner loop
            self.build_for_classes = functools.cache(functools.partial(Passes, of_classes, inner, not_adapted))

    def meta_gradient(self, x_spt: np.ndarray, y_spt: np.ndarray, x_qry: np.ndarray, y_qry: np.ndarray,
                      epoch: int = 0) -> tuple[Tensor, Tensor, tuple]:
        """Loss, accuracy and the loss's gradient on `x_qry` alone, whose labels `y_qry` are numbers of classes.

        Every "task" is a batch of images of its own, with the statistics of its own images. The network's head has a
        gradient of zero.
        """
        tasks, images = x_qry.shape[:2]
        passes = self.build_for_classes(tasks, images)
        weights = ms.mutable(passes.copy_to_tasks(ms.mutable(tuple(self.trained))))
        prepared = changing(passes.prepare(Tensor(x_qry), (self.net.seed, epoch)))
        numbers = Tensor(np.arange(tasks, dtype=np.int32))
        loss, accuracy, gradients = passes.query_gradient(weights, numbers, prepared, Tensor(y_qry))
        totals = passes.sum_over_tasks(ms.mutable(gradients))
        found = {parameter.name: total for parameter, total in zip(self.trained, totals)}
        return loss, accuracy, tuple(found[parameter.name] if parameter.name in found else ms.ops.zeros_like(parameter)
                                     for parameter in self.trainable_params())
