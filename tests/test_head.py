"""One checkpoint for any number of classes: its last layer is made for them."""
from pathlib import Path

import numpy as np
import pytest
from checkpoints import write

from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import EVAL
from mindspore_maml.training import saving
from mindspore_maml.training.checkpoint import Checkpoint, load
from mindspore_maml.training.from_options import load_trained
from mindspore_maml.training.head import with_ways

TRAINED = 3


def values(meta):
    return {parameter.name: parameter.asnumpy() for parameter in meta.trainable_params()}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint of Meta-SGD, which has learned a rate for every weight, and its values by name."""
    path, meta, _ = write(tmp_path_factory.mktemp("head"), algorithm="meta-sgd", n_way=TRAINED, imgsz=12)
    return path, values(meta)


@pytest.mark.parametrize("n_way", [2, TRAINED, 50])
def test_fewer_classes_are_the_first_trained_ones_more_start_from_their_mean(checkpoint, n_way):
    path, trained = checkpoint
    options = parse(EVAL, "", ["--data_path", ".", "--ckpt", str(path), "--n_way", str(n_way)])
    found = values(load_trained(options)[0])
    assert found.keys() == trained.keys()
    for name, value in found.items():
        expected = trained[name]
        if ".7." in name:
            expected = expected[:n_way] if n_way <= TRAINED else np.stack([expected.mean(axis=0)] * n_way)
        np.testing.assert_allclose(value, expected, rtol=1e-6, err_msg=name)


def test_a_layer_inside_another_is_no_last_layer_whatever_its_index():
    shapes = {"net.0.2.weight": (8, 8, 3, 3), "net.2.weight": (TRAINED, 9), "rates.net.2.bias": (TRAINED,)}
    tensors = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    layers = [{"layer": "residual"}, {"layer": "flatten"}, {"layer": "linear"}]
    resized = with_ways(Checkpoint(Path("some.ckpt"), tensors), layers,
                        {"net.0.2.weight": (8, 8, 3, 3), "net.2.weight": (2, 9), "net.2.bias": (2,)})
    assert {name: value.shape for name, value in resized.tensors.items()} == \
        shapes | {"net.2.weight": (2, 9), "rates.net.2.bias": (2,)}


@pytest.mark.parametrize(("flags", "rate"), [
    (["--n_way", str(2 * TRAINED)], 0.6),            # an image of twice the classes weighs half in the mean loss
    (["--n_way", str(2 * TRAINED), "--update_lr", "0.25"], 0.25),
    ([], 0.3),                                       # as `checkpoints.STORED` has it
])
def test_the_inner_rate_grows_with_the_classes_unless_given_by_hand(checkpoint, flags, rate):
    options = parse(EVAL, "", ["--data_path", ".", "--ckpt", str(checkpoint[0]), *flags])
    assert load_trained(options)[2].update_lr == pytest.approx(rate)


def test_a_number_of_trained_classes_that_is_none_is_refused(tmp_path):
    path, *_ = write(tmp_path, n_way=TRAINED, imgsz=12)
    loaded = load(path)
    saving.write(path, loaded.tensors, 1, loaded.options | {"n_way": 0}, None)
    with pytest.raises(InputError, match="n_way.* is 0"):
        load_trained(parse(EVAL, "", ["--data_path", ".", "--ckpt", str(path), "--n_way", "2"]))


def test_ways_come_from_the_checkpoint_unless_a_flag_says_else(checkpoint):
    options = parse(EVAL, "", ["--data_path", ".", "--ckpt", str(checkpoint[0])])
    assert load_trained(options)[2].n_way == TRAINED
