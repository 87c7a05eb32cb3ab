"""Pictures of all kinds: read alike, turned upright, on paper, aspect kept, ink found out; and what is refused."""
import os

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mindspore_maml.cli.errors import InputError
from mindspore_maml.data.images import paper_and_ink, read_image, read_images, read_picture

SUFFIXES = ("jpg", "png", "webp", "bmp", "tiff")
ORIENTATION, TURNED_RIGHT = 274, 6   # of EXIF: to be turned by 90 degrees clockwise


def cross(size=(60, 60), ink=0, paper=255, mode="L"):
    """A thick line along the left edge's third: upright, it stands on the left."""
    image = Image.new("L", size, paper)
    ImageDraw.Draw(image).rectangle((size[0] // 6, size[1] // 6, size[0] // 3, 5 * size[1] // 6), fill=ink)
    return image.convert(mode)


def correlation(image, other):
    return np.corrcoef(image.ravel(), other.ravel())[0, 1]


@pytest.fixture(scope="module")
def expected():
    return read_image(cross(), 28, 1)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_every_format_reads_alike(tmp_path, expected, suffix, mode):
    cross(mode=mode).save(tmp_path / f"it.{suffix}")
    for imgc in (1, 3):
        image = read_image(tmp_path / f"it.{suffix}", 28, imgc)
        assert (image.shape, image.dtype) == ((imgc, 28, 28), np.uint8)
        np.testing.assert_allclose(image, np.broadcast_to(expected, image.shape), atol=25)   # JPEG loses some


def sixteen_bits():
    return Image.fromarray(np.asarray(cross()).astype(np.uint16) * 257)


def floats():
    return Image.fromarray(np.asarray(cross()).astype(np.float32) / 255)


def transparent(ink, mode="RGBA"):
    """Ink on nothing at all."""
    image = Image.new("RGBA", (60, 60), (128, 0, 0, 0))
    image.paste((ink, ink, ink, 255), (10, 10, 21, 51))
    return image.convert(mode)


@pytest.mark.parametrize("picture", [
    cross(mode="1"), cross(mode="P"), cross(mode="CMYK"), cross(mode="LA"), sixteen_bits(), floats(),
    cross(mode="I"), cross(ink=255, paper=0), transparent(0), transparent(255), transparent(0, "LA"),
    transparent(0, "PA")], ids=lambda picture: picture.mode)
def test_every_mode_and_both_papers_read_alike(expected, picture):
    assert correlation(read_image(picture, 28, 1), expected) > 0.98


def test_arrays_and_files_of_the_same_picture_are_the_same(tmp_path, expected):
    cross().save(tmp_path / "it.png")
    pixels = np.asarray(cross())
    for source in (str(tmp_path / "it.png"), pixels, pixels[:, :, None], pixels / 255, np.stack([pixels] * 3, 2)):
        assert np.array_equal(read_image(source, 28, 1), expected)


def test_pictures_are_turned_as_their_exif_data_say(tmp_path, expected):
    exif = Image.Exif()
    exif[ORIENTATION] = TURNED_RIGHT
    cross().rotate(90).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    assert correlation(read_image(tmp_path / "turned.jpg", 28, 1), expected) > 0.98


@pytest.mark.parametrize("paper", [255, 200, 0])
def test_the_aspect_is_kept_and_the_rest_is_paper(paper):
    wide = Image.new("L", (120, 40), paper)
    ImageDraw.Draw(wide).ellipse((50, 10, 70, 30), fill=255 - paper if paper != 200 else 20)   # a circle
    image = read_image(wide, 24, 1)[0].astype(int)
    assert np.ptp(image[:7]) == np.ptp(image[-7:]) == 0   # a third of the height at the top, and at the bottom
    rows, columns = (np.ptp(np.nonzero((image > image.mean()).any(axis=axis))[0]) for axis in (0, 1))
    assert abs(rows - columns) <= 1   # still a circle


def test_photographs_keep_their_brightness():
    light = np.linspace(0, 190, 40, dtype=np.uint8)[:, None]   # from left to right
    photo = np.random.default_rng(0).integers(0, 60, (40, 40, 3), np.uint8) + light
    for pixels in (photo, np.clip(photo.astype(int) + 60, 0, 255).astype(np.uint8)):
        assert paper_and_ink(read_image(pixels, 28, 3)) is None
        assert correlation(read_image(pixels, 40, 3), pixels.transpose(2, 0, 1)) > 0.99


@pytest.mark.parametrize(("paper", "ink"), [
    (255, 0), (255, 190), (180, 60), (130, 0), (130, 60), (130, 190), (130, 255), (120, 60), (120, 190), (70, 0),
    (70, 255), (0, 60), (0, 255)])
def test_ink_is_high_and_paper_0_whatever_the_paper(expected, paper, ink):
    image = read_image(cross(ink=ink, paper=paper), 28, 1)
    assert np.median(image) == 0
    assert correlation(image, expected) > 0.98
    level = (paper - ink) / paper if ink < paper else (ink - paper) / (255 - paper)
    assert np.median(image[image > image.max() / 2]) == pytest.approx(255 * level, abs=2)


def test_paper_may_be_unevenly_lit_and_ink_have_both_sides(expected):
    light = np.linspace(-20, 20, 60)[:, None] + np.random.default_rng(0).normal(0, 4, (60, 60))
    for paper, ink in ((150, 60), (110, 220)):   # a pencil in the dark, chalk on a board
        pixels = np.asarray(cross(ink=ink, paper=paper)) + light
        pixels[40:44, 40:44] = 255 - ink   # a little of the other kind decides nothing
        image = read_image(pixels.clip(0, 255).astype(np.uint8), 28, 1)
        assert correlation(image, expected) > 0.9


def test_drawings_in_colour_keep_their_colours_or_become_negatives():
    light, dark = (Image.new("RGB", (40, 40), colour) for colour in ((150, 140, 130), (40, 30, 20)))
    for picture, negative in ((light, True), (dark, False)):
        picture.paste((90, 20, 30) if negative else (250, 40, 60), (10, 10, 20, 30))
        pixels = np.asarray(picture).transpose(2, 0, 1)
        np.testing.assert_array_equal(read_image(picture, 40, 3), 255 - pixels if negative else pixels)


def test_large_photographs_are_read_at_a_lower_resolution(tmp_path, expected):
    cross((4000, 4000)).save(tmp_path / "large.jpg")
    assert max(read_picture(tmp_path / "large.jpg", side=28).size) == 500   # an eighth, JPEG's least
    assert correlation(read_image(tmp_path / "large.jpg", 28, 1), expected) > 0.95


def save_eps(path):
    cross(mode="RGB").save(path, "EPS")


def save_cut(path):
    cross().resize((200, 200)).save(path)
    os.truncate(path, path.stat().st_size // 2)


def save_bomb(path):
    Image.new("1", (10000, 10000)).save(path)   # 12 kB


BAD = {
    "eps": (save_eps, "expected an image: JPEG, PNG"),
    "gif": (lambda path: cross().save(path, "GIF"), "expected an image"),
    "text": (lambda path: path.write_text("no image"), "expected an image"),
    "nothing": (lambda path: path.write_bytes(b""), "expected an image"),
    "cut": (save_cut, "expected an image"),
    "bomb": (save_bomb, "100000000 pixels"),
    "pipe": (os.mkfifo, "a pipe, not a regular file"),
    "folder": (lambda path: path.mkdir(), "a folder, not a regular file"),
    "blank": (lambda path: Image.new("L", (30, 30), 200).save(path), "single colour"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_pictures_are_refused_or_left_out(tmp_path, capsys, kind):
    make, words = BAD[kind]
    make(tmp_path / "bad.png")
    cross().save(tmp_path / "good.png")
    with pytest.raises(InputError, match=words) as error:
        read_image(tmp_path / "bad.png", 28, 1)
    assert "bad.png" in str(error.value)
    sources = [tmp_path / "bad.png", tmp_path / "good.png"]
    images, kept = read_images(sources, 28, 1, skip_damaged=True)
    assert (images.shape, kept) == ((1, 1, 28, 28), [1])
    assert "bad.png" in capsys.readouterr().out
    with pytest.raises(InputError):
        read_images(sources, 28, 1)


@pytest.mark.parametrize(("array", "words"), [
    (np.zeros((3,), np.uint8), r"shape \(3,\)"), (np.zeros((4, 4, 2), np.uint8), "1, 3 or 4"),
    (np.zeros((0, 4), np.uint8), "shape"), (np.zeros((4, 4), np.int64), "int64"),
    (np.full((4, 4), 2.0), "outside 0 to 1"), (np.full((4, 4), np.nan), "outside 0 to 1")])
def test_bad_arrays_are_refused(array, words):
    with pytest.raises(InputError, match=words):
        read_image(array, 28, 1)
