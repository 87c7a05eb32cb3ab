"""The average of the weights: its formula, its place in a checkpoint, and that a run goes on with both."""
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from mindspore_maml.training.weight_average import WeightAverage


def parameters(value=0.0):
    return [Parameter(Tensor(np.full(3, value, np.float32)), name="net.0.weight"),
            Parameter(Tensor(np.full((2, 2), value, np.float32)), name="rates")]


def follow(average, weights, values, first=1):
    for epoch, value in enumerate(values, first):
        for weight in weights:
            weight.set_data(Tensor(np.full(weight.shape, value, np.float32)))
        average.update(epoch)


def averages(average, weights):
    with average.in_place():
        return [weight.asnumpy().copy() for weight in weights]


def test_it_follows_its_formula():
    weights = parameters()
    average = WeightAverage(weights, 0.25)
    follow(average, weights, [1.0, 2.0, 4.0])
    expected = 0.0
    for decay, value in ((1 / 10, 1.0), (2 / 11, 2.0), (0.25, 4.0)):
        expected = decay * expected + (1 - decay) * value
    for value in averages(average, weights):
        np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert (weights[0].asnumpy() == 4).all()   # training goes on with its own


def test_a_run_goes_on_with_weights_and_average():
    values = np.random.default_rng(1).random(9)
    whole = parameters()
    average = WeightAverage(whole, 0.6)
    follow(average, whole, values[:5])
    with average.in_place():                   # what a checkpoint holds
        tensors = {tensor.name: tensor.asnumpy().copy() for tensor in (*whole, *average.state())}
    going_on = parameters()
    for parameter in going_on:
        parameter.set_data(Tensor(tensors[parameter.name]))
    continued = WeightAverage(going_on, 0.6)
    continued.resume(tensors)
    assert (going_on[0].asnumpy() == np.float32(values[4])).all()
    follow(average, whole, values[5:], 6)
    follow(continued, going_on, values[5:], 6)
    for one, other in zip(averages(average, whole), averages(continued, going_on), strict=True):
        assert np.array_equal(one, other)


def test_it_begins_with_the_weights_of_a_checkpoint_without_one():
    weights = parameters(2.0)
    average = WeightAverage(weights, 0.9)
    average.resume({parameter.name: parameter.asnumpy() for parameter in weights})
    assert (averages(average, weights)[1] == 2).all()


def test_the_weights_are_back_after_a_pass_that_fails():
    weights = parameters()
    average = WeightAverage(weights, 0.25)
    follow(average, weights, [1.0, 3.0])
    before = average.others[0].copy()
    with pytest.raises(RuntimeError), average.in_place():
        raise RuntimeError("the pass failed")
    assert (weights[0].asnumpy() == 3).all()
    assert np.array_equal(average.others[0], before)


def test_without_decay_nothing_happens():
    weights = parameters(1.0)
    average = WeightAverage(weights, 0.0)
    follow(average, weights, [3.0, 5.0])
    assert (averages(average, weights)[0] == 5).all()
    assert average.state() == []
