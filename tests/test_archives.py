"""Archives of drawings: unpacked, and refused where they are spoiled, too large, or reach outside."""
import io
import os
import zipfile

import pytest
from small_omniglot import EXPECTED_LEVELS, levels_of, make_folders, zip_of

from mindspore_maml.cli.errors import InputError
from mindspore_maml.data import archives
from mindspore_maml.data_preprocess import load_images
from mindspore_maml.Omniglot import TOP_FOLDERS, archives_in, find


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
