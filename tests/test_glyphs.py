"""Built-in glyph data: Omniglot's layout, the same bytes from the same seed, and neither too easy nor too hard."""

import re

import numpy as np
import pytest
from PIL import Image

from mindspore_maml.data.glyphs import DRAWERS, SIDE, draw_glyphs


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


@pytest.fixture(scope="module")
def glyphs(tmp_path_factory):
    """Seed 1: two background alphabets and one evaluation alphabet of 15 characters."""
    folder = tmp_path_factory.mktemp("glyphs")
    draw_glyphs(folder, 1, n_background=2, n_evaluation=1)
    return folder


def test_layout_is_omniglots(glyphs):
    names = sorted(files_of(glyphs))
    assert len(names) == 3 * 15 * DRAWERS
    assert sum(name.startswith("images_background/") for name in names) == 2 * 15 * DRAWERS
    pattern = r"images_(?:background|evaluation)/\w+/character(\d\d)/(\d{4})_(\d\d)\.png"
    found = np.array([re.fullmatch(pattern, name).groups() for name in names], dtype=int).reshape(3, 15, DRAWERS, 3)
    character, number, drawer = np.moveaxis(found, -1, 0)  # each (alphabets, characters, drawers)
    assert (character == np.arange(1, 16)[:, None]).all()
    assert (number == np.arange(1, 46).reshape(3, 15, 1)).all()
    assert (drawer == np.arange(1, DRAWERS + 1)).all()


def test_images_are_one_bit_black_on_white(glyphs):
    for path in glyphs.rglob("*.png"):
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "1", (SIDE, SIDE))
            ink = 1 - np.asarray(image).mean()
        assert 0.005 < ink < 0.4, path


def test_every_drawing_is_different(glyphs):
    images = files_of(glyphs).values()
    assert len(set(images)) == len(images)


def test_same_seed_gives_same_bytes_whatever_the_number_of_alphabets(glyphs, tmp_path):
    draw_glyphs(tmp_path, 1, n_background=1, n_evaluation=0)
    again = files_of(tmp_path)
    expected = files_of(glyphs)
    assert len(again) == 15 * DRAWERS
    assert all(expected[name] == content for name, content in again.items())


def test_other_seed_gives_other_images(glyphs, tmp_path):
    draw_glyphs(tmp_path, 2, n_background=1, n_evaluation=0, n_characters=2)
    expected = files_of(glyphs)
    assert all(expected[name] != content for name, content in files_of(tmp_path).items())


def test_nearest_support_image_is_right_in_40_to_80_percent(glyphs):
    """5-way 1-shot with 15 query images a class, by Euclidean distance of 28 x 28 pixels, as few-shot papers do."""
    resized = [np.asarray(Image.open(path).convert("L").resize((28, 28), Image.BICUBIC))
               for path in sorted(glyphs.rglob("*.png"))]
    images = 1 - np.stack(resized).reshape(45, DRAWERS, 28 * 28) / 255
    rng = np.random.default_rng(0)
    accuracies = []
    for _ in range(200):
        classes = rng.choice(45, 5, replace=False)
        task = np.stack([images[c, rng.choice(DRAWERS, 16, replace=False)] for c in classes])  # (5, 16, pixels)
        support, query = task[:, 0], task[:, 1:, None]
        nearest = np.square(query - support).sum(-1).argmin(-1)  # (5, 15)
        accuracies.append((nearest == np.arange(5)[:, None]).mean())
    assert 0.4 < np.mean(accuracies) < 0.8
