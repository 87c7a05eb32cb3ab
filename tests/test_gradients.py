"""The meta-gradient of both orders, against references that share no code with it."""
import functools
import importlib.util
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from gradients import INNER, TASKS, batch_of, in_double, length, meta_gradient, relative_error, weights_of
from mindspore import Tensor, nn, ops
from networks import NETWORKS, STRIDED, WAYS, inner, network
from reference import directional_derivative, first_order_gradient, logits, outer_loss

from mindspore_maml.cli.errors import InputError
from mindspore_maml.inner_loop import InnerLoop
from mindspore_maml.layers.network import Network, to_parameter, to_rows
from mindspore_maml.learner import Learner
from mindspore_maml.meta import Meta


@functools.cache
def found(name, **changes):
    """Loss and meta-gradient of one of `NETWORKS`."""
    return meta_gradient(network(NETWORKS[name]), batch_of(), **changes)


@pytest.fixture(scope="module", params=NETWORKS)
def second_order(request):
    """A network's layers, and its loss and second-order meta-gradient in graph mode."""
    return NETWORKS[request.param], found(request.param)


def check_second_order(layers, net, batch, expected_inner, loss, gradients):
    """Compare along one direction for each kind of parameter: its gradient, and a random part of the same length."""
    weights, batch = weights_of(net), with_masks(net, in_double(batch), seed=(net.seed, 0))
    assert loss == pytest.approx(outer_loss(layers, weights, batch, **expected_inner), rel=1e-4)
    draws = np.random.default_rng(6)
    for kind in sorted(set(net.kinds)):
        own = {name: g if name.endswith(kind) else np.zeros(g.shape) for name, g in gradients.items()}
        size = length(own)
        noise = {name: draws.normal(size=g.shape) * name.endswith(kind) for name, g in own.items()}
        direction = {name: g / size + noise[name] / length(noise) for name, g in own.items()}
        expected = directional_derivative(layers, weights, batch, direction, **expected_inner)
        found = sum((gradients[name] * direction[name]).sum() for name in gradients)
        assert found == pytest.approx(expected, abs=1e-4 * size), kind


def every_layer(specs):
    """The layers of a list, and after each those inside it."""
    for spec in specs:
        yield spec
        for value in spec.properties.values():
            if isinstance(value, list):
                yield from every_layer(value)


def with_masks(net, batch, seed):
    """A batch whose images come with the masks that dropout drew for them in training, as the reference takes them."""
    specs = [spec for spec in every_layer(net.specs) if spec.kind == "dropout"]
    if not specs:
        return batch
    result = list(batch)
    for i in (0, 2):
        images = batch[i].shape[1]
        _, drawn = Learner(net, TASKS, images).prepare(Tensor(batch[i].astype(np.float32)), seed)
        masks = [{} for _ in range(TASKS)]
        for spec, mask in zip(specs, drawn):
            for task, rows in zip(masks, mask.asnumpy().astype(np.float64)):
                shaped = rows if spec.is_flat else rows[:-1].reshape(images, *spec.shape_in[1:], -1)
                task[f"{spec.name}.mask"] = np.moveaxis(shaped, -1, 1)
        result[i] = list(zip(batch[i], masks))
    return result


def test_second_order_meta_gradient_matches_differences(second_order):
    layers, (loss, gradients) = second_order
    check_second_order(layers, network(layers), batch_of(), INNER, loss, gradients)


@pytest.mark.parametrize("name", NETWORKS)
def test_graph_mode_equals_pynative_mode(name):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        _, gradients = meta_gradient(network(NETWORKS[name]), batch_of())
    finally:
        ms.set_context(mode=ms.GRAPH_MODE)
    assert relative_error(gradients, found(name)[1]) < 1e-5


@pytest.mark.parametrize("name", ["strided", "pooled", "without normalisation"])
def test_first_order_is_the_plain_gradient_at_the_adapted_weights(name):
    layers = NETWORKS[name]
    expected = first_order_gradient(layers, weights_of(network(layers)), in_double(batch_of()), **INNER)
    assert relative_error(found(name, order="first")[1], expected) < 1e-3


def test_second_order_with_the_statistics_of_the_support_images():
    layers = NETWORKS["strided"]
    net, batch = network(layers), batch_of()
    check_second_order(layers, net, batch, {**INNER, "of_support": True},
                       *meta_gradient(net, batch, statistics="support"))


def test_first_order_with_the_statistics_of_the_support_images():
    layers = NETWORKS["without normalisation"]   # but for numbers of the image as a whole
    net, batch = network(layers), batch_of()
    _, found = meta_gradient(net, batch, statistics="support", order="first")
    expected = first_order_gradient(layers, weights_of(net), in_double(batch), of_support=True, **INNER)
    assert relative_error(found, expected) < 1e-3


@pytest.mark.parametrize("name", ["strided", "residual first"])
def test_with_the_supports_statistics_no_answer_depends_on_another_query_image(name):
    net, (x_spt, y_spt, x_qry, _) = network(NETWORKS[name]), batch_of()
    meta = Meta(net, inner(statistics="support"))
    weights = meta.adapt(x_spt, y_spt, 2)
    together = meta.predict(weights, x_qry, x_spt).asnumpy()
    order = np.random.default_rng(1).permutation(x_qry.shape[1])
    np.testing.assert_allclose(meta.predict(weights, x_qry[:, order], x_spt).asnumpy(), together[:, order], atol=1e-5)
    for number in range(2):
        alone = meta.predict(weights, x_qry[:, number:number + 1], x_spt).asnumpy()
        np.testing.assert_allclose(alone, together[:, number:number + 1], atol=1e-5)
    expected = [logits(NETWORKS[name], dict(zip(weights_of(net), task_weights)), np.concatenate([spt, qry]),
                       counted=len(spt))[len(spt):]
                for spt, qry, task_weights in zip(*in_double((x_spt, x_qry)), of_tasks(net, weights))]
    np.testing.assert_allclose(together, expected, atol=1e-3)


def of_tasks(net, weights):
    """Every task's weights [task, in, out] each -> for each task, its parameters as checkpoints hold them."""
    return [[to_parameter(weight[task:task + 1].reshape(weight.shape[1:]), parameter.shape).asnumpy()
             for weight, parameter in zip(weights, net.parameters)] for task in range(TASKS)]


def test_second_order_differs_from_first():
    assert relative_error(found("strided", order="first")[1], found("strided")[1]) > 0.05


def test_without_inner_steps_both_orders_agree():
    net, batch = network(NETWORKS["strided"]), batch_of()
    (_, first), (_, second) = (meta_gradient(net, batch, order=order, steps=0) for order in ("first", "second"))
    assert relative_error(first, second) == 0


def test_colour_label_smoothing_and_partial_adaptation():
    layers = NETWORKS["strided with biases"]
    expected = {**INNER, "adapted": ("weight", "bias"), "smoothing": 0.2}
    net, batch = network(layers, channels=3), batch_of(channels=3)
    found = meta_gradient(net, batch, adapted=("weight", "bias"), label_smoothing=0.2)
    check_second_order(layers, net, batch, expected, *found)


def test_summed_outer_loss_scales_the_gradient_alone():
    mean_loss, mean = found("strided")
    sum_loss, total = found("strided", meta_loss="sum")
    assert sum_loss == mean_loss
    assert relative_error(total, {name: TASKS * g for name, g in mean.items()}) < 1e-6


def test_query_images_in_parts_change_nothing():
    net, batch = network(NETWORKS["strided"]), batch_of()
    loss, whole = found("strided")
    in_parts_loss, in_parts = meta_gradient(net, batch, tasks_at_once=lambda tasks, images: 1)
    assert in_parts_loss == pytest.approx(loss, rel=1e-6)
    assert relative_error(in_parts, whole) < 1e-5
    judged = [Meta(net, inner(), tasks_at_once).evaluate(*batch)
              for tasks_at_once in (None, lambda tasks, images: 1)]
    for values, expected in zip(*judged):
        np.testing.assert_allclose(values.asnumpy(), expected.asnumpy(), rtol=1e-5)


def test_every_parameter_gets_a_gradient():
    _, gradients = found("pooled")
    silent = {name for name, g in gradients.items() if np.abs(g).max() < 1e-6}
    assert silent == {"0.bias", "4.bias"}   # batch statistics take a convolution's bias away


class OneTask(nn.Cell):
    """The default layers built of MindSpore's own, for one task."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def construct(self, x):
        for index in (0, 3):
            conv = nn.Conv2d(x.shape[1], STRIDED["filters"], 3, 2, "pad", 1,
                             weight_init=Tensor(self.weights[f"{index}.weight"]))
            x = conv(x)
            mean = x.mean(axis=(0, 2, 3), keep_dims=True)
            variance = ((x - mean) ** 2).mean(axis=(0, 2, 3), keep_dims=True)
            x = (x - mean) / ops.sqrt(variance + 1e-3) + Tensor(self.weights[f"{index + 1}.beta"]).reshape((-1, 1, 1))
            x = ops.relu(x)
        dense = nn.Dense(x.shape[1], WAYS, weight_init=Tensor(self.weights["7.weight"]),
                         bias_init=Tensor(self.weights["7.bias"]))
        return dense(x.mean(axis=(2, 3)))


def test_task_batched_network_equals_mindspore_layers_task_by_task():
    layers = NETWORKS["strided"]
    nets = [network(layers) for _ in range(TASKS)]
    for seed, net in enumerate(nets):
        for parameter in net.parameters:
            noise = np.random.default_rng(seed).normal(0, 0.3, parameter.shape).astype(np.float32)
            parameter.set_data(parameter + Tensor(noise))
    x = batch_of()[0]
    weights = tuple(ops.stack([to_rows(net.parameters[i]) for net in nets]) for i in range(len(nets[0].parameters)))
    learner = Learner(nets[0], TASKS, x.shape[1])
    found = learner(ms.mutable(weights), ms.mutable(learner.prepare(Tensor(x)))).asnumpy()
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        for task, net in enumerate(nets):
            weights_here = {name: value.astype(np.float32) for name, value in weights_of(net).items()}
            expected = OneTask(weights_here)(Tensor(x[task])).asnumpy()
            np.testing.assert_allclose(found[task], expected, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(logits(layers, weights_of(net), x[task].astype(np.float64)), expected,
                                       rtol=1e-3, atol=1e-4)
    finally:
        ms.set_context(mode=ms.GRAPH_MODE)


def test_a_loss_of_ones_own_has_its_meta_gradient():
    """The sine waves of examples/sinusoid.py: the gradient is the slope of the outer loss."""
    path = Path(__file__).resolve().parent.parent / "examples" / "sinusoid.py"
    spec = importlib.util.spec_from_file_location("sinusoid", path)
    sys.modules["sinusoid"] = example = importlib.util.module_from_spec(spec)   # where its loss is compiled
    spec.loader.exec_module(example)
    net = Network(example.LAYERS, imgc=1, imgsz=1, n_way=1, seed=1)
    meta = Meta(net, InnerLoop(steps=2, rate=0.02, loss=example.SquaredError()))
    batch = [Tensor(part) for part in example.waves(4, 10, np.random.default_rng(1))]
    _, accuracy, gradients = meta.meta_gradient(*batch)
    size = np.sqrt(sum((g.asnumpy() ** 2).sum() for g in gradients))
    assert float(accuracy) <= 1
    assert gradients[0].asnumpy().any()

    def moved_by(step):
        for parameter, gradient in zip(net.parameters, gradients):
            parameter.set_data(parameter + Tensor(step / size) * gradient)
        return float(meta(*batch)[0])
    up, down = moved_by(1e-4), moved_by(-2e-4)
    assert (up - down) / 2e-4 == pytest.approx(size, rel=1e-2)
    with pytest.raises(InputError, match="query labels are int32 .*; expected float32"):
        meta.meta_gradient(*batch[:3], Tensor(np.zeros((4, 10), np.int32)))
