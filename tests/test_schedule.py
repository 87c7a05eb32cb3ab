"""The outer learning rate and the outer optimizer against formulas written out."""
import argparse
import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.options import TRAIN
from mindspore_maml.training.optimizer import OuterAdam, outer_optimizer
from mindspore_maml.training.schedule import learning_rates


def rates(*arguments):
    return learning_rates(parse(TRAIN, "", ["--preset", "maml", "--data_path", "x", "--meta_lr", "0.2", *arguments]))


def test_constant_rate_is_meta_lr_throughout():
    assert rates("--epoch", "7").tolist() == [0.2] * 7


def test_step_multiplies_after_each_milestone_in_any_order():
    stepped = rates("--epoch", "6", "--lr_scheduler", "step", "--lr_milestones", "4,1", "--lr_scheduler_gamma", "0.1")
    np.testing.assert_allclose(stepped, [0.2, 0.02, 0.02, 0.02, 0.002, 0.002])


@pytest.mark.parametrize(("epochs", "factors"), [(8, [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]),
                                                 (3, [1, 0.5, 0.25]), (1, [1])])
def test_step_without_milestones_halves_after_each_quarter(epochs, factors):
    np.testing.assert_allclose(rates("--epoch", str(epochs), "--lr_scheduler", "step") / 0.2, factors)


def test_cosine_falls_from_meta_lr_towards_zero():
    cosine = rates("--epoch", "10", "--lr_scheduler", "cosine")
    np.testing.assert_allclose(cosine, [0.1 * (1 + math.cos(math.pi * done / 10)) for done in range(10)])
    assert cosine[0] == 0.2
    assert 0 < cosine[-1] < 0.2 * 0.03


@pytest.fixture(params=["graph", "pynative"])
def mode(request):
    ms.set_context(mode=ms.GRAPH_MODE if request.param == "graph" else ms.PYNATIVE_MODE)
    yield request.param
    ms.set_context(mode=ms.GRAPH_MODE)


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_optimizer_follows_decoupled_adam(decay):
    rng = np.random.default_rng(1)
    net = nn.Dense(3, 4)
    parameters = net.trainable_params()
    expected = [parameter.asnumpy().astype(np.float64) for parameter in parameters]
    mean, square = [np.zeros_like(w) for w in expected], [np.zeros_like(w) for w in expected]
    schedule = [0.1, 0.1, 0.05, 0.02]
    optimizer = OuterAdam(parameters, schedule, decay)
    for step, rate in enumerate(schedule, 1):
        gradients = [rng.normal(size=w.shape) for w in expected]
        optimizer(tuple(ms.Tensor(gradient, ms.float32) for gradient in gradients))
        for i, gradient in enumerate(gradients):
            expected[i] *= 1 - rate * decay
            mean[i] = 0.9 * mean[i] + 0.1 * gradient
            square[i] = 0.999 * square[i] + 0.001 * gradient**2
            corrected = np.sqrt(square[i] / (1 - 0.999**step)) + 1e-8
            expected[i] -= rate * mean[i] / (1 - 0.9**step) / corrected
        for parameter, value in zip(parameters, expected, strict=True):
            np.testing.assert_allclose(parameter.asnumpy(), value, atol=2e-6)


def test_rate_zero_leaves_the_weights_alone():
    net = nn.Dense(2, 2)
    before = net.weight.asnumpy().copy()
    optimizer = OuterAdam(net.trainable_params(), learning_rates(argparse.Namespace(
        meta_lr=0.0, epoch=2, lr_scheduler="constant")), 0.5)
    optimizer((ms.ops.ones((2, 2)), ms.ops.ones(2)))
    assert (net.weight.asnumpy() == before).all()


def named_parameters():
    """A weight and a beta of a network, and what MAML++ learns beside them; none is zero."""
    draws = np.random.default_rng(2)
    return [ms.Parameter(ms.Tensor(draws.normal(1, 0.1, (2, 3)), ms.float32), name=name)
            for name in ("net.0.weight", "net.1.beta", "rates", "shifts.net.1.beta")]


def run_options(*arguments):
    return parse(TRAIN, "", ["--preset", "maml", "--data_path", "x", "--epoch", "3", "--meta_lr", "0.1", *arguments])


def test_adam_weight_decay_leaves_out_the_bias_correction():
    """MindSpore's formula: m / (sqrt(v) + 1e-6), both uncorrected, and the decay added to it; betas do not decay."""
    parameters, rng, decay = named_parameters()[:2], np.random.default_rng(3), 0.2
    expected = [parameter.asnumpy().astype(np.float64) for parameter in parameters]
    mean, square = [0.0, 0.0], [0.0, 0.0]
    optimizer = outer_optimizer(parameters, run_options("--optimizer", "AdamWeightDecay", "--weight_decay", str(decay)))
    for _ in range(3):
        gradients = [rng.normal(size=(2, 3)) for _ in parameters]
        optimizer(tuple(ms.Tensor(gradient, ms.float32) for gradient in gradients))
        for i, gradient in enumerate(gradients):
            mean[i] = 0.9 * mean[i] + 0.1 * gradient
            square[i] = 0.999 * square[i] + 0.001 * gradient**2
            expected[i] -= 0.1 * (mean[i] / (np.sqrt(square[i]) + 1e-6) + (decay if i == 0 else 0) * expected[i])
        for parameter, value in zip(parameters, expected, strict=True):
            np.testing.assert_allclose(parameter.asnumpy(), value, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["Adam", "AdamWeightDecay"])
def test_weight_decay_leaves_learned_rates_and_shifts_alone(optimizer):
    parameters = named_parameters()
    before = {parameter.name: parameter.asnumpy().copy() for parameter in parameters}
    step = outer_optimizer(parameters, run_options("--optimizer", optimizer, "--weight_decay", "0.5"))
    step(tuple(map(ms.ops.zeros_like, parameters)))   # of no gradient, only the decay is left
    for parameter in parameters[2:]:
        np.testing.assert_array_equal(parameter.asnumpy(), before[parameter.name])
    np.testing.assert_allclose(parameters[0].asnumpy(), before["net.0.weight"] * (1 - 0.1 * 0.5), rtol=1e-6)
