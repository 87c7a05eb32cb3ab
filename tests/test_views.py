"""Views: copies of an image that are changed, learned from and asked beside it."""
from types import SimpleNamespace

import numpy as np
import pytest
from gradients import batch_of
from mindspore import Tensor
from networks import NETWORKS, inner, network

from mindspore_maml.cli.errors import InputError
from mindspore_maml.crossentropy import log_probabilities
from mindspore_maml.data.views import labels_of_views, views_alike, views_by_default, views_of
from mindspore_maml.devices.batch_share import Call, contribution, shares_of
from mindspore_maml.meta import Meta
from mindspore_maml.training.evaluation import evaluate_batch, evaluate_views

IMAGES = np.random.default_rng(1).integers(0, 256, (2, 3, 1, 8, 8)).astype(np.uint8)   # [task, image, ...]


def rng():
    return np.random.default_rng(4)


def test_the_first_view_is_the_image_itself():
    found = views_of(IMAGES, 4, 1.0, rng())
    assert (found.shape, found.dtype) == ((2, 12, 1, 8, 8), np.float32)
    assert np.array_equal(found[:, :3], IMAGES)
    assert all(np.abs(found[:, 3 * view:3 * view + 3] - IMAGES).mean() > 5 for view in (1, 2, 3))
    assert np.array_equal(found, views_of(IMAGES, 4, 1.0, rng()))


def test_one_view_or_no_strength_changes_nothing():
    assert np.array_equal(views_of(IMAGES, 1, 1.0, rng()), IMAGES)
    assert np.allclose(views_of(IMAGES, 2, 0.0, rng()), np.concatenate([IMAGES, IMAGES], axis=1), atol=1e-3)


def test_beyond_the_edge_there_is_paper():
    paper = np.full((1, 1, 8, 8), 0.7, np.float32)
    assert np.allclose(views_of(paper, 9, 3.0, rng(), paper=0.7), 0.7)


def test_labels_are_in_the_order_of_the_views():
    assert labels_of_views(np.array([[2, 0, 1]]), 2).tolist() == [[2, 0, 1, 2, 0, 1]]


def test_views_alike_are_the_same_changes_of_every_image():
    images = IMAGES[0]
    found = views_alike(images, 3, seed=2)
    assert np.array_equal(found[:3], images)
    assert np.array_equal(found[[1, 4, 7]], views_alike(images[1:2], 3, seed=2))
    assert np.abs(found - views_alike(images, 3, seed=3)).max() > 5


def test_fewer_examples_have_more_views():
    assert [views_by_default(examples) for examples in (2, 5, 25, 64, 1000)] == [4, 4, 2, 1, 1]


def test_log_probabilities_are_averaged_over_views():
    logits = np.random.default_rng(2).normal(0, 3, (2, 6, 4)).astype(np.float32)   # 3 images, 2 views
    each = np.log(np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))
    assert log_probabilities(logits, 2) == pytest.approx((each[:, :3] + each[:, 3:]) / 2, abs=1e-5)


@pytest.mark.parametrize("statistics", ["query", "support"])
def test_one_view_is_the_usual_evaluation(statistics):
    meta, batch = Meta(network(NETWORKS["strided"][3:]), inner(statistics=statistics)), batch_of()
    usual = next(meta.evaluate_each_step(*batch, 2, first=2))
    of_views = next(meta.evaluate_views(*batch, 2))
    assert float(of_views[0]) == pytest.approx(float(usual[0]), rel=1e-5)
    assert np.array_equal(usual[1].asnumpy(), of_views[1].asnumpy())
    assert of_views[2].asnumpy() == pytest.approx(log_probabilities(usual[2].asnumpy()), abs=1e-4)


def test_views_are_averaged_after_adapting_to_all_of_them():
    meta, (x_spt, y_spt, x_qry, y_qry) = Meta(network(NETWORKS["strided"][3:]), inner(statistics="support")), batch_of()
    x_spt, x_many = (views_of(images, 3, 1.0, rng()) for images in (x_spt, x_qry))
    batch = x_spt, labels_of_views(y_spt, 3), x_many, y_qry
    loss, accuracies, answered = next(meta.evaluate_views(*batch, 2))
    logits = meta.predict(meta.adapt(*batch[:2], 2), x_many, x_spt).asnumpy()   # of support statistics: all at once
    found = log_probabilities(logits, 3)
    assert answered.asnumpy() == pytest.approx(found, abs=1e-5)
    assert accuracies.asnumpy() == pytest.approx((found.argmax(-1) == y_qry).mean(-1))
    assert float(loss) == pytest.approx(-np.take_along_axis(found, y_qry[..., None], -1).mean(), rel=1e-4)
    shares = [contribution(meta, Call("evaluate_views", (2,)), share.of(batch), share) for share in shares_of(2, 2)]
    summed = [a + b for a, b in zip(*shares)]
    assert summed[0] == pytest.approx(float(loss), rel=1e-5)
    assert summed[2] == pytest.approx(answered.asnumpy(), abs=1e-5)


@pytest.mark.parametrize(("judge", "name"), [(evaluate_batch, "evaluate_each_step"),
                                             (evaluate_views, "evaluate_views")])
def test_a_loss_that_is_no_number_says_nothing_however_it_is_judged(judge, name):
    one = Tensor(np.float32(np.nan)), Tensor(np.ones(2, np.float32)), Tensor(np.ones((2, 3, 4), np.float32))
    meta = SimpleNamespace(**{name: lambda *_, **__: iter([one])})
    with pytest.raises(InputError, match="the query loss of a batch is nan after 2 inner steps"):
        judge(meta, (), 2)
