"""MAML++: its loss weights, and its meta-gradient against central differences in double precision."""
import numpy as np
import pytest
import reference
from mindspore import Tensor
from networks import NETWORKS, network, options
from test_gradients import TASKS, batch_of, in_double, weights_of

from src.algorithms.maml_plus_plus import MetaPlus, loss_weights
from src.meta import Meta

STEPS, EPOCH, ANNEALED = 2, 3, 10
PLUS = {"adapt": "weight,bias", "multi_step_epochs": ANNEALED, "first_order_epochs": 0, "update_step": STEPS}


@pytest.mark.parametrize("epoch", [0, 3, 9, 10, 50])
def test_loss_weights_sum_to_one_and_end_at_the_last_step(epoch):
    weights = loss_weights(5, epoch, ANNEALED)
    assert sum(weights) == pytest.approx(1)
    assert weights[-1] == pytest.approx(max(weights))
    assert (weights[:-1] == [0.0] * 4) == (epoch >= ANNEALED)


def test_loss_weights_start_even():
    assert loss_weights(4, 0, ANNEALED) == pytest.approx([0.25] * 4)


def meta_plus(layers, **changes):
    """A `MetaPlus` whose rates and shifts are not at their starting values."""
    meta = MetaPlus(network(layers), options(**(PLUS | changes)))
    draws = np.random.default_rng(7)
    for parameter in (meta.rates, *meta.shifts):
        parameter.set_data(parameter + Tensor(draws.normal(0, 0.05, parameter.shape).astype(np.float32)))
    meta.epoch = EPOCH
    return meta


def shift_betas(weights, values, step):
    """`weights` with the shifts of one step added to the betas; the names of `values` are the program's."""
    return {name: value + values[f"shifts.net.{name}"][step] if f"shifts.net.{name}" in values else value
            for name, value in weights.items()}


def outer_loss(layers, values, batch):
    """The definition of MAML++'s loss, task by task, from all trained values by name."""
    start = {name.removeprefix("net."): value for name, value in values.items() if name.startswith("net.")}
    total = 0.0
    for x_spt, y_spt, x_qry, y_qry in zip(*batch):
        weights = start
        for step, share in enumerate(loss_weights(STEPS, EPOCH, ANNEALED)):
            slope = reference.gradient(layers, shift_betas(weights, values, step), x_spt, y_spt)
            weights = {name: value - values["rates"][step, i] * slope[name] if "beta" not in name else value
                       for i, (name, value) in enumerate(weights.items())}
            total += share * reference.loss(layers, shift_betas(weights, values, step), x_qry, y_qry)
    return total / TASKS


def test_meta_gradient_matches_differences():
    layers, batch = NETWORKS["strided"], batch_of()
    meta = meta_plus(layers)
    loss, _, gradients = meta.meta_gradient(*map(Tensor, batch))
    names = [parameter.name for parameter in meta.trainable_params()]
    found = {name: g.asnumpy().astype(np.float64) for name, g in zip(names, gradients)}
    values = {parameter.name: parameter.asnumpy().astype(np.float64) for parameter in meta.net.parameters}
    values |= {p.name: p.asnumpy().astype(np.float64) for p in (meta.rates, *meta.shifts)}
    batch = in_double(batch)
    assert float(loss) == pytest.approx(outer_loss(layers, values, batch), rel=1e-4)
    draws, width = np.random.default_rng(8), 1e-8
    for group in ("net.", "rates", "shifts."):   # each alone, for the network's gradient is much the largest
        direction = {name: draws.normal(size=g.shape) if name.startswith(group) else 0 * g
                     for name, g in found.items()}
        ends = [outer_loss(layers, {name: value + sign * width * direction[name] for name, value in values.items()},
                           batch) for sign in (1, -1)]
        size = np.sqrt(sum((found[name] ** 2).sum() for name in found if name.startswith(group)))
        along = sum((found[name] * direction[name]).sum() for name in found)
        assert size > 1e-4
        assert along == pytest.approx((ends[0] - ends[1]) / (2 * width), abs=3e-3 * size)


def test_without_learning_it_is_plain_maml():
    layers, batch = NETWORKS["strided"], list(map(Tensor, batch_of()))
    settings = PLUS | {"multi_step_epochs": 0}
    plus, plain = MetaPlus(network(layers), options(**settings)), Meta(network(layers), options(**settings))
    expected = {name: g.asnumpy() for name, g in zip(weights_of(plain.net), plain.meta_gradient(*batch)[2])}
    found = dict(zip([p.name for p in plus.trainable_params()], plus.meta_gradient(*batch)[2]))
    for name, value in expected.items():
        np.testing.assert_allclose(found[f"net.{name}"].asnumpy(), value, rtol=1e-3, atol=1e-5)
    losses = [float(meta.evaluate(*batch)[0]) for meta in (plus, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("meta_class", [Meta, MetaPlus])
def test_walking_judges_as_an_evaluation_of_so_many_steps_would(meta_class):
    layers, batch = NETWORKS["strided"], list(map(Tensor, batch_of()))
    meta = meta_plus(layers) if meta_class is MetaPlus else Meta(network(layers), options(**PLUS))
    judged = list(meta.walk(*batch, STEPS + 1))
    losses = [float(loss) for loss, _, _ in judged]
    assert len(set(losses)) == STEPS + 2
    for step, (_, accuracies, predictions) in enumerate(judged):
        meta.options.update_step_test = step
        loss, *expected = meta.evaluate(*batch)
        assert float(loss) == pytest.approx(losses[step], rel=1e-6)
        for found, value in zip((accuracies, predictions), expected):
            np.testing.assert_array_equal(found.asnumpy(), value.asnumpy())
