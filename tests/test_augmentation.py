"""Augmentation: an affine map seen pixel by pixel, how much it changes, and that a seed repeats it."""
import numpy as np
import pytest

from mindspore_maml.data.augmentation import (
    BEND,
    SCALE,
    SHEAR,
    SHIFT,
    TURN,
    augment,
    places_under,
    random_affine,
    random_bends,
    sample,
)
from mindspore_maml.OmniglotIter import OmniglotIter

IMAGES = np.random.default_rng(1).integers(0, 256, (6, 2, 9, 8), np.uint8)   # [image, channel, height, width]


def seen_through(matrix, images=IMAGES):
    """The images sampled at the places under this map, the same for all."""
    return sample(images, places_under(np.tile(np.float32(matrix), (len(images), 1, 1)), images.shape[2:]))


def test_the_identity_changes_nothing():
    assert np.array_equal(seen_through([[1, 0, 0], [0, 1, 0]]), IMAGES)


def test_a_shift_looks_at_the_neighbour_and_sees_paper_beyond_the_edge():
    shifted = seen_through([[1, 0, 1], [0, 1, -2]])
    assert np.array_equal(shifted[..., :-1, 2:], IMAGES[..., 1:, :-2])
    assert shifted[..., -1, :].max() < 1          # of 255: the frame's last thousandth
    assert not shifted[..., :2].any()


def test_half_a_pixel_is_the_mean_of_two():
    shifted = seen_through([[1, 0, 0], [0, 1, 0.5]])
    np.testing.assert_allclose(shifted[..., :-1], (IMAGES[..., :-1] / 2 + IMAGES[..., 1:] / 2), rtol=1e-5)


def test_a_quarter_turn_is_that_of_numpy():
    square = IMAGES[..., :8, :]
    np.testing.assert_allclose(seen_through([[0, 1, 0], [-1, 0, 0]], square), np.rot90(square, axes=(-2, -1)), atol=1)


def test_strength_is_the_spread_of_turns_and_shifts():
    for strength in (0.5, 2.0):
        affine = random_affine(20000, (28, 28), strength, np.random.default_rng(1))
        assert affine[:, :, 2].std(axis=0) == pytest.approx(strength * SHIFT, rel=0.03)
        turns = np.arctan2(affine[:, 0, 1] - affine[:, 1, 0], affine[:, 0, 0] + affine[:, 1, 1])
        assert turns.std() > strength * TURN      # the shear turns a little too
        areas = np.log(np.linalg.det(affine[:, :, :2]))   # of two axes, each by a factor of its own
        assert areas.std() == pytest.approx(strength * SCALE * np.sqrt(2), rel=0.1)
        assert affine.mean(axis=0) == pytest.approx(np.eye(2, 3), abs=0.05 * strength ** 2)


def test_bends_are_smooth_and_as_strong_as_asked_for():
    for strength in (0.5, 2.0):
        bends = random_bends(2000, (28, 28), strength, np.random.default_rng(1)).reshape(2000, 2, 28, 28)
        assert bends[..., ::27, ::27].std() == pytest.approx(strength * BEND, rel=0.03)   # the knots in the corners
        assert np.abs(np.diff(bends)).max() < 0.5 * np.abs(bends).max()   # of noise, it would be twice it
    assert bends.mean() == pytest.approx(0, abs=0.05)
    steps = np.abs(np.diff(bends, 2)).mean(axis=(0, 1, 2))   # how sharply a line bends at each place along it
    assert steps.max() < 3 * np.median(steps)   # at no knot sharper than elsewhere


def test_an_elastic_change_alone_bends_images():
    straight = np.zeros((3, 1, 28, 28), np.uint8)
    straight[..., 14, 4:24] = 255
    assert np.array_equal(augment(straight, 0.0, np.random.default_rng(1)), straight)
    bent = augment(straight, 0.0, np.random.default_rng(1), elastic=1.0)
    assert ((bent > 64).any(axis=-1).sum(axis=-1) > 1).all()   # ink in more than one line
    assert bent.sum() == pytest.approx(straight.sum(), rel=0.3)


def test_images_are_changed_independently_and_the_same_for_a_seed():
    same_image = np.repeat(IMAGES[:1], 4, axis=0)
    changed = augment(same_image, 1.0, np.random.default_rng(3))
    assert changed.shape == same_image.shape
    assert all((changed[0] != other).any() for other in changed[1:])
    assert np.array_equal(changed, augment(same_image, 1.0, np.random.default_rng(3)))


def episodes(strength=0.0, **more):
    images = np.random.default_rng(2).integers(0, 256, (1200, 20, 1, 28, 28), np.uint8)
    return OmniglotIter(images, n_way=5, k_spt=1, k_qry=5, task_num=8, batches=12, seed=1, augment=strength, **more)


def test_episodes_are_the_same_but_for_the_change_and_go_on_anywhere():
    plain, changed = next(iter(episodes(0.0))), list(episodes(0.01))
    assert np.array_equal(plain[1], changed[0][1])                     # the labels of the support images
    assert 0 < np.abs(plain[0] - changed[0][0]).mean() < 0.05          # of ink at 1: as good as the same images
    going_on = episodes(0.01)
    going_on.state = {"seed": 1, "drawn": 10}
    for batch, again in zip(changed[10:], going_on, strict=True):
        assert all(np.array_equal(one, other) for one, other in zip(batch, again, strict=True))


def test_an_affine_map_is_a_turn_of_a_shear_of_a_stretch_in_pixels_of_its_size():
    draws = 0.5 * np.random.default_rng(4).standard_normal((6, 3))
    for map_, (turn, down, across, shear, *shift) in zip(
            random_affine(3, (28, 14), 0.5, np.random.default_rng(4)), draws.T):
        cos, sin = np.cos(TURN * turn), np.sin(TURN * turn)
        stretch = np.diag(np.exp([SCALE * down, SCALE * across]))
        expected = np.array([[cos, sin], [-sin, cos]]) @ [[1, 0], [SHEAR * shear / stretch[0, 0], 1]] @ stretch
        np.testing.assert_allclose(map_[:, :2], expected, rtol=1e-5)
        np.testing.assert_allclose(map_[:, 2], SHIFT * np.array(shift) * [1, 0.5], rtol=1e-5)


def test_far_outside_is_paper_and_all_is_of_32_bits():
    places = np.array([[[-30.0, 40.0, 4.0, 4.0], [3.0, 3.0, -30.0, 40.0]]], np.float32)   # above, below, left, right
    full = np.full((1, 1, 2, 2), 255, np.uint8)
    seen = sample(full, places)
    assert seen.max() < 1 and seen.dtype == np.float32   # the last thousandth of the frame's pixel
    assert random_affine(2, (9, 8), 1.0, np.random.default_rng(1)).dtype == np.float32
    assert random_bends(2, (9, 8), 1.0, np.random.default_rng(1)).dtype == np.float32
