"""MAML++, Meta-SGD, ANIL and Reptile against their definitions, task by task in double precision."""
import numpy as np
import pytest
import reference
from gradients import TASKS, batch_of, in_double, relative_error, weights_of
from mindspore import Tensor
from networks import NETWORKS, inner, network

from mindspore_maml.algorithms.maml_plus_plus import MAMLPlusPlus, loss_weights
from mindspore_maml.algorithms.meta_sgd import MetaSGD
from mindspore_maml.algorithms.reptile import Reptile
from mindspore_maml.crossentropy import CrossEntropy
from mindspore_maml.meta import Meta

STEPS, EPOCH, ANNEALED = 2, 3, 10
LAYERS = NETWORKS["strided"][3:]   # one block: what an algorithm does depends on no layer, and less is compiled
WITHOUT_BETAS = {"adapted": ("weight", "bias"), "multi_step_epochs": ANNEALED}
EVERYTHING = {"adapted": ("weight", "bias", "gamma", "beta")}


@pytest.mark.parametrize("epoch", [0, 3, 9, 10, 50])
def test_loss_weights_sum_to_one_and_end_at_the_last_step(epoch):
    weights = loss_weights(5, epoch, ANNEALED)
    assert sum(weights) == pytest.approx(1)
    assert weights[-1] == pytest.approx(max(weights))
    assert (weights[:-1] == [0.0] * 4) == (epoch >= ANNEALED)


def test_steps_beyond_the_trained_ones_take_the_last_ones_values():
    meta = learner(MAMLPlusPlus, **WITHOUT_BETAS)
    for number, row in ((0, 0), (1, 0), (2, 1), (3, 1), (7, 1)):
        found = [float(rate.asnumpy().item()) for rate in meta.step_rates(None, number)]
        assert found == meta.rates.asnumpy()[row].tolist()
        shifts = meta.step_shifts(2, number)
        assert np.array_equal(shifts[0].asnumpy()[1].ravel(), meta.shifts[0].asnumpy()[row])


def test_no_loss_counts_for_nothing_before_the_annealing_ends():
    for epoch in range(ANNEALED):
        assert min(loss_weights(5, epoch, ANNEALED)) > 0


def test_loss_weights_start_even():
    assert loss_weights(4, 0, ANNEALED) == pytest.approx([0.25] * 4)


def learner(algorithm, **changes):
    """A meta-learner whose learned values are not at their starting values."""
    meta = algorithm(network(LAYERS), inner(**changes))
    draws = np.random.default_rng(7)
    for parameter in meta.trainable_params():
        if not parameter.name.startswith("net."):
            noise = draws.normal(0, 0.05, parameter.shape).astype(np.float32)
            parameter.set_data(parameter + Tensor(noise))
    return meta


def values_of(meta):
    """Everything trained, by name, in double precision."""
    return {parameter.name: parameter.asnumpy().astype(np.float64) for parameter in meta.trainable_params()}


def shares(algorithm):
    """What the query loss after each step counts for."""
    return loss_weights(STEPS, EPOCH, ANNEALED) if algorithm is MAMLPlusPlus else [0.0] * (STEPS - 1) + [1.0]


def rate(algorithm, values, step, number, name):
    """A parameter's inner rate: a number for each step, or one for every entry."""
    return values["rates"][step, number] if algorithm is MAMLPlusPlus else values[f"rates.net.{name}"]


def shift_betas(weights, values, step):
    """`weights` with the shifts of one step added to the betas."""
    return {name: value + values[f"shifts.net.{name}"][step] if f"shifts.net.{name}" in values else value
            for name, value in weights.items()}


def outer_loss(algorithm, adapted, values, batch, slopes):
    """The definition of the outer loss.

    `slopes` are the inner gradients of every task and step, which first order holds constant. An empty list is filled
    with those at `values`.
    """
    start = {name.removeprefix("net."): value for name, value in values.items() if name.startswith("net.")}
    given, total = iter(list(slopes)), 0.0
    for x_spt, y_spt, x_qry, y_qry in zip(*batch):
        weights = start
        for step, share in enumerate(shares(algorithm)):
            slope = next(given, None) or reference.gradient(LAYERS, shift_betas(weights, values, step), x_spt, y_spt)
            slopes.append(slope)
            weights = {name: value - rate(algorithm, values, step, i, name) * slope[name]
                       if name.split(".")[1] in adapted else value for i, (name, value) in enumerate(weights.items())}
            if share:
                total += share * reference.loss(LAYERS, shift_betas(weights, values, step), x_qry, y_qry)
    return total / TASKS


@pytest.mark.parametrize("order", ["second", "first"])
@pytest.mark.parametrize(("algorithm", "settings"), [(MAMLPlusPlus, WITHOUT_BETAS), (MetaSGD, EVERYTHING)])
def test_meta_gradient_of_learned_steps_matches_differences(algorithm, settings, order):
    batch, meta = batch_of(), learner(algorithm, order=order, **settings)
    loss, _, gradients = meta.meta_gradient(*map(Tensor, batch), epoch=EPOCH)
    values, batch = values_of(meta), in_double(batch)
    found = {name: g.asnumpy().astype(np.float64) for name, g in zip(values, gradients)}
    slopes = []
    assert float(loss) == pytest.approx(outer_loss(algorithm, settings["adapted"], values, batch, slopes), rel=1e-4)
    draws, width = np.random.default_rng(8), 1e-8
    for group in ("net.", "rates", "shifts."):   # each alone, for the network's gradient is much the largest
        size = np.sqrt(sum((found[name] ** 2).sum() for name in found if name.startswith(group)))
        direction = {name: draws.normal(size=g.shape) if name.startswith(group) else 0 * g
                     for name, g in found.items()}
        ends = [outer_loss(algorithm, settings["adapted"],
                           {name: value + sign * width * direction[name] for name, value in values.items()}, batch,
                           list(slopes) if order == "first" else []) for sign in (1, -1)]
        along = sum((found[name] * direction[name]).sum() for name in found)
        assert size > 1e-4 or (group == "shifts." and algorithm is MetaSGD)   # which has none
        assert along == pytest.approx((ends[0] - ends[1]) / (2 * width), abs=5e-4 * size)


@pytest.mark.parametrize("algorithm", [MAMLPlusPlus, MetaSGD])
def test_unlearned_steps_are_plain_maml(algorithm):
    batch, settings = list(map(Tensor, batch_of())), {"adapted": ("weight", "bias")}
    learned, plain = algorithm(network(LAYERS), inner(**settings)), Meta(network(LAYERS), inner(**settings))
    expected = {name: g.asnumpy() for name, g in zip(weights_of(plain.net), plain.meta_gradient(*batch)[2])}
    found = dict(zip([p.name for p in learned.trainable_params()], learned.meta_gradient(*batch)[2]))
    for name, value in expected.items():
        np.testing.assert_allclose(found[f"net.{name}"].asnumpy(), value, rtol=1e-3, atol=1e-5)
    losses = [float(meta.evaluate(*batch)[0]) for meta in (learned, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_anil_adapts_the_head_alone():
    net, batch = network(LAYERS), batch_of()
    meta = Meta(net, inner(adapted=("head",)))
    found = {name: g.asnumpy().astype(np.float64)
             for name, g in zip(weights_of(net), meta.meta_gradient(*map(Tensor, batch))[2])}
    start, batch = weights_of(net), in_double(batch)
    head = f"{len(LAYERS) - 1}."

    def loss_at(weights):
        losses = []
        for x_spt, y_spt, x_qry, y_qry in zip(*batch):
            adapted = weights
            for _ in range(STEPS):
                slope = reference.gradient(LAYERS, adapted, x_spt, y_spt)
                adapted = {name: value - 0.3 * slope[name] if name.startswith(head) else value
                           for name, value in adapted.items()}
            losses.append(reference.loss(LAYERS, adapted, x_qry, y_qry))
        return np.mean(losses)

    draws, width = np.random.default_rng(9), 1e-8
    direction = {name: draws.normal(size=g.shape) for name, g in found.items()}
    ends = [loss_at({name: value + sign * width * direction[name] for name, value in start.items()})
            for sign in (1, -1)]
    size = np.sqrt(sum((g ** 2).sum() for g in found.values()))
    along = sum((found[name] * direction[name]).sum() for name in found)
    assert along == pytest.approx((ends[0] - ends[1]) / (2 * width), abs=5e-4 * size)


@pytest.mark.parametrize("steps", [2, 3])
def test_reptile_moves_towards_the_weights_adapted_to_both_sets_in_turn(steps):
    net, batch = network(LAYERS), batch_of()
    loss, accuracy, gradients = Reptile(net, inner(steps=steps)).meta_gradient(*map(Tensor, batch))
    found = {name: g.asnumpy().astype(np.float64) for name, g in zip(weights_of(net), gradients)}
    start, expected, losses, right = weights_of(net), [], [], []
    for x_spt, y_spt, x_qry, y_qry in zip(*in_double(batch)):
        weights, sets = start, [(x_spt, y_spt), (x_qry, y_qry)]
        for x, labels in (sets * 2)[:steps]:
            weights = reference.adapt(LAYERS, weights, x, labels, 1, 0.3, EVERYTHING["adapted"])
        x, labels = sets[steps % 2]   # what the last step did not take
        losses.append(reference.loss(LAYERS, weights, x, labels))
        right.append((reference.logits(LAYERS, weights, x).argmax(1) == labels).mean())
        expected.append({name: (start[name] - weights[name]) / 0.3 for name in start})
    mean = {name: np.mean([of_task[name] for of_task in expected], axis=0) for name in start}
    assert relative_error(found, mean) < 1e-4
    assert float(loss) == pytest.approx(np.mean(losses), rel=1e-4)
    assert float(accuracy) == pytest.approx(np.mean(right), abs=1e-6)


def test_second_order_begins_after_the_epochs_of_first_order():
    batch = list(map(Tensor, batch_of()))
    mixed = Meta(network(LAYERS), inner(first_order_epochs=5))
    for order, epoch in (("first", 4), ("second", 5)):
        expected = Meta(network(LAYERS), inner(order=order)).meta_gradient(*batch)[2]
        for value, found in zip(expected, mixed.meta_gradient(*batch, epoch=epoch)[2]):
            np.testing.assert_array_equal(found.asnumpy(), value.asnumpy())


def test_evaluation_equals_the_reference():
    net, batch = network(LAYERS), batch_of()
    meta = Meta(net, inner(steps_test=3))
    loss, accuracies, predictions = meta.evaluate(*map(Tensor, batch))
    losses, expected = [], []
    for x_spt, y_spt, x_qry, y_qry in zip(*in_double(batch)):
        weights = reference.adapt(LAYERS, weights_of(net), x_spt, y_spt, 3, 0.3, EVERYTHING["adapted"])
        losses.append(reference.loss(LAYERS, weights, x_qry, y_qry))
        expected.append(reference.logits(LAYERS, weights, x_qry).argmax(1))
    assert float(loss) == pytest.approx(np.mean(losses), rel=1e-4)
    np.testing.assert_array_equal(predictions.asnumpy(), expected)
    np.testing.assert_allclose(accuracies.asnumpy(), (np.array(expected) == batch[3]).mean(1), rtol=1e-6)
    weights = meta.adapt(*batch[:2], steps=3)
    np.testing.assert_array_equal(meta.predict(weights, batch[2]).asnumpy().argmax(-1), expected)
    of_training, accuracy = Meta(net, inner(steps=3))(*batch)
    assert (float(of_training), float(accuracy)) == pytest.approx((float(loss), float(accuracies.mean())), rel=1e-6)


@pytest.mark.parametrize("algorithm", [Meta, MAMLPlusPlus])
def test_judging_on_the_way_is_judging_at_the_end_of_so_many_steps(algorithm):
    batch = list(map(Tensor, batch_of()))
    meta = learner(algorithm)
    judged = list(meta.evaluate_each_step(*batch, STEPS + 1))
    losses = [float(loss) for loss, _, _ in judged]
    assert len(set(losses)) == STEPS + 2
    for step, (_, accuracies, predictions) in enumerate(judged):
        [(loss, *expected)] = meta.evaluate_each_step(*batch, step, first=step)
        assert float(loss) == pytest.approx(losses[step], rel=1e-6)
        for found, value in zip((accuracies, predictions), expected):
            np.testing.assert_array_equal(found.asnumpy(), value.asnumpy())
        found = CrossEntropy()(meta.predict(meta.adapt(*batch[:2], step), batch[2]), batch[3])
        assert float(found.mean()) == pytest.approx(losses[step], rel=1e-5)
