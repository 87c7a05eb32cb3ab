"""The classifier: scikit-learn's conventions, any number of classes from one checkpoint, images as they come."""

import os

import numpy as np
import pytest
from checkpoints import write
from own_images import shapes
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from mindspore_maml.classifier import FewShotClassifier
from mindspore_maml.cli.errors import InputError
from mindspore_maml.labels import even, filled_up


@pytest.fixture(scope="module")
def fitted(trained_path):
    """A classifier of four classes that has seen three images of each."""
    return FewShotClassifier(trained_path).fit(*shapes(4, 3, seed=1))


def test_new_images_are_recognised(fitted):
    images, labels = shapes(4, 5, seed=2)
    probabilities = fitted.predict_proba(images)
    assert probabilities.shape == (20, 4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-9)
    assert fitted.classes_.tolist() == sorted(set(labels))
    found = fitted.predict(images)
    assert (found == fitted.classes_[probabilities.argmax(axis=1)]).all()
    assert fitted.score(images, labels) == np.mean(found == np.array(labels)) > 0.8


def test_an_answer_depends_on_no_other_image(fitted):
    images, _ = shapes(4, 5, seed=2)
    together = fitted.predict_proba(images)
    order = np.random.default_rng(1).permutation(len(images))
    np.testing.assert_allclose(fitted.predict_proba([images[place] for place in order]), together[order], atol=1e-5)
    for place in (0, 7, 19):
        np.testing.assert_allclose(fitted.predict_proba([images[place]]), together[[place]], atol=1e-5)


def test_a_fit_that_fails_changes_nothing(trained_path):
    images, labels = shapes(3, 1, seed=1)
    model = FewShotClassifier(trained_path).fit(images, labels)
    before = model.predict_proba(images)
    with pytest.raises(InputError, match="missing.png"):
        model.fit([*images[:1], "missing.png"], ["other", "labels"])
    assert model.classes_.tolist() == sorted(labels)
    assert np.array_equal(model.predict_proba(images), before)


def test_with_the_statistics_of_the_images_asked_about_it_does(trained_path):
    images, labels = shapes(4, 2, seed=1)
    model = FewShotClassifier(trained_path, statistics="query").fit(images, labels)
    assert np.abs(model.predict_proba(images)[:1] - model.predict_proba(images[:1])).max() > 1e-3


def test_paths_arrays_and_pictures_give_the_same_answers(fitted, tmp_path):
    images, _ = shapes(4, 1, seed=3)
    expected = fitted.predict_proba(images)
    images[0].save(tmp_path / "0.png")
    grey = np.asarray(images[2].convert("L")) / 255
    mixed = [str(tmp_path / "0.png"), np.asarray(images[1]), grey, images[3]]
    np.testing.assert_allclose(fitted.predict_proba(mixed), expected, atol=1e-5)
    assert fitted.predict([]).tolist() == []


@pytest.mark.parametrize("names", [(7, -2), (True, False), (("a", 1), ("b", 2)), ("left", None), (b"x", b"y")])
def test_labels_may_be_of_any_kind(trained_path, names):
    images, labels = shapes(2, 2, seed=1)
    labels = [names[label == "circle"] for label in labels]
    model = FewShotClassifier(trained_path).fit(images, labels)
    assert set(model.predict(images)) <= set(names)
    assert model.score(images, labels) > 0.5
    assert set(model.classes_) == set(names)


def test_cross_validation_and_copies(trained_path, fitted):
    images, labels = shapes(2, 4, seed=1)
    scores = cross_val_score(FewShotClassifier(trained_path, steps=4), images, labels, cv=2)
    assert scores.shape == (2,)
    assert scores.mean() > 0.7
    copy = clone(FewShotClassifier(trained_path, steps=4, rate=0.1))
    assert copy.get_params() == {"ckpt": trained_path, "steps": 4, "rate": 0.1, "statistics": "support", "preset": None,
                                 "pictures": None, "views": None}
    assert copy.set_params(steps=7) is copy
    assert copy.steps == 7


def test_classes_are_sorted_and_smaller_ones_are_evened_out(trained_path):
    images, labels = shapes(3, 3, seed=1)
    order = [5, 0, 8, 3, 1]   # of the classes three, two and none alone of the first
    model = FewShotClassifier(trained_path).fit([images[place] for place in order], [labels[place] for place in order])
    assert model.classes_.tolist() == sorted({labels[place] for place in order})
    counts = np.bincount(model.numbers_[model.adapted_.evened])
    assert len(set(counts)) == 1 < len(set(np.bincount(model.numbers_)))


def test_a_checkpoint_written_anew_is_read_anew(tmp_path):
    images, labels = shapes(2, 1, seed=1)
    layers = [{"layer": "flatten"}, {"layer": "linear"}]
    found = []
    for seed in (1, 2):
        path, *_ = write(tmp_path, imgsz=28, network=layers, seed=seed)
        os.utime(path, ns=(seed, seed))
        found.append(FewShotClassifier(path, steps=0).fit(images, labels).predict_proba(images))
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_views_are_learned_and_asked_and_an_answer_repeats(trained_path):
    images, labels = shapes(3, 1, seed=1)
    one, three = (FewShotClassifier(trained_path, views=views).fit(images, labels) for views in (1, 3))
    assert (len(one.support_), len(three.support_), len(three.adapted_.taken)) == (3, 3, 9)
    assert np.array_equal(three.adapted_.taken[:3], three.support_)
    assert np.abs(one.predict_proba(images) - three.predict_proba(images)).max() > 1e-3
    again = FewShotClassifier(trained_path, views=3).fit(images, labels)
    assert np.array_equal(again.predict_proba(images), three.predict_proba(images))
    np.testing.assert_allclose(three.predict_proba(images[1:2]), three.predict_proba(images)[1:2], atol=1e-5)
    with pytest.raises(InputError, match="views is -1"):
        FewShotClassifier(trained_path, views=-1).fit(images, labels)



def test_steps_and_rate_count(trained_path):
    images, labels = shapes(2, 2, seed=1)
    found = [FewShotClassifier(trained_path, steps=steps, rate=rate).fit(images, labels).predict_proba(images)
             for steps, rate in ((0, None), (1, None), (1, 0.01))]
    assert np.abs(found[0] - found[1]).max() > 0.01
    assert np.abs(found[1] - found[2]).max() > 0.01


@pytest.mark.parametrize(("images", "labels", "message"), [
    (shapes(2, 1, 1)[0], ["a"], "2 images and 1 labels"),
    (shapes(2, 1, 1)[0], ["a", "a"], "1 classes among 2 labels"),
    (shapes(2, 1, 1)[0], [["a"], ["b"]], "cannot be told apart"),
    ("missing.png", ["a"], "a single image"),
    (["missing.png", "other.png"], ["a", "b"], "missing.png"),
    (np.zeros((8, 8)), ["a", "b"], "a single image"),
])
def test_what_cannot_be_learned_from_is_refused(trained_path, images, labels, message):
    with pytest.raises(InputError, match=message):
        FewShotClassifier(trained_path).fit(images, labels)


def test_unfitted_and_unknown_parameters_are_refused(trained_path):
    with pytest.raises(InputError, match="call of fit first"):
        FewShotClassifier(trained_path).predict(shapes(2, 1, 1)[0])
    with pytest.raises(InputError, match="unknown parameter speed"):
        FewShotClassifier(trained_path).set_params(speed=1)


def test_classes_weigh_the_same_however_many_images_they_have():
    assert even(np.array([1, 0, 1, 1, 2, 0])).tolist() == [1, 5, 1, 0, 2, 3, 4, 4, 4]
    assert even(np.array([1, 0])).tolist() == [1, 0]
    assert even(np.zeros(9, int)).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 0]   # filled up to ten


def test_there_are_few_numbers_of_images_a_class():
    sizes = sorted({filled_up(count) for count in range(1, 101)})
    assert sizes == [*range(1, 9), 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112]
    assert all(count <= filled_up(count) < 1.25 * count + 1 for count in range(1, 101))
