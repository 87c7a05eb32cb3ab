"""A guard for speed that times nothing: how many operations the compiled steps hold."""
import re

import numpy as np
import pytest
from mindspore import Tensor
from networks import NETWORKS, SIZE, WAYS, network, options

from src.meta import Meta

NOT_KERNELS = {b"TupleGetItem", b"MakeTuple", b"Return", b"Depend"}


def operations(cell):
    """The kernels of a compiled graph, by name."""
    names = re.findall(rb'([A-Z]\w+)".Default', cell.get_func_graph_proto())
    return [name for name in names if name not in NOT_KERNELS]


def sizes(task_num, update_step):
    """The number of kernels of each compiled graph of a second-order meta-gradient."""
    draws = np.random.default_rng(0)
    batch = []
    for k in (1, 2):
        batch += [Tensor(draws.random((task_num, WAYS * k, 1, SIZE, SIZE), dtype=np.float32)),
                  Tensor(np.tile(np.arange(WAYS).repeat(k), (task_num, 1)).astype(np.int32))]
    meta = Meta(network(NETWORKS["strided"]), options(update_step=update_step))
    meta.meta_gradient(*batch)
    support, query = meta.passes_for(batch[0]), meta.passes_for(batch[2])
    return {"inner step": len(operations(support.adapt_traced)), "way back": len(operations(support.step_back)),
            "query gradient": len(operations(query.query_gradient)), "prepare": len(operations(query.prepare))}


@pytest.fixture(scope="module")
def found():
    return sizes(task_num=2, update_step=1)


def test_graphs_stay_small(found):
    """Bounds a fifth above what the program has now."""
    bounds = {"inner step": 77, "way back": 110, "query gradient": 90, "prepare": 14}
    assert {name: size for name, size in found.items() if size > bounds[name]} == {}
    assert min(found.values()) > 5


def test_graphs_do_not_grow_with_tasks_or_steps(found):
    assert sizes(task_num=5, update_step=4) == found
