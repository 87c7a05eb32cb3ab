"""Drawings in folders: found, sorted, read and written to `omniglot.npy`; made-up data; what is refused."""
import os

import numpy as np
import pytest
from PIL import Image
from small_omniglot import DRAWINGS, EXPECTED_LEVELS, draw, levels_of, make_folders, preprocess

from mindspore_maml import data_preprocess
from mindspore_maml.cli.errors import InputError
from mindspore_maml.data_preprocess import load_images
from mindspore_maml.Omniglot import TOP_FOLDERS, find


@pytest.mark.parametrize("below", ["processed", "", "omniglot/processed", "omniglot"])
def test_folders_are_found_and_sorted(tmp_path, below):
    make_folders(tmp_path / below)
    images = load_images(tmp_path, 10, 1)
    assert images.shape == (6, DRAWINGS, 1, 10, 10)
    assert levels_of(images).tolist() == EXPECTED_LEVELS
    root = tmp_path / "omniglot" if below.startswith("omniglot") else tmp_path
    assert np.load(root / "omniglot.npy").dtype == np.uint8
    assert np.array_equal(load_images(tmp_path, 10, 1), images)   # now from omniglot.npy


def test_images_load_where_nothing_can_be_written(tmp_path, monkeypatch, capsys):
    make_folders(tmp_path)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))
    monkeypatch.setattr(data_preprocess, "replacing", refuse)
    assert levels_of(load_images(tmp_path, 10, 1)).tolist() == EXPECTED_LEVELS
    assert "not written (Permission denied)" in capsys.readouterr().out
    with pytest.raises(PermissionError, match="omniglot.npy"):   # the program that is there to write it
        preprocess(monkeypatch, "--data_path", tmp_path)


def test_two_runs_write_the_same_bytes(tmp_path, monkeypatch):
    contents = []
    for name in ("one", "two"):
        make_folders(tmp_path / name)
        preprocess(monkeypatch, "--data_path", tmp_path / name)
        contents.append((tmp_path / name / "omniglot.npy").read_bytes())
    assert contents[0] == contents[1]


def test_what_was_found_is_said(tmp_path, monkeypatch, capsys):
    make_folders(tmp_path)
    preprocess(monkeypatch, "--data_path", tmp_path, "--imgsz", 16)
    assert capsys.readouterr().out.splitlines()[-1] == "3 alphabets, 6 characters, 18 images"
    assert np.load(tmp_path / "omniglot.npy").shape == (6, DRAWINGS, 1, 16, 16)


def test_colour_is_kept(tmp_path):
    make_folders(tmp_path)
    for path in tmp_path.rglob("*.png"):
        draw(path, 200, mode="RGB")
    images = load_images(tmp_path, 10, 3)
    assert images.shape == (6, DRAWINGS, 3, 10, 10)


def test_sixteen_bits_and_transparency(tmp_path):
    make_folders(tmp_path)
    first, second = sorted(tmp_path.rglob("0001_00.png"))[:2]
    levels = np.full((20, 20), 200, np.uint16)   # a file of 16 bits shows its darkest and lightest as such
    levels[0, 0], levels[-1, -1] = 0, 255
    Image.fromarray(levels * 257).save(first)
    Image.new("LA", (20, 20), (0, 0)).save(second)   # black, of which nothing is to be seen
    load_images(tmp_path, 10, 1)
    assert np.load(tmp_path / "omniglot.npy")[:2, 0, 0, 5, 5].tolist() == [200, 255]


def spoil(action):
    """A data set of which `action` spoils one drawing or character."""
    def make(root):
        make_folders(root)
        return action(root / TOP_FOLDERS[1] / "Aleph" / "character02")
    return make


SPOILED = {
    "not a PNG": spoil(lambda character: (character / "0001_01.png").write_bytes(b"nonsense")),
    "cut short": spoil(lambda character: os.truncate(character / "0001_01.png", 60)),
    "another size": spoil(lambda character: draw(character / "0001_01.png", 5, (21, 20))),
    "one drawing less": spoil(lambda character: (character / "0001_01.png").unlink()),
}


@pytest.mark.parametrize("how", SPOILED)
def test_spoiled_data_is_named_and_nothing_written(tmp_path, how):
    SPOILED[how](tmp_path)
    with pytest.raises(InputError, match="Aleph/character02"):
        load_images(tmp_path, 10, 1)
    assert sorted(os.listdir(tmp_path)) == sorted(TOP_FOLDERS)


def test_a_missing_top_folder_is_named(tmp_path):
    (tmp_path / "processed" / TOP_FOLDERS[0]).mkdir(parents=True)
    with pytest.raises(InputError, match="without images_evaluation"):
        find(tmp_path)


def test_nothing_found_lists_where_it_looked(tmp_path):
    with pytest.raises(InputError) as error:
        find(tmp_path)
    for place in ("omniglot.npy", "processed", "raw/*.zip", "omniglot/processed", "--download", "--glyphs"):
        assert place in str(error.value)
    assert "\n" not in str(error.value)


def test_random_bytes(tmp_path, monkeypatch):
    preprocess(monkeypatch, "--random", "--data_path", tmp_path)
    images = np.load(tmp_path / "omniglot.npy")
    assert (images.shape, images.dtype) == ((1623, 20, 1, 28, 28), np.uint8)
    assert images.mean() == pytest.approx(127.5, abs=0.5)


@pytest.mark.parametrize("flag", ["--random", "--glyphs"])
def test_made_up_data_leaves_other_data_alone(tmp_path, monkeypatch, flag):
    kept = np.full((5, 4, 1, 28, 28), 255, np.uint8)
    np.save(tmp_path / "omniglot.npy", kept)
    make_folders(tmp_path / "other")
    for folder in (tmp_path, tmp_path / "other"):
        before = sorted(os.listdir(folder))
        with pytest.raises(InputError, match="already"):
            preprocess(monkeypatch, flag, "--data_path", folder)
        assert sorted(os.listdir(folder)) == before
    assert np.array_equal(np.load(tmp_path / "omniglot.npy"), kept)


@pytest.mark.skipif("OMNIGLOT_PATH" not in os.environ, reason="OMNIGLOT_PATH does not name the real Omniglot")
def test_real_omniglot(data_path):
    assert (data_path / "printed.txt").read_text().splitlines()[-1] == "50 alphabets, 1623 characters, 32,460 images"
    images = load_images(data_path, 28, 1)
    assert images.shape == (1623, 20, 1, 28, 28)
    assert 0.05 < (images > 127).mean() < 0.2   # ink
