"""Layers one by one: closed forms against their derived twins, and layers of a user's own."""
import mindspore as ms
import numpy as np
import pytest
from closed_forms import LAYOUTS, cases, disagreements, layers_of
from mindspore import Tensor
from mutations import TOLERANCE, mutations, survivors
from networks import NETWORKS, network

from mindspore_maml.cli.errors import InputError
from mindspore_maml.layers.description import describe
from mindspore_maml.layers.network import Network
from mindspore_maml.layers.row_constants import RowConstants
from mindspore_maml.learner import Learner


@pytest.fixture
def pynative():
    """PyNative mode: nothing is compiled."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    yield
    ms.set_context(mode=ms.GRAPH_MODE)


@pytest.mark.parametrize("name", LAYOUTS)
def test_closed_forms_equal_their_derived_twins(pynative, name):
    for number, case in enumerate(cases(name)):
        errors = disagreements(case.results(case.layer), case.results(case.derived()))
        assert len(errors) >= 2
        assert {part: error for part, error in errors.items() if error > TOLERANCE} == {}, (number, case.layer)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_zero_row_stays_zero(pynative, name):
    """The padding of a convolution behind a layer points to it."""
    for layer, w, x in layers_of(NETWORKS[name], np.random.default_rng(1)):
        if len(layer.shape_out) == 3:
            assert np.abs(layer.on_rows(w, x).asnumpy()[:, -1]).max() == 0, layer


def test_a_dropped_operand_shows(pynative):
    every = mutations()
    assert len(every) > 50
    assert survivors(every) == []


FIRST = {"layer": "conv2d", "filters": 6}


@pytest.mark.parametrize("layers, words", [
    ([FIRST, {"layer": "group_norm", "groups": 4}], "layer 1 .group_norm.: 6 channels in 4 groups"),
    ([FIRST, {"layer": "dropout", "rate": 1}], "rate is 1; expected float of at least 0 and less than 1"),
    ([{"layer": "residual", "layers": [FIRST]}], r"layer 0 .residual.: its layers make \(6, 6, 6\) of \(1, 8, 8\)"),
    ([{"layer": "residual"}], "layers is None; expected a list of layers"),
    ([{"layer": "residual", "layers": []}], r"layer 0 \(residual\): layers is \[\]"),
    ([FIRST, {"layer": "residual", "layers": [{"layer": "relu"}, {"layer": "relu", "slope": 1}]}],
     "layer 1.1 .relu.: unknown property slope"),
    ([{"layer": "nowhere:Layer"}], "layer 0 is 'nowhere:Layer': module 'nowhere' cannot be imported"),
    ([{"layer": "own_layers:Missing"}], "own_layers has no Missing"),
    ([{"layer": "own_layers:ops"}], "own_layers has another kind of ops"),
    ([{"layer": "own_layers:Softplus", "sharpness": 0}], "sharpness is 0; expected float of at least 0.1"),
])
def test_what_does_not_fit_is_refused_with_the_layer_named(layers, words):
    with pytest.raises(InputError, match=words):
        describe(layers, 1, 8, 3)


def test_a_layer_from_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("from mindspore_maml.layers.layer import Layer\n\n\nclass Double(Layer):\n"
                                      "    def forward(self, w, x):\n        return 2 * x\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))   # so that what is appended to the path is undone
    specs = describe([{"layer": "mine:Double"}, {"layer": "flatten"}, {"layer": "linear"}], 1, 8, 3)
    assert specs[0].shape_out == (1, 8, 8)


def test_parameters_inside_a_layer_are_named_by_their_place():
    net = Network(NETWORKS["residual"], 1, 12, 3, seed=1)
    names = [parameter.name.removeprefix("net.") for parameter in net.parameters]
    assert names == ["1.weight", "1.bias", "2.gamma", "2.beta", "4.0.weight", "4.0.bias", "4.2.beta", "7.weight",
                     "7.bias"]
    again = Network(NETWORKS["residual"], 1, 12, 3, seed=1)
    for parameter, other in zip(net.parameters, again.parameters):
        assert np.array_equal(parameter.asnumpy(), other.asnumpy())


def test_dropout_depends_on_seed_and_images_but_not_on_the_batch():
    images = np.random.default_rng(0).random((3, 4, 1, 12, 12), dtype=np.float32)
    net = network(NETWORKS["residual"])

    def masks(chosen, seed):
        return [mask.asnumpy() for mask in Learner(net, len(chosen), 4).prepare(Tensor(images[chosen]), seed)[1]]

    inside, outside = masks([0, 1, 2], (1, 0))
    assert inside.shape == (3, 4 * 4 * 4 + 1, 3)
    assert outside.shape == (3, 4, 3)
    assert set(np.unique(inside)) == {0.0, np.float32(1) / np.float32(0.7)}
    assert (inside == 0).mean() == pytest.approx(0.3, abs=0.06)
    assert np.array_equal(masks([2], (1, 0))[0][0], inside[2])
    assert not np.array_equal(masks([2], (1, 1))[0][0], inside[2])
    assert all(np.array_equal(mask, [[[1]]]) for mask in masks([2], None))


def test_means_over_many_rows_stay_in_single_precision():
    constants = RowConstants(1, 70_000, zero_row=False)
    assert {value.dtype for value in (constants.mean_row, constants.mean_column, constants.row)} == {ms.float32}
