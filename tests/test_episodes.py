"""Episodes: what a task must hold, what a seed and a state promise, what is refused."""
import json

import numpy as np
import pytest

from mindspore_maml.cli.errors import InputError
from mindspore_maml.OmniglotIter import ImageIter, OmniglotIter, split_classes, to_values

N_WAY, K_SPT, K_QRY, TASKS = 5, 2, 3, 16
CLASSES, DRAWINGS = 12, 6


def marked_images(classes=CLASSES, drawings=DRAWINGS, imgc=1, imgsz=4):
    """Images that say what they are: the corner pixel its class, the next one its drawing, a third one full ink."""
    images = np.zeros((classes, drawings, imgc, imgsz, imgsz), np.uint8)
    images[..., 0, 0] = np.arange(classes)[:, None, None]
    images[..., 0, 1] = np.arange(drawings)[None, :, None]
    images[..., 1, 0] = 255
    return images


def episodes(images=None, **changes):
    sizes = {"n_way": N_WAY, "k_spt": K_SPT, "k_qry": K_QRY, "task_num": TASKS, "batches": 4, "seed": 1}
    return OmniglotIter(marked_images() if images is None else images, **{**sizes, **changes})


def marks(images):
    """The class, the drawing and the quarter turns of marked images [task, image, channel, height, width]."""
    pixels = np.rint(images[:, :, 0] * 255).astype(int)                                  # [task, image, h, w]
    upright = np.stack([np.rot90(pixels, -turns, axes=(-2, -1)) for turns in range(4)])  # [turn, task, image, h, w]
    turns = (upright[..., 1, 0] == 255).argmax(axis=0)                                   # [task, image]
    found = np.take_along_axis(upright, turns[None, ..., None, None], axis=0)[0]
    return found[..., 0, 0], found[..., 0, 1], turns


def same(batches, others):
    return len(batches) == len(others) and all(
        np.array_equal(array, other) for batch, others_batch in zip(batches, others, strict=True)
        for array, other in zip(batch, others_batch, strict=True))


@pytest.mark.parametrize("imgc", [1, 3])
def test_shapes_types_and_range(imgc):
    x_spt, y_spt, x_qry, y_qry = next(iter(episodes(marked_images(imgc=imgc))))
    assert x_spt.shape == (TASKS, N_WAY * K_SPT, imgc, 4, 4)
    assert x_qry.shape == (TASKS, N_WAY * K_QRY, imgc, 4, 4)
    assert y_spt.shape == x_spt.shape[:2]
    assert y_qry.shape == x_qry.shape[:2]
    assert {x_spt.dtype, x_qry.dtype} == {np.dtype(np.float32)}
    assert {y_spt.dtype, y_qry.dtype} == {np.dtype(np.int32)}
    assert x_spt.min() == 0
    assert x_spt.max() == 1


@pytest.mark.parametrize("rotate", [False, True])
def test_tasks_are_well_formed(rotate):
    for x_spt, y_spt, x_qry, y_qry in episodes(rotate=rotate):
        classes, drawings, turns = (np.concatenate(pair, axis=1)
                                    for pair in zip(marks(x_spt), marks(x_qry), strict=True))
        labels = np.concatenate([y_spt, y_qry], axis=1)
        for task in range(TASKS):
            assert np.array_equal(np.bincount(y_spt[task]), [K_SPT] * N_WAY)
            assert np.array_equal(np.bincount(y_qry[task]), [K_QRY] * N_WAY)
            # Every label stands for one class, turned one way; every image is another one.
            assert len(set(zip(labels[task], classes[task], turns[task], strict=True))) == N_WAY
            assert len(set(classes[task])) == N_WAY
            assert len(set(zip(classes[task], drawings[task], strict=True))) == labels.shape[1]


def test_rotation_turns_every_way_and_only_when_asked():
    upright = [marks(x_spt)[2] for x_spt, *_ in episodes()]
    turned = [marks(x_spt)[2] for x_spt, *_ in episodes(rotate=True)]
    assert not np.any(upright)
    share = np.bincount(np.ravel(turned), minlength=4) / np.size(turned)
    assert share == pytest.approx([0.25] * 4, abs=0.1)


def test_order_is_shuffled_and_tells_nothing():
    batches = list(episodes(task_num=500))
    labels = np.concatenate([y_qry for *_, y_qry in batches])
    classes = np.concatenate([marks(x_qry)[0] for _, _, x_qry, _ in batches])
    # Position says nothing of the label, and the label nothing of the class.
    assert labels.mean(axis=0) == pytest.approx([2] * N_WAY * K_QRY, abs=0.15)
    assert [classes[labels == label].mean() for label in range(N_WAY)] == pytest.approx([5.5] * N_WAY, abs=0.3)
    assert np.bincount(classes.ravel()) / classes.size == pytest.approx([1 / CLASSES] * CLASSES, abs=0.01)


def test_ink_and_paper_have_the_values_asked_for():
    plain, light = next(iter(episodes()))[0], next(iter(episodes(ink=0, paper=255)))[0]
    assert light.dtype == np.float32
    np.testing.assert_allclose(light, 255 - 255 * plain, atol=1e-4)


def test_ends_and_repeats():
    iterator = episodes()
    first = list(iterator)
    assert len(first) == len(iterator) == 4
    with pytest.raises(StopIteration):
        next(iterator)
    assert same(first, list(iterator))
    assert same(first, list(episodes()))
    assert not same(first, list(episodes(seed=2)))
    assert not same(first[:1], first[1:2])
    assert not same(first[1:2], list(episodes(seed=2))[:1])   # nor is another seed this one, a batch later


def test_characters_turn_the_way_numpy_turns_them():
    images = marked_images()
    x_spt, _, _, _ = next(iter(episodes(images, rotate=True)))
    classes, drawings, turns = marks(x_spt)
    assert set(turns.ravel()) == {0, 1, 2, 3}
    for image, label, drawing, quarters in zip(x_spt[0], classes[0], drawings[0], turns[0]):
        np.testing.assert_allclose(image, np.rot90(images[label, drawing], quarters, axes=(-2, -1)) / 255, atol=1e-6)


def test_a_run_goes_on_where_it_stopped():
    whole = list(episodes(rotate=True))
    stopped = episodes(rotate=True)
    for _ in range(2):
        next(stopped)
    state = json.loads(json.dumps(stopped.state))
    assert state["drawn"] == 2
    going_on = episodes(rotate=True, seed=99)
    going_on.state = state
    assert same(whole[2:], list(going_on))
    assert same(whole[2:], list(going_on))


@pytest.mark.parametrize("classes, n_train, expected", [(1623, 0, 1200), (1623, 964, 964), (400, 0, 296), (2, 1, 1)])
def test_split_sizes(classes, n_train, expected):
    train, test = split_classes(np.arange(classes), n_train)
    assert len(train) == expected
    assert np.array_equal(np.concatenate([train, test]), np.arange(classes))


def test_shuffled_split_is_seeded_and_disjoint():
    splits = {seed: split_classes(np.arange(100), 70, "shuffled", seed) for seed in (0, 1)}
    assert not np.array_equal(splits[0][1], splits[1][1])
    assert np.array_equal(splits[0][0], split_classes(np.arange(100), 70, "shuffled", 0)[0])
    for train, test in splits.values():
        assert sorted([*train, *test]) == list(range(100))
        assert list(train) != list(range(70))


@pytest.mark.parametrize("n_train", [100, 101])
def test_split_without_test_characters_is_refused(n_train):
    with pytest.raises(InputError, match=f"--n_train_classes {n_train}.*100 characters.*1 to 99"):
        split_classes(np.arange(100), n_train)


def test_too_few_classes_or_drawings_are_refused_with_the_numbers():
    with pytest.raises(InputError, match="--n_way 13: there are 12"):
        episodes(n_way=13)
    with pytest.raises(InputError, match="--k_spt 3 and --k_qry 4 need 7 drawings.* has 6"):
        episodes(k_spt=3, k_qry=4)
    x_spt, _, x_qry, _ = next(iter(episodes(n_way=CLASSES, k_spt=DRAWINGS - 1, k_qry=1)))   # just enough
    assert x_spt.shape[1] + x_qry.shape[1] == CLASSES * DRAWINGS


def test_ink_must_differ_from_paper():
    with pytest.raises(InputError, match="--ink 1 and --paper 1 are the same"):
        episodes(ink=1, paper=1)


# ---- single images, for a classifier

@pytest.mark.parametrize("rotate", [False, True])
def test_single_images_are_of_every_class_and_turn_that_their_label_says(rotate):
    batches = list(ImageIter(marked_images(), n_way=N_WAY, k_spt=K_SPT, k_qry=K_QRY, task_num=TASKS, batches=6, seed=1,
                             rotate=rotate))
    seen = set()
    for x_spt, y_spt, x_qry, y_qry in batches:
        assert x_spt.shape == (TASKS, 0, 1, 4, 4) and y_spt.shape == (TASKS, 0)
        assert x_qry.shape == (TASKS, N_WAY * K_QRY, 1, 4, 4) and (x_qry.dtype, y_qry.dtype) == (np.float32, np.int32)
        classes, drawings, turns = marks(x_qry)
        assert np.array_equal(y_qry, 4 * classes + turns if rotate else classes)
        assert rotate or not turns.any()
        seen |= set(zip(y_qry.ravel().tolist(), drawings.ravel().tolist()))
    labels = CLASSES * (4 if rotate else 1)
    assert {label for label, _ in seen} == set(range(labels))
    assert {drawing for _, drawing in seen} == set(range(DRAWINGS))
    assert not same(batches, batches[::-1])


def test_values_are_of_32_bits_between_paper_and_ink():
    pixels = np.array([0, 51, 255], np.uint8)
    for ink, paper, expected in ((1, 0, [0, 0.2, 1]), (2, 0, [0, 0.4, 2]), (0, 1, [1, 0.8, 0]), (3, 1, [1, 1.4, 3])):
        values = to_values(pixels, ink, paper)
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, expected, rtol=1e-6)
