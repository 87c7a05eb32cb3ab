"""Inner steps of the last layers alone: what the whole learner gives, for less work."""
import numpy as np
import pytest
from gradients import batch_of
from mindspore import Tensor
from networks import NETWORKS, inner, network

from mindspore_maml import passes
from mindspore_maml.last_layers import LastLayers
from mindspore_maml.learner import Learner
from mindspore_maml.meta import Meta


def gradients(layers, **changes):
    """Loss and meta-gradients, and what took the inner steps."""
    meta = Meta(network(layers), inner(**changes))
    batch = list(map(Tensor, batch_of()))
    loss, _, found = meta.meta_gradient(*batch, epoch=5)
    learned = meta.passes_for(len(batch[0]), batch[0].shape[1]).inner_step[True].learner
    return float(loss), np.concatenate([gradient.asnumpy().ravel() for gradient in found]), type(learned)


@pytest.mark.parametrize(("name", "changes"), [
    ("residual", {"adapted": ("head",)}),   # and dropout's masks on both sides
    ("strided", {"adapted": ("head",), "statistics": "support"}),
    ("without normalisation", {"adapted": ("beta",)}),   # the one of the only normalisation, in the middle
])
def test_meta_gradients_are_those_of_the_whole_learner(name, changes, monkeypatch):
    loss, found, kind = gradients(NETWORKS[name], **changes)
    monkeypatch.setattr(passes, "stepping", lambda learner, _adapted: learner)
    of_all, expected, whole = gradients(NETWORKS[name], **changes)
    assert (kind, whole) == (LastLayers, Learner)
    assert loss == pytest.approx(of_all, rel=1e-5)
    assert np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize("adapted", [("weight",), ()])
def test_from_the_first_layer_on_the_learner_itself_takes_the_steps(adapted):
    assert gradients(NETWORKS["dense"], adapted=adapted)[2] is Learner
