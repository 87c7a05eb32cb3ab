"""The algorithms and layers of docs/algorithms.md, each in a file outside the project, against their definitions."""
import importlib
import re
from pathlib import Path

import numpy as np
import pytest
import reference
from gradients import batch_of, in_double, weights_of
from mindspore import Tensor
from networks import NETWORKS, STRIDED, inner, network

from mindspore_maml.algorithms import find_algorithm
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import TRAIN
from mindspore_maml.training.from_options import make_meta

PAGE = Path(__file__).resolve().parent.parent / "docs" / "algorithms.md"
STEPS, RATE = 2, 0.3
CONTEXT = [STRIDED, {"layer": "bn"}, {"layer": "film:FiLM", "size": 2}, {"layer": "relu"}, {"layer": "reduce_mean"},
           {"layer": "linear"}]


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """The page's blocks as files in the working folder, under names that no other test imports."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    for name, mark in (("even", "class EvenLosses"), ("near", "class Proximal"), ("film", "class FiLM")):
        (block,) = [block for block in blocks if mark in block]
        (tmp_path / f"{name}.py").write_text(block, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()


def film(layer, of, x):
    """[image, c, h, w] scaled and shifted by maps of the context."""
    scale, shift = of("weight_scale") @ of("context"), of("weight_shift") @ of("context")
    return x * (1 + scale[:, None, None]) + shift[:, None, None]


reference.LAYERS["film:FiLM"] = film


def adapted(layers, start, x, labels, kinds, pull):
    """The definition of the inner loop: steps on the gradient plus a pull to the start."""
    weights = start
    for _ in range(STEPS):
        slope = reference.gradient(layers, weights, x, labels)
        weights = {name: value - RATE * (slope[name] + pull * (value - start[name]))
                   if re.split(r"[._]", name)[1] in kinds else value for name, value in weights.items()}
    return weights


def outer_loss(layers, start, batch, kinds, pull):
    """The mean over the tasks of the query loss after the inner loop."""
    return np.mean([reference.loss(layers, adapted(layers, start, x_spt, y_spt, kinds, pull), x_qry, y_qry)
                    for x_spt, y_spt, x_qry, y_qry in zip(*batch)])


@pytest.mark.parametrize(("name", "layers", "kinds", "pull"), [
    ("near:Proximal", NETWORKS["strided"][3:], ("weight", "beta"), 0.5), ("film:Context", CONTEXT, ("context",), 0.0)])
def test_their_meta_gradient_matches_differences_of_the_definition(name, layers, kinds, pull):
    meta, batch = find_algorithm(name)(network(layers), inner(adapted=kinds, rate=RATE, steps=STEPS)), batch_of()
    loss, _, gradients = meta.meta_gradient(*map(Tensor, batch))
    start, batch = weights_of(meta.net), in_double(batch)
    found = dict(zip(start, (gradient.asnumpy().astype(np.float64) for gradient in gradients)))
    assert float(loss) == pytest.approx(outer_loss(layers, start, batch, kinds, pull), rel=1e-4)
    draws, width = np.random.default_rng(8), 1e-8
    fixed = {label for label in start if label.endswith(".context")}   # starts at the same value for ever
    assert all((found[label] == 0).all() for label in fixed)
    direction = {label: draws.normal(size=value.shape) * (label not in fixed) for label, value in start.items()}
    ends = [outer_loss(layers, {label: start[label] + sign * width * direction[label] for label in start}, batch,
                       kinds, pull) for sign in (1, -1)]
    size = np.sqrt(sum((value ** 2).sum() for value in found.values()))
    along = sum((found[label] * direction[label]).sum() for label in found)
    assert along == pytest.approx((ends[0] - ends[1]) / (2 * width), abs=5e-4 * size)


def test_a_pull_of_nothing_is_plain_maml():
    proximal, batch = find_algorithm("near:Proximal"), list(map(Tensor, batch_of()))
    proximal.strength = 0.0
    found, plain = (kind(network(NETWORKS["strided"][3:]), inner()).meta_gradient(*batch)
                    for kind in (proximal, find_algorithm("maml")))
    for ours, expected in zip(found[2], plain[2]):
        np.testing.assert_allclose(ours.asnumpy(), expected.asnumpy(), atol=1e-6)


def test_even_losses_are_their_mean():
    meta, batch = find_algorithm("even:EvenLosses")(network(NETWORKS["dense"]), inner()), batch_of(1)
    loss, _, gradients = meta.meta_gradient(*batch)
    losses = [float(loss.asnumpy()) for loss, *_ in meta.evaluate_each_step(*batch, meta.inner.steps, first=1)]
    assert float(loss.asnumpy()) == pytest.approx(sum(losses) / meta.inner.steps, rel=1e-5)
    assert len(gradients) == len(meta.trainable_params())


def test_they_are_named_like_layers():
    flags = ["--data_path", "x", "--algorithm", "film:Context", "--adapt", "context"]
    options = parse(TRAIN, "", flags)
    assert make_meta(options.but(network=CONTEXT)).adapted.count(True) == 1
    with pytest.raises(InputError, match=r"--adapt context: the network has no such parameters; expected .*: weight"):
        make_meta(options.but(network=NETWORKS["strided"]))
    with pytest.raises(InputError, match=r"--algorithm film:FiLM: film has another kind of FiLM; expected a subclass"):
        find_algorithm("film:FiLM")
    with pytest.raises(InputError, match="--algorithm nowhere:At: module 'nowhere' cannot be imported"):
        find_algorithm("nowhere:At")
    with pytest.raises(InputError, match=r"--algorithm is 'mammal'; expected one of maml, .*, or module:Class"):
        parse(TRAIN, "", ["--data_path", "x", "--algorithm", "mammal"])
