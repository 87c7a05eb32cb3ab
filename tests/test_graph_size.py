"""The compiled graphs do not grow with tasks or inner steps, and keep no more than the way back needs."""
import numpy as np
from graphs import operations
from mindspore import Tensor
from networks import NETWORKS, SIZE, WAYS, inner, network

from mindspore_maml.meta import Meta


def sizes(task_num, steps):
    """The number of kernels of each compiled graph of a second-order meta-gradient."""
    draws = np.random.default_rng(0)
    batch = []
    for k in (1, 2):
        batch += [Tensor(draws.random((task_num, WAYS * k, 1, SIZE, SIZE), dtype=np.float32)),
                  Tensor(np.tile(np.arange(WAYS).repeat(k), (task_num, 1)).astype(np.int32))]
    meta = Meta(network(NETWORKS["strided"][3:]), inner(steps=steps))
    meta.meta_gradient(*batch)
    support, query = meta.passes_for(task_num, WAYS), meta.passes_for(task_num, 2 * WAYS)
    graphs = {"inner step": support.inner_step[True], "way back": support.inner_step_back,
              "query gradient": query.query_gradient, "prepare": query.learner.preparation}
    return {name: len(operations(graph)) for name, graph in graphs.items()}


def test_graphs_do_not_grow_with_tasks_or_steps():
    few = sizes(task_num=2, steps=1)
    assert min(few.values()) > 5   # there is something to count
    assert sizes(task_num=5, steps=4) == few
