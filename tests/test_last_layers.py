"""Inner steps of the last layers alone: what the whole learner gives, for less work."""
import numpy as np
import pytest
from gradients import batch_of
from mindspore import Tensor
from networks import NETWORKS, inner, network

from mindspore_maml import passes
from mindspore_maml.last_layers import LastLayers, OnFeatures
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


def evaluations(layers, steps=3, **changes):
    """Logits after several steps, and what took them."""
    meta = Meta(network(layers), inner(**changes))
    batch = list(map(Tensor, batch_of()))
    *_, logits = next(meta.evaluate_each_step(*batch, steps, first=steps))
    return logits.asnumpy(), type(meta.passes_for(len(batch[0]), batch[0].shape[1]).inner_step[False].learner)


@pytest.mark.parametrize("name", ["residual", "strided"])
def test_steps_on_features_lead_where_those_of_the_whole_learner_do(name, monkeypatch):
    found, kind = evaluations(NETWORKS[name], adapted=("head",))
    monkeypatch.setattr(passes, "stepping", lambda learner, _adapted: learner)
    expected, whole = evaluations(NETWORKS[name], adapted=("head",))
    assert (kind, whole) == (OnFeatures, Learner)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("adapted", [("weight",), ()])
def test_from_the_first_layer_on_the_learner_itself_takes_the_steps(adapted):
    assert gradients(NETWORKS["dense"], adapted=adapted)[2] is Learner
