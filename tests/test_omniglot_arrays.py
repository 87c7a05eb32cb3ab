"""`omniglot.npy` of other programs: read, or refused."""
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from small_omniglot import make_folders, preprocess

from mindspore_maml.cli.errors import InputError
from mindspore_maml.data_preprocess import load_images


@pytest.mark.parametrize("layout", ["c d 1 h w", "c d h w", "c d h w 1"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64, np.float32])
@pytest.mark.parametrize("paper", ["light", "dark"])
def test_arrays_of_other_programs(tmp_path, layout, dtype, paper):
    ink = (np.random.default_rng(0).random((4, 3, 8, 8)) < 0.2) * np.uint8(255)
    stored = 255 - ink if paper == "light" else ink
    stored = stored if dtype == np.uint8 else (stored / 255).astype(dtype)
    stored = {"c d 1 h w": stored[:, :, None], "c d h w": stored, "c d h w 1": stored[..., None]}[layout]
    np.save(tmp_path / "omniglot.npy", stored)
    images = load_images(tmp_path, 8, 1)
    assert images.dtype == np.uint8
    assert np.array_equal(images[:, :, 0], ink)


def save_array(array):
    return lambda path: np.save(path, array)


def save_cut(path):
    np.save(path, np.zeros((4, 3, 8, 8), np.uint8))
    os.truncate(path, 300)


def save_huge(path):
    with path.open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**9, 20, 1, 8, 8)}
        np.lib.format.write_array_header_1_0(file, header)


class Trap:
    """Leaves a file behind when unpickled."""

    def __reduce__(self):
        return (Path("trapped").touch, ())


BAD_ARRAYS = {
    "pickled": lambda path: path.write_bytes(pickle.dumps(Trap())),
    "objects": lambda path: np.save(path, np.array([Trap()], object), allow_pickle=True),
    "cut short": save_cut,
    "huge on paper": save_huge,
    "a pipe": os.mkfifo,
    "several arrays": lambda path: np.savez(path.open("wb"), np.zeros((4, 3, 8, 8))),
    "half of several": lambda path: path.write_bytes(b"PK\x03\x04"),
    "nothing": lambda path: path.write_bytes(b""),
    "zeros and ones": save_array(np.eye(8, dtype=np.uint8) * np.ones((4, 3, 1, 1), np.uint8)),
    "integers": save_array(np.zeros((4, 3, 8, 8), np.int64)),
    "beyond one": save_array(np.full((4, 3, 8, 8), 2.0)),
    "not a number": save_array(np.full((4, 3, 8, 8), np.nan)),
    "all paper": save_array(np.full((4, 3, 8, 8), 255, np.uint8)),
    "all grey": save_array(np.full((4, 3, 8, 8), 0.5)),
    "three axes": save_array(np.zeros((4, 8, 8), np.uint8)),
    "another size": save_array(np.zeros((4, 3, 9, 9), np.uint8)),
    "empty": save_array(np.zeros((0, 3, 8, 8), np.uint8)),
}


@pytest.mark.parametrize("kind", BAD_ARRAYS)
def test_other_arrays_are_refused(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    BAD_ARRAYS[kind](tmp_path / "omniglot.npy")
    with pytest.raises(InputError, match="omniglot.npy"):
        load_images(tmp_path, 8, 1)
    assert os.listdir(tmp_path) == ["omniglot.npy"]


def test_what_does_not_fit_into_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    make_folders(tmp_path / "folders")
    np.save(tmp_path / "omniglot.npy", np.zeros((4, 3, 1, 8, 8), np.uint8))
    monkeypatch.setattr("mindspore_maml.cli.memory.machine_memory", lambda: 700)
    with pytest.raises(InputError, match="4 characters would take 768 bytes of memory; this machine has 700 bytes"):
        load_images(tmp_path, 8, 1)
    with pytest.raises(InputError, match="images of 8 x 8 x 1 would take 1.15 kB"):
        load_images(tmp_path / "folders", 8, 1)


def test_omniglot_npy_alone_is_checked_and_kept(tmp_path, monkeypatch, capsys):
    np.save(tmp_path / "omniglot.npy", np.pad(np.full((5, 4, 26, 26), 0.75), ((0, 0), (0, 0), (1, 1), (1, 1))))
    before = (tmp_path / "omniglot.npy").read_bytes()
    preprocess(monkeypatch, "--download", "--data_path", tmp_path)   # nothing is fetched where data is
    assert "5 characters x 4 drawings" in capsys.readouterr().out
    assert (tmp_path / "omniglot.npy").read_bytes() == before
    with pytest.raises(InputError, match="28 x 28 pixels and 1 channels; expected 32 x 32"):
        preprocess(monkeypatch, "--data_path", tmp_path, "--imgsz", 32)
