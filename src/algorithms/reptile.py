"""Reptile (Nichol, Achiam, Schulman, 2018, arXiv 1803.02999): the initial weights move towards the adapted ones."""
import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

from mindspore_maml.meta import Meta


class Reptile(Meta):
    """`Meta` that learns without a query set: both sets of a batch are there to adapt to, in turn.

    Its inner steps take the support images and the query images as two mini-batches, so that successive steps see
    different images, which is where Reptile learns from (the paper's section 5.1).
    """

    def meta_gradient(self, x_spt: np.ndarray, y_spt: np.ndarray, x_qry: np.ndarray, y_qry: np.ndarray,
                      epoch: int = 0) -> tuple[Tensor, Tensor, tuple]:
        """(theta - w_N) / a, the mean over the tasks (the paper's section 2).

        Loss and accuracy are those of the images that the last step did not take, after it.
        """
        seed = self.net.seed, epoch
        sets = (self.support_set(x_spt, y_spt, seed), self.support_set(x_qry, y_qry, seed))
        weights = initial = self.start(sets[0])
        for number in range(1, self.inner.steps + 1):
            weights = self.inner_step(sets[(number - 1) % 2], weights, number).weights
        images, labels, others = ((x_spt, y_spt, x_qry), (x_qry, y_qry, x_spt))[self.inner.steps % 2]
        loss, accuracies, _ = self.query_evaluation(self.query_set(images, labels, others), weights, self.inner.steps)
        moved = ms.mutable(tuple((start - end) / self.inner.rate for start, end in zip(initial, weights)))
        return loss, ops.ReduceMean()(accuracies), sets[0].passes.sum_over_tasks(moved)
