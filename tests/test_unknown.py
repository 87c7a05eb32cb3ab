"""None of these: familiarity, its limits, and where they come from."""
import json
from argparse import Namespace

import numpy as np
import pytest
from own_images import CLASSES, shape, shapes
from PIL import Image

from mindspore_maml.adapted import features_of, handing_on
from mindspore_maml.classifier import FewShotClassifier
from mindspore_maml.cli.errors import InputError
from mindspore_maml.meta import Meta
from mindspore_maml.unknown import FILE_NAME, Limits, centres, familiarity, limits_of

POINTS = [{"n_way": 2, "k_spt": 1, "threshold": 0.2, "temperature": 1.2},
          {"n_way": 8, "k_spt": 1, "threshold": 0.4, "temperature": 2.0}]


@pytest.fixture
def beside(trained_path):
    """The limits beside the tests' checkpoint, removed in the end."""
    path = trained_path.parent / FILE_NAME
    path.write_text(json.dumps(POINTS))
    yield path
    path.unlink()


def test_familiarity_is_1_for_the_examples_and_less_for_others():
    own = np.array([[4.0, 0, -1], [0, 6, 0], [-1, 0, 5]])
    expected = centres(np.repeat(own, 2, axis=0), np.repeat(np.arange(3), 2))
    np.testing.assert_allclose(expected, own)
    np.testing.assert_allclose(familiarity(2 * own, expected), 1)
    found = familiarity(np.array([[4, 0, -1], [4, 3, 0], [-1, -1, -1]]), expected)
    assert found[0] > found[1] > found[2]


def test_limits_are_those_measured_and_between_them_in_between(beside):
    assert limits_of(beside, 2, 1) == Limits(pytest.approx(0.2, abs=1e-6), pytest.approx(1.2, abs=1e-6))
    assert limits_of(beside, 4, 1).threshold == pytest.approx(0.3, abs=1e-6)   # the middle of the logarithms
    assert limits_of(beside.parent / "elsewhere" / "maml.ckpt", 2, 1) is None


@pytest.mark.parametrize("text", ["[]", "{}", '[{"n_way": 2}]', json.dumps([POINTS[0] | {"temperature": 0}]),
                                  json.dumps([POINTS[0] | {"threshold": 10 ** 400}]), "x"])
def test_other_limits_are_refused(beside, text):
    beside.write_text(text)
    with pytest.raises(InputError, match=FILE_NAME):
        limits_of(beside, 2, 1)


def test_images_of_no_class_get_the_label_asked_for(trained_path, beside, tmp_path):
    images, labels = shapes(3, 2, seed=1)
    beside.write_text(json.dumps([POINTS[0] | {"threshold": -1e6}]))   # all are familiar
    model = FewShotClassifier(trained_path).fit(images, labels)
    blank = Image.new("RGB", (60, 60), "white")
    asked = [*shapes(3, 1, seed=2)[0], blank]
    assert model.predict(asked, unknown="none").tolist() == [*model.predict(asked[:3]), "none"]
    with pytest.raises(InputError, match="nothing stands out"):
        model.predict(asked)
    beside.write_text(json.dumps([POINTS[0] | {"threshold": 1.1}]))    # none is
    model.fit(images, labels)
    assert set(model.predict(asked, unknown="none")) == {"none"}
    model.save(tmp_path / "it.npz")
    again = FewShotClassifier.load(tmp_path / "it.npz")
    assert again.adapted_.limits == model.adapted_.limits
    assert np.array_equal(again.score_samples(asked[:3]), model.score_samples(asked[:3]))


def test_probabilities_follow_the_temperature(trained_path, beside):
    images, labels = shapes(3, 2, seed=1)
    model = FewShotClassifier(trained_path).fit(images, labels)
    logits = model.logits(model.read(images)[0])
    powers = np.exp(logits / model.adapted_.limits.temperature)
    np.testing.assert_allclose(model.predict_proba(images), powers / powers.sum(axis=1, keepdims=True), atol=1e-9)


def test_without_limits_an_answer_says_so(trained_path):
    model = FewShotClassifier(trained_path).fit(*shapes(3, 2, seed=1))
    other = shape(CLASSES[4], np.random.default_rng(1))
    assert np.isfinite(model.score_samples([other])).all()
    with pytest.raises(InputError, match=f"has no {FILE_NAME} beside it"):
        model.predict([other], unknown="none")


def test_both_come_of_one_pass_through_the_network(trained_path, beside, monkeypatch):
    images, labels = shapes(3, 2, seed=1)
    model = FewShotClassifier(trained_path).fit(images, labels)
    passes = []
    monkeypatch.setattr(Meta, "predict", lambda meta, *given, predict=Meta.predict: passes.append(1) or
                        predict(meta, *given))
    model.predict(shapes(3, 1, seed=2)[0], unknown="none")
    assert len(passes) == 1   # of 3 images in 4 views, with room for 16


def test_the_head_hands_on_what_it_is_given():
    draws = np.random.default_rng(1)
    for bias in (True, False):
        options = Namespace(network=[{"layer": "flatten"}, {"layer": "linear", "bias": bias}], imgc=1, imgsz=4, n_way=3)
        assert features_of(options) == 16
        weights = [draws.normal(size=(2, 16, 3)), draws.normal(size=(2, 1, 3))][:1 + bias]
        head = handing_on(weights, options)
        x = draws.normal(size=(2, 5, 16))
        found = x @ head[0] + (head[1] if bias else 0)
        np.testing.assert_allclose(found, np.concatenate([x @ weights[0] + (weights[1] if bias else 0), x], axis=2))
    options.network[-1]["units"] = 3   # a head of so many classes and no others
    assert features_of(options) == 0
    assert handing_on(weights, options) == weights
