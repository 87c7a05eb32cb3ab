"""The data set on disk: finding, unpacking, fetching, reading, and what is refused."""
import functools
import hashlib
import http.server
import io
import os
import pickle
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src import data_preprocess
from src.cli.errors import InputError
from src.data import archives
from src.data_preprocess import load_images
from src.Omniglot import TOP_FOLDERS, archives_in, find

DRAWINGS = 3


def preprocess(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["data_preprocess.py", *map(str, arguments)])
    data_preprocess.main()


def draw(path, value, size=(20, 20), mode="L"):
    """A drawing of one grey level on white, so that its place in the array can be told."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new(mode, size, "white")
    image.paste((value,) * len(image.getbands()) if len(image.getbands()) > 1 else value, (0, 0, 6, 6))
    image.save(path)


def make_folders(root, size=(20, 20)):
    """Two alphabets and one, made in an order that is not the sorted one; levels rise in the sorted order."""
    names = [(TOP_FOLDERS[0], "Alpha"), (TOP_FOLDERS[0], "Beta"), (TOP_FOLDERS[1], "Aleph")]
    characters = [(top, alphabet, f"character{i:02}") for top, alphabet in names for i in (1, 2)]
    levels = {(character, drawing): 10 * i + drawing for i, character in enumerate(characters)
              for drawing in range(DRAWINGS)}
    for (character, drawing), level in sorted(levels.items(), reverse=True):
        draw(root.joinpath(*character, f"0001_{drawing:02}.png"), level, size)
    return len(characters)


def zip_of(folder, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*.png"):
            archive.write(file, file.relative_to(folder))


def levels_of(images):
    """The top left pixel of every drawing, as drawn."""
    return 255 - images[:, :, 0, 0, 0].astype(int)


EXPECTED_LEVELS = [[10 * i + drawing for drawing in range(DRAWINGS)] for i in range(6)]


@pytest.mark.parametrize("below", ["processed", "", "omniglot/processed", "omniglot"])
def test_folders_are_found_and_sorted(tmp_path, below):
    make_folders(tmp_path / below)
    images = load_images(tmp_path, 10, 1)
    assert images.shape == (6, DRAWINGS, 1, 10, 10)
    assert levels_of(images).tolist() == EXPECTED_LEVELS
    root = tmp_path / "omniglot" if below.startswith("omniglot") else tmp_path
    assert np.load(root / "omniglot.npy").dtype == np.uint8
    assert np.array_equal(load_images(tmp_path, 10, 1), images)   # now from omniglot.npy


def test_archives_are_unpacked(tmp_path):
    make_folders(tmp_path / "made")
    for top in TOP_FOLDERS:
        zip_of(tmp_path / "made" / top, tmp_path / "data" / "raw" / f"{top}.zip")
    with pytest.raises(InputError, match="images_background"):   # these archives lack their top folders
        load_images(tmp_path / "data", 10, 1)
    assert os.listdir(tmp_path / "data") == ["raw"]
    zip_of(tmp_path / "made", tmp_path / "other" / "raw" / "everything.zip")
    assert levels_of(load_images(tmp_path / "other", 10, 1)).tolist() == EXPECTED_LEVELS


def test_half_an_archive_is_no_archive(tmp_path):
    make_folders(tmp_path / "made")
    zip_of(tmp_path / "made", tmp_path / "raw" / "everything.zip")
    (tmp_path / "raw" / ".images_background-x.zip").write_bytes(b"what a killed download left")
    assert levels_of(load_images(tmp_path, 10, 1)).tolist() == EXPECTED_LEVELS


def test_official_archives_are_unpacked_alone(tmp_path):
    make_folders(tmp_path / "made")
    for name in (*archives.OFFICIAL, "strokes.zip"):
        zip_of(tmp_path / "made", tmp_path / "raw" / name)
    assert [path.name for path in archives_in(find(tmp_path))] == sorted(archives.OFFICIAL)


def test_archives_join_what_else_is_in_processed(tmp_path):
    make_folders(tmp_path / "made")
    zip_of(tmp_path / "made", tmp_path / "raw" / "everything.zip")
    (tmp_path / "processed").mkdir()
    (tmp_path / "processed" / "notes.txt").write_text("mine")
    assert levels_of(load_images(tmp_path, 10, 1)).tolist() == EXPECTED_LEVELS
    assert sorted(os.listdir(tmp_path / "processed")) == [*TOP_FOLDERS, "notes.txt"]


def test_images_load_where_nothing_can_be_written(tmp_path, monkeypatch, capsys):
    make_folders(tmp_path)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))
    monkeypatch.setattr(data_preprocess, "replacing", refuse)
    assert levels_of(load_images(tmp_path, 10, 1)).tolist() == EXPECTED_LEVELS
    assert "not written (Permission denied)" in capsys.readouterr().out
    with pytest.raises(InputError, match="cannot write"):   # the program that is there to write it
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
    Image.fromarray(np.full((20, 20), 200 * 257, np.uint16)).save(first)
    Image.new("LA", (20, 20), (0, 0)).save(second)   # black, of which nothing is to be seen
    load_images(tmp_path, 10, 1)
    assert np.load(tmp_path / "omniglot.npy")[:2, 0, 0, 5, 5].tolist() == [200, 255]


@pytest.mark.parametrize("name, content", [("../outside.png", b""), ("/outside.png", b""), ("link", None)])
def test_entries_that_land_outside_are_refused(tmp_path, name, content):
    raw = tmp_path / "data" / "raw"
    raw.mkdir(parents=True)
    entry = zipfile.ZipInfo(name)
    if content is None:
        entry.external_attr = 0o120777 << 16   # a symbolic link
    with zipfile.ZipFile(raw / "bad.zip", "w") as archive:
        archive.writestr(entry, content or b"/etc")
    with pytest.raises(InputError, match="bad.zip"):
        load_images(tmp_path / "data", 10, 1)
    assert os.listdir(tmp_path) == ["data"]
    assert os.listdir(tmp_path / "data") == ["raw"]


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
    monkeypatch.setattr("src.cli.memory.machine_memory", lambda: 700)
    with pytest.raises(InputError, match="4 characters would take 768 bytes of memory; this machine has 700 bytes"):
        load_images(tmp_path, 8, 1)
    with pytest.raises(InputError, match="images of 8 x 8 x 1 would take 1.15 kB"):
        load_images(tmp_path / "folders", 8, 1)


def flipped(content, bit):
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def contents_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_flipped_bit_of_an_archive_changes_nothing_without_a_word(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for top in TOP_FOLDERS:
            archive.writestr(f"{top}/", b"")
            for drawing in range(3):
                archive.writestr(f"{top}/A/c1/{drawing}.png", bytes(range(drawing, drawing + 60)) + bytes(40))
            archive.writestr(f"{top}/empty", b"")
    whole = packed.getvalue()
    (tmp_path / "it.zip").write_bytes(whole)
    archives.unpack([tmp_path / "it.zip"], tmp_path / "whole")
    expected, refused = contents_of(tmp_path / "whole"), 0
    for number, bit in enumerate(range(0, 8 * len(whole), 101)):
        (tmp_path / "it.zip").write_bytes(flipped(whole, bit))
        try:
            archives.unpack([tmp_path / "it.zip"], tmp_path / str(number))
        except InputError:
            refused += 1
        else:
            assert contents_of(tmp_path / str(number)) == expected, bit
    assert refused > 30


@pytest.mark.parametrize(("limit", "words"), [("MOST_ENTRIES", "holds 18 entries; expected at most 10"),
                                              ("MOST_UNPACKED", "would unpack to .* kB; expected at most 10 bytes")])
def test_archives_are_limited(tmp_path, monkeypatch, limit, words):
    make_folders(tmp_path / "made")
    zip_of(tmp_path / "made", tmp_path / "raw" / "it.zip")
    monkeypatch.setattr(archives, limit, 10)
    with pytest.raises(InputError, match=words):
        load_images(tmp_path, 10, 1)
    assert sorted(os.listdir(tmp_path)) == ["made", "raw"]


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


def test_omniglot_npy_alone_is_checked_and_kept(tmp_path, monkeypatch, capsys):
    np.save(tmp_path / "omniglot.npy", np.pad(np.full((5, 4, 26, 26), 0.75), ((0, 0), (0, 0), (1, 1), (1, 1))))
    before = (tmp_path / "omniglot.npy").read_bytes()
    preprocess(monkeypatch, "--download", "--data_path", tmp_path)   # nothing is fetched where data is
    assert "5 characters x 4 drawings" in capsys.readouterr().out
    assert (tmp_path / "omniglot.npy").read_bytes() == before
    with pytest.raises(InputError, match="28 x 28 pixels and 1 channels; expected 32 x 32"):
        preprocess(monkeypatch, "--data_path", tmp_path, "--imgsz", 32)


@pytest.fixture
def mirror(tmp_path):
    """A folder served on this machine, and its address."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    handler.log_message = lambda *arguments: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_download_fetches_and_checks(tmp_path, mirror, monkeypatch):
    folder, address = mirror
    make_folders(tmp_path / "made")
    sums = {}
    for top in TOP_FOLDERS:
        with zipfile.ZipFile(folder / f"{top}.zip", "w") as archive:
            for file in (tmp_path / "made" / top).rglob("*.png"):
                archive.write(file, file.relative_to(tmp_path / "made"))
        sums[f"{top}.zip"] = hashlib.md5((folder / f"{top}.zip").read_bytes()).hexdigest()
    data = tmp_path / "data"
    with pytest.raises(InputError, match="md5"):   # they are not the official ones
        preprocess(monkeypatch, "--download", "--url", address, "--data_path", data)
    assert os.listdir(data / "raw") == []
    for name, md5 in sums.items():
        monkeypatch.setitem(archives.OFFICIAL, name, md5)
    preprocess(monkeypatch, "--download", "--url", address + "/", "--data_path", data)
    assert np.load(data / "omniglot.npy").shape[:2] == (6, DRAWINGS)


def test_download_goes_on_with_the_missing_archive(tmp_path, mirror, monkeypatch):
    folder, address = mirror
    make_folders(tmp_path / "made")
    (tmp_path / "background").mkdir()
    (tmp_path / "made" / TOP_FOLDERS[0]).rename(tmp_path / "background" / TOP_FOLDERS[0])
    zip_of(tmp_path / "background", tmp_path / "data" / "raw" / f"{TOP_FOLDERS[0]}.zip")
    with pytest.raises(InputError, match="no folder images_evaluation"):
        preprocess(monkeypatch, "--data_path", tmp_path / "data")
    zip_of(tmp_path / "made", folder / f"{TOP_FOLDERS[1]}.zip")   # all that the mirror has
    md5 = hashlib.md5((folder / f"{TOP_FOLDERS[1]}.zip").read_bytes()).hexdigest()
    monkeypatch.setitem(archives.OFFICIAL, f"{TOP_FOLDERS[1]}.zip", md5)
    preprocess(monkeypatch, "--download", "--url", address, "--data_path", tmp_path / "data")
    assert np.load(tmp_path / "data" / "omniglot.npy").shape[:2] == (6, DRAWINGS)


def test_download_leaves_nothing_where_it_fails(tmp_path, mirror, monkeypatch):
    _, address = mirror
    with pytest.raises(InputError, match="cannot be fetched"):
        preprocess(monkeypatch, "--download", "--url", address, "--data_path", tmp_path / "data")
    assert os.listdir(tmp_path / "data" / "raw") == []


@pytest.mark.skipif("OMNIGLOT_PATH" not in os.environ, reason="OMNIGLOT_PATH does not name the real Omniglot")
def test_real_omniglot(tmp_path, monkeypatch, capsys):
    (tmp_path / "raw").mkdir()
    for archive in Path(os.environ["OMNIGLOT_PATH"]).resolve().glob("raw/*.zip"):
        (tmp_path / "raw" / archive.name).symlink_to(archive)
    preprocess(monkeypatch, "--data_path", tmp_path)
    assert capsys.readouterr().out.splitlines()[-1] == "50 alphabets, 1623 characters, 32,460 images"
    images = load_images(tmp_path, 28, 1)
    assert images.shape == (1623, 20, 1, 28, 28)
    assert 0.05 < (images > 127).mean() < 0.2   # ink
