"""Learner: one network, run for a batch of tasks at once, every task with weights of its own, passed in."""
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from mindspore_maml.crossentropy import CrossEntropy
from mindspore_maml.layers.build import build
from mindspore_maml.layers.image_rows import Prepared
from mindspore_maml.layers.masks import Masks, NoMasks
from mindspore_maml.layers.network import Network
from mindspore_maml.layers.primitives import cut, join_rows


class Learner(nn.Cell):
    """The network for `task_num` tasks of `images` images each.

    It holds no parameters: `weights` is a tuple in the order of `Network.parameters`, each
    [task, in, out] or [task, 1, out] (see `network.to_rows`), and every method returns what it computes.

    Parameters
    ----------
    network : Network
        What to build.
    task_num, images : int
        Tasks in a batch; images of a task.
    loss : CrossEntropy, or one of your own with its methods
        Of the logits and labels; by default the cross-entropy.
    support : int
        Further images of a task, in front of the others, whose statistics batch normalisation takes for all of them.
        Logits, loss and labels leave them out. 0: the statistics are those of all images.
    """

    def __init__(self, network: Network, task_num: int, images: int, loss: Any = None, support: int = 0):
        super().__init__()
        self.preparation, self.chain = build(network, task_num, support + images)
        self.support = support
        if support:
            self.preparation.normalise_by(support)
            self.chain.normalise_by(support)
            self.no_gradient = Tensor(np.zeros((task_num, support, *network.specs[-1].shape_out), np.float32))
        self.masks = Masks(self.chain) if self.chain.dropouts else NoMasks()
        self.loss = loss or CrossEntropy()

    def prepare(self, images: Tensor, seed: tuple | None = None) -> Prepared:
        """Images in the form that the other methods take as `x`: what depends on them alone, computed once.

        Parameters
        ----------
        images : Tensor of float32, [task, image, channel, height, width]
            The support images first, if there are any beside the others.
        seed : tuple of int, optional
            In training, the seed of dropout's masks, another for every batch; each task draws from it and from its
            images, so it makes no difference which tasks it is batched with. None: nothing is dropped.
        """
        return self.masks.drawn_for(self.preparation(images), images, seed)

    def construct(self, weights: tuple, x: Prepared) -> Tensor:
        """Logits [task, image, class] of prepared images."""
        return self.judged(self.chain.forward(self.masks.put_into(weights, x), self.masks.data(x)))

    def gradient(self, weights: tuple, x: Prepared, labels: Tensor, scale: float) -> tuple[Tensor, tuple, tuple]:
        """The loss of every task, and the gradient of `scale` times that loss with respect to its weights.

        Parameters
        ----------
        weights : tuple of Tensor
            Every task's weights.
        x : tuple of Tensor
            Images, as `prepare` makes them.
        labels : Tensor of int32, [task, image]
        scale : float
            Usually the learning rate: scaling the loss is cheaper than scaling its gradient.

        Returns
        -------
        logits : Tensor, [task, image, class]
        gradients : tuple of Tensor
            Like `weights`.
        trace : tuple
            What `curvature` needs of this pass.
        """
        w = self.masks.put_into(weights, x)
        logits, forward_states = self.chain.forward_pass(w, self.masks.data(x))
        logits = self.judged(logits)
        d_logits, probability = self.loss.gradient(logits, labels, scale)
        _, gradients, backward_states = self.chain.backward(w, forward_states, self.of_all(d_logits))
        trace = forward_states, backward_states, probability
        return logits, self.masks.taken_from(gradients), trace

    def curvature(self, weights: tuple, x: Prepared, trace: tuple, direction: tuple, scale: float) -> tuple:
        """Hessian of `scale` times each task's loss, times `direction`: how `gradient` moves along it.

        Parameters
        ----------
        weights, direction : tuple of Tensor
            Every task's weights, and numbers like them.
        x : tuple of Tensor
            Images, as `prepare` makes them.
        trace : tuple
            From `gradient` at these weights.
        scale : float
            The same as there.

        Returns
        -------
        tuple of Tensor
            Like `weights`.
        """
        forward_states, backward_states, probability = trace
        w = self.masks.put_into(weights, x)
        w_dot = self.masks.put_into(direction, x)   # a mask has no tangent: what stands in its place is not read
        logits_dot, tangent_states = self.chain.forward_tangent(w, forward_states, w_dot, ())
        d_logits_dot = self.of_all(self.loss.gradient_tangent(probability, self.judged(logits_dot), scale))
        products = self.chain.backward_tangent(w, forward_states, backward_states, w_dot, tangent_states,
                                               d_logits_dot)[1]
        return self.masks.taken_from(products)

    def judged(self, logits: Tensor) -> Tensor:
        """Those of the images that are not in front: [task, support + image, class] -> [task, image, class]."""
        if not self.support:
            return logits
        tasks, images, classes = logits.shape
        return cut(logits, (0, self.support, 0), (tasks, images - self.support, classes))

    def of_all(self, d_logits: Tensor) -> Tensor:
        """The transpose of `judged`: support images have no gradient of their own."""
        return join_rows((self.no_gradient, d_logits)) if self.support else d_logits
