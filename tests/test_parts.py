"""The small parts of the learner: initial values, the loss, the list of layers, rows and their adjoint_index."""
import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from mindspore.common.initializer import initializer

from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.presets import PRESET_FOLDER, read_preset
from mindspore_maml.crossentropy import CrossEntropy
from mindspore_maml.KaimingNormal import KaimingNormal
from mindspore_maml.layers.description import describe
from mindspore_maml.layers.geometry import Grid, Window, adjoint_index
from mindspore_maml.layers.network import Network, to_parameter, to_rows


@pytest.mark.parametrize("mode, nonlinearity, slope, expected", [
    ("fan_in", "relu", 0.0, np.sqrt(2 / 288)), ("fan_out", "relu", 0.0, np.sqrt(2 / 576)),
    ("fan_in", "linear", 0.0, np.sqrt(1 / 288)), ("fan_in", "leaky_relu", 0.5, np.sqrt(2 / 1.25 / 288)),
])
def test_kaiming_normal_has_the_stated_deviation(mode, nonlinearity, slope, expected):
    draws = initializer(KaimingNormal(slope, mode, nonlinearity, seed=1), [64, 32, 3, 3]).init_data().asnumpy()
    assert draws.std() == pytest.approx(expected, rel=0.02)
    assert draws.mean() == pytest.approx(0, abs=expected / 50)
    again = KaimingNormal(slope, mode, nonlinearity, seed=1).draw((64, 32, 3, 3))
    assert np.array_equal(draws, again)
    assert not np.array_equal(draws, KaimingNormal(slope, mode, nonlinearity, seed=2).draw((64, 32, 3, 3)))


def test_kaiming_normal_refuses_what_it_does_not_know():
    with pytest.raises(InputError, match="fan_avg"):
        KaimingNormal(mode="fan_avg")
    with pytest.raises(InputError, match="tanh"):
        KaimingNormal(nonlinearity="tanh")


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy_and_its_derivatives(smoothing):
    draws = np.random.default_rng(0)
    logits, labels = draws.normal(0, 3, (2, 4, 5)), draws.integers(0, 5, (2, 4))
    target = np.eye(5)[labels] * (1 - smoothing) + smoothing / 5
    expected = -(target * (logits - np.log(np.exp(logits).sum(-1, keepdims=True)))).sum(-1).mean(-1)
    loss, z, y = CrossEntropy(smoothing), Tensor(logits, ms.float32), Tensor(labels, ms.int32)
    np.testing.assert_allclose(loss(z, y).asnumpy(), expected, rtol=1e-5)

    def total(z):   # of operations that MindSpore differentiates to any order
        log_probability = z - ms.ops.log(ms.ops.exp(z).sum(-1, keepdims=True))
        return -(Tensor(target, ms.float32) * log_probability).sum(-1).mean(-1).sum()

    def along(z):
        return (ms.grad(total)(z) * move).sum()

    slope, probability = loss.gradient(z, y, 1.0)
    automatic = ms.grad(total)(z)
    np.testing.assert_allclose(slope.asnumpy(), automatic.asnumpy(), atol=1e-6)
    move = Tensor(draws.normal(size=logits.shape), ms.float32)
    twice = ms.grad(along)(z)
    np.testing.assert_allclose(loss.gradient_tangent(probability, move, 1.0).asnumpy(), twice.asnumpy(), atol=1e-6)


class CompiledLoss(nn.Cell):
    def __init__(self):
        super().__init__()
        self.loss = CrossEntropy()

    def construct(self, logits, labels):
        return self.loss(logits, labels)


@pytest.mark.cpu_only
def test_cross_entropy_is_the_same_in_every_bit_while_mindspore_tries_numbers_of_threads():
    logits = Tensor(np.random.default_rng(0).normal(size=(3, 7, 5)), ms.float32)
    labels = Tensor(np.zeros((3, 7), np.int32))
    loss = CompiledLoss()
    assert len({loss(logits, labels).asnumpy().tobytes() for _ in range(24)}) == 1


def test_cross_entropy_survives_large_logits():
    assert CrossEntropy()(Tensor([[[1e4, 0.0]]], ms.float32), Tensor([[1]], ms.int32)).asnumpy() == [1e4]


@pytest.mark.parametrize("layers, words", [
    ([], "expected a list"),
    ([{"layer": "conv3d"}], "layer 0"),
    ([{"layer": "conv2d"}], "layer 0 .conv2d.: filters is None"),
    ([{"layer": "conv2d", "filters": 4, "size": 3}], "unknown property size"),
    ([{"layer": "conv2d", "filters": True}], "filters is True"),
    ([{"layer": "conv2d", "filters": 4, "kernel": 9}], "does not fit into an image of 8 x 8"),
    ([{"layer": "linear"}], "layer 0 .linear. is given images"),
    ([{"layer": "flatten"}, {"layer": "max_pool2d"}], "layer 1 .max_pool2d. is given 64 numbers"),
    ([{"layer": "bn"}], "layer 0 .bn."),
    ([{"layer": "flatten"}, {"layer": "linear", "units": 4}], "expected the last layer to be linear with n_way = 3"),
    ([{"layer": "flatten"}, {"layer": "linear"}, {"layer": "relu"}], "expected the last layer"),
    ([{"layer": "flatten"}, {"layer": "linear", "init": "magic"}], "init is 'magic'"),
])
def test_a_list_that_does_not_fit_is_refused_with_the_layer_named(layers, words):
    with pytest.raises(InputError, match=words):
        describe(layers, 1, 8, 3)


@pytest.mark.parametrize("path", sorted(PRESET_FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_parameters_of_the_presets_and_their_two_forms(path):
    net = Network(read_preset(path)["network"], 1, 28, 5, seed=1)
    shapes = {parameter.name: parameter.shape for parameter in net.parameters}
    assert shapes["0.weight"][1:] == (1, 3, 3)
    assert list(shapes) == sorted(shapes, key=lambda name: int(name.split(".")[0]))
    for parameter in net.parameters:
        assert np.isfinite(parameter.asnumpy()).all()
        back = to_parameter(to_rows(parameter), parameter.shape)
        assert np.array_equal(back.asnumpy(), parameter.asnumpy())


@pytest.mark.parametrize("window", [Window(3, 2, 1), Window(3, 1, 0), Window(2, 2, 0), Window(3, 2, 2)])
def test_rows_and_takers_are_adjoint(window):
    grid = Grid(images=2, height=7, width=5)
    table = window.rows_under(grid)
    draws = np.random.default_rng(0)
    x, places = draws.normal(size=grid.rows), draws.normal(size=table.size)
    x[-1] = 0                                            # the zero row
    places.reshape(table.shape)[-1] = 0
    back = sum(places[index] for index in adjoint_index(table, grid.rows))
    assert (x[table.reshape(-1)] * places).sum() == pytest.approx((x * back).sum())


def test_rows_under_a_window_are_those_of_a_convolution():
    grid, window = Grid(1, 6, 6), Window(3, 2, 1)
    image, kernel = np.random.default_rng(0).normal(size=(2, 6, 6))[:, :, :], np.arange(9.0)
    rows = np.append(image[0].reshape(-1), 0)
    expected = ops.conv2d(Tensor(image[:1, None], ms.float32), Tensor(kernel.reshape(1, 1, 3, 3), ms.float32),
                          stride=2, pad_mode="pad", padding=1).asnumpy()
    np.testing.assert_allclose((rows[window.rows_under(grid)] @ kernel)[:-1], expected.reshape(-1), rtol=1e-4)
