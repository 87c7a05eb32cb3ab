"""One checkpoint for any number of classes: its last layer is made for them."""
import numpy as np
import pytest
from mindspore import Tensor
from networks import NETWORKS

from src.cli.command_line import parse
from src.cli.options import EVAL, TRAIN
from src.training.checkpoint import save
from src.training.from_options import load_trained, make_meta
from src.training.optimizer import outer_optimizer

TRAINED = 3


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint of Meta-SGD, which has learned a rate for every weight, and its values by name."""
    options = parse(TRAIN, "", ["--data_path", ".", "--imgsz", "12", "--algorithm", "meta-sgd", "--n_way", "3"])
    options.network = NETWORKS["strided"]
    meta = make_meta(options)
    draws = np.random.default_rng(1)
    for parameter in meta.trainable_params():
        parameter.set_data(Tensor(draws.normal(0, 0.1, parameter.shape).astype(np.float32)))
    optimizer = outer_optimizer(meta.trainable_params(), options)
    path = save(tmp_path_factory.mktemp("head"), 1, net=meta, optimizer=optimizer, options=options,
                episodes={"seed": 1, "drawn": 1})
    return path, {parameter.name: parameter.asnumpy() for parameter in meta.trainable_params()}


@pytest.mark.parametrize("n_way", [2, TRAINED, 50])
def test_every_class_starts_from_the_mean_of_the_trained_ones(checkpoint, n_way):
    path, trained = checkpoint
    options = parse(EVAL, "", ["--data_path", ".", "--ckpt", str(path), "--n_way", str(n_way)])
    meta, _ = load_trained(options)
    found = {parameter.name: parameter.asnumpy() for parameter in meta.trainable_params()}
    assert found.keys() == trained.keys()
    for name, value in found.items():
        expected = trained[name]
        if ".7." in name and n_way != TRAINED:
            expected = np.stack([expected.mean(axis=0)] * n_way)
        np.testing.assert_allclose(value, expected, rtol=1e-6, err_msg=name)


def test_ways_come_from_the_checkpoint_unless_a_flag_says_else(checkpoint):
    options = parse(EVAL, "", ["--data_path", ".", "--ckpt", str(checkpoint[0])])
    load_trained(options)
    assert options.n_way == TRAINED
