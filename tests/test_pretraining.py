"""A first training as an ordinary classifier: its gradients, its images, and that MAML starts from its body."""
import os

import numpy as np
import pytest
import reference
from gradients import in_double, relative_error
from networks import NETWORKS, SIZE, WAYS, inner, network
from test_episodes import marked_images, marks

from mindspore_maml.algorithms.classifier import Classifier
from mindspore_maml.cli.errors import InputError
from mindspore_maml.layers.network import Network
from mindspore_maml.OmniglotIter import ImageIter
from mindspore_maml.programs import train
from mindspore_maml.training import checkpoint

CLASSES = 7
LAYERS = NETWORKS["strided"]
HEAD = len(LAYERS) - 1
PRESET = """
network:
  - {layer: conv2d, filters: 4, stride: 2, padding: 1, bias: false}
  - {layer: bn}
  - {layer: relu}
  - {layer: conv2d, filters: 4, stride: 2, padding: 1, bias: false}
  - {layer: bn}
  - {layer: reduce_mean}
  - {layer: linear}
"""


def classifier():
    return Classifier(network(LAYERS), inner(), of_classes=Network(LAYERS, 1, SIZE, CLASSES, seed=5))


def test_gradient_is_that_of_the_loss_among_all_classes():
    meta, draws = classifier(), np.random.default_rng(1)
    x = draws.random((2, 10, 1, SIZE, SIZE), np.float32)
    y = draws.integers(CLASSES, size=(2, 10)).astype(np.int32)
    loss, accuracy, gradients = meta.meta_gradient(x[:, :0], y[:, :0], x, y, epoch=0)
    values = {parameter.name.removeprefix("net."): parameter.asnumpy().astype(np.float64)
              for parameter in meta.net.parameters}
    values |= {f"{HEAD}.{kind}": parameter.asnumpy().astype(np.float64)
               for kind, parameter in zip(("weight", "bias"), meta.trained[-2:])}
    expected = [reference.gradient(LAYERS, values, in_double(images), labels) for images, labels in zip(x, y)]
    found = {parameter.name: gradient.asnumpy() for parameter, gradient in zip(meta.trainable_params(), gradients)}
    losses = [reference.loss(LAYERS, values, in_double(images), labels) for images, labels in zip(x, y)]
    assert float(loss) == pytest.approx(np.mean(losses), rel=1e-5)
    assert 0 <= float(accuracy) <= 1
    mean = {name: np.mean([gradient[name] for gradient in expected], axis=0) for name in values}
    own = [name for name in values if name.startswith(f"{HEAD}.")]
    under = {name: f"classes.{name.split('.')[1]}" if name in own else f"net.{name}" for name in values}
    assert relative_error({name: found[under[name]] for name in values}, mean) < 1e-5
    assert not any(found[f"net.{name}"].any() for name in own)


def test_it_is_tested_as_maml_from_the_networks_own_head():
    meta = classifier()
    names = [parameter.name for parameter in meta.trainable_params()]
    assert {"classes.weight", "classes.bias", f"net.{HEAD}.weight"} < set(names)
    assert meta.net.parameters[-1].shape == (WAYS,)
    assert meta.trained[-1].shape == (CLASSES,)


def images_of(**changes):
    sizes = {"n_way": 5, "k_spt": 1, "k_qry": 40, "task_num": 2, "batches": 3, "seed": 1, "rotate": True}
    return ImageIter(marked_images(drawings=41), **{**sizes, **changes})


def test_images_are_labelled_by_class_and_turn():
    found = images_of()
    x_spt, y_spt, x, y = next(iter(found))
    assert (x_spt.shape[:2], y_spt.shape, x.shape, y.shape) == ((2, 0), (2, 0), (2, 200, 1, 4, 4), (2, 200))
    classes, drawings, turns = marks(x)
    assert np.array_equal(y, 4 * classes + turns)
    assert len(set(y.ravel())) == found.labels == 4 * 12   # of 400 images, all classes are there
    assert len(set(drawings.ravel())) > 35


def test_without_turns_there_are_as_many_labels_as_characters():
    found = images_of(rotate=False)
    _, _, x, y = next(iter(found))
    assert found.labels == 12
    assert np.array_equal(y, marks(x)[0])


def test_batches_depend_on_seed_and_number_alone():
    first, again = list(images_of()), images_of()
    again.state = {"seed": 1, "drawn": 2}
    assert all(np.array_equal(a, b) for a, b in zip(first[2], next(iter(again))))


@pytest.fixture(scope="module")
def flags(data_path, tmp_path_factory):
    preset = tmp_path_factory.mktemp("preset") / "tiny.yaml"
    preset.write_text(PRESET, encoding="utf-8")
    return ("--data_path", data_path, "--preset", preset, "--n_way", 3, "--task_num", 1, "--k_qry", 5, "--workers", 1)


def trained(monkeypatch, folder, *arguments):
    monkeypatch.setattr("sys.argv", ["omniglot_train.py", *map(str, arguments), "--output_dir", str(folder)])
    assert train.main() == os.EX_OK
    return checkpoint.load(folder)


def test_maml_starts_from_its_body_and_a_fresh_head(flags, tmp_path, monkeypatch):
    first = ("--algorithm", "classifier", "--lr_scheduler", "cosine")
    whole = trained(monkeypatch, tmp_path / "whole", *flags, *first, "--epoch", 4)
    trained(monkeypatch, tmp_path / "parts", *flags, *first, "--epoch", 4, "--save_every", 2)
    (tmp_path / "parts" / "maml-4_1.ckpt").unlink()
    gone_on = trained(monkeypatch, tmp_path / "parts", "--data_path", flags[1], "--workers", 1, "--ckpt",
                      tmp_path / "parts", "--epoch", 4)
    assert all(np.array_equal(value, gone_on.tensors[name])
               for name, value in whole.tensors.items())
    still = ("--epoch", 1, "--meta_lr", 0)
    after = trained(monkeypatch, tmp_path / "maml", *flags, *still, "--pretrained", tmp_path / "whole")
    fresh = trained(monkeypatch, tmp_path / "fresh", *flags, *still)
    for name in (name for name in fresh.tensors if name.startswith("net.")):
        origin = fresh if name.startswith("net.6.") else whole
        assert np.array_equal(after.tensors[name], origin.tensors[name])
    assert not any(name.startswith("classes.") for name in after.tensors)


def test_a_layer_put_before_the_head_starts_fresh(flags, tmp_path, monkeypatch):
    """Whose number in the list is that of the trained network's head."""
    shorter = trained(monkeypatch, tmp_path / "shorter", *flags, "--epoch", 1)
    longer = tmp_path / "longer.yaml"
    longer.write_text(PRESET.replace("  - {layer: linear", "  - {layer: group_norm, gamma: true}\n  - {layer: linear"))
    more = trained(monkeypatch, tmp_path / "longer", *flags, "--preset", longer, "--epoch", 1, "--meta_lr", 0,
                   "--pretrained", tmp_path / "shorter")
    assert np.array_equal(more.tensors["net.0.weight"], shorter.tensors["net.0.weight"])
    assert np.array_equal(more.tensors["net.6.gamma"], np.ones_like(more.tensors["net.6.beta"]))
    assert "net.7.weight" in more.tensors


@pytest.mark.parametrize(("more", "message"), [
    (("--algorithm", "classifier", "--per_step"), "--per_step with --algorithm classifier"),
    (("--pretrained", "nowhere"), "--pretrained nowhere: no such file"),
])
def test_what_cannot_be_is_refused(flags, tmp_path, monkeypatch, more, message):
    with pytest.raises(InputError, match=message):
        trained(monkeypatch, tmp_path / "x", *flags, "--epoch", 1, *more)
