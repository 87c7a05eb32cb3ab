"""Pictures of all kinds: read alike, turned upright, on paper, aspect kept, ink found out; and what is refused."""
import os

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mindspore_maml.cli.errors import InputError
from mindspore_maml.data.images import is_picture, read_image, read_images, read_picture, sizes_of

SUFFIXES = ("jpg", "png", "webp", "bmp", "tiff", "gif")
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
        assert correlation(image, np.broadcast_to(expected, image.shape)) > 0.98   # JPEG loses some


def sixteen_bits():
    return Image.fromarray(np.asarray(cross()).astype(np.uint16) * 257)


def floats():
    return Image.fromarray(np.asarray(cross()).astype(np.float32) / 255)


def twelve_bits():
    """As some scanners have it: 12 bits of 16, ink of a tenth."""
    return Image.fromarray((4095 - 16 * (np.asarray(cross()) < 128) * 26).astype(np.uint16))


def few_levels():
    """8 bits of 16."""
    return Image.fromarray(np.asarray(cross()).astype(np.uint16))


def mask():
    return Image.fromarray((np.asarray(cross()) < 128).astype(np.uint8))


def transparent(ink, mode="RGBA"):
    """Ink on nothing at all."""
    image = Image.new("RGBA", (60, 60), (128, 0, 0, 0))
    image.paste((ink, ink, ink, 255), (10, 10, 21, 51))
    return image.convert(mode)


@pytest.mark.parametrize("picture", [
    cross(mode="1"), cross(mode="P"), cross(mode="CMYK"), cross(mode="LA"), sixteen_bits(), floats(),
    cross(mode="I"), cross(ink=255, paper=0), transparent(0), transparent(255), transparent(0, "LA"),
    transparent(0, "PA"), twelve_bits(), few_levels(), mask()], ids=lambda picture: picture.mode)
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
def test_the_aspect_is_kept(paper):
    wide = Image.new("L", (120, 40), paper)
    ImageDraw.Draw(wide).ellipse((50, 10, 70, 30), fill=255 - paper if paper != 200 else 20)   # a circle
    for kind in ("drawings", "photographs"):
        image = read_image(wide, 24, 1, kind)[0].astype(int)
        image = np.abs(image - image[0, 0])
        rows, columns = (np.ptp(np.nonzero((image > image.mean()).any(axis=axis))[0]) for axis in (0, 1))
        assert abs(rows - columns) <= 1, kind   # still a circle


def test_photographs_stay_as_they_are():
    light = np.linspace(0, 190, 40, dtype=np.uint8)[:, None]   # from left to right
    photo = np.random.default_rng(0).integers(0, 60, (40, 40, 3), np.uint8) + light
    plain = np.asarray(cross((40, 40), mode="RGB"))
    for pixels in (photo, np.clip(photo.astype(int) + 60, 0, 255).astype(np.uint8), plain):
        np.testing.assert_array_equal(read_image(pixels, 40, 3, "photographs"), pixels.transpose(2, 0, 1))


def test_drawings_are_grey_in_every_channel(expected):
    image = read_image(cross(mode="RGB"), 28, 3)
    assert all(np.array_equal(channel, expected[0]) for channel in image)


def test_large_photographs_are_read_at_a_lower_resolution(tmp_path, expected):
    cross((4000, 4000)).save(tmp_path / "large.jpg")
    assert max(read_picture(tmp_path / "large.jpg", least=320).size) == 500   # an eighth, JPEG's least
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
    "text": (lambda path: path.write_text("no image"), "expected an image"),
    "nothing": (lambda path: path.write_bytes(b""), "expected an image"),
    "cut": (save_cut, "expected an image"),
    "bomb": (save_bomb, "10000 x 10000 pixels"),
    "long": (lambda path: Image.new("1", (20, 2100)).save(path), "20 x 2100 pixels; expected .* 100 times as long"),
    "pipe": (os.mkfifo, "a pipe, not a regular file"),
    "folder": (lambda path: path.mkdir(), "a folder, not a regular file"),
    "blank": (lambda path: Image.new("L", (30, 30), 200).save(path), "nothing stands out from the paper"),
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


def test_what_a_phone_makes_is_read(tmp_path):
    Image.new("L", (12000, 9000), 255).save(tmp_path / "phone.jpg")   # 108 million pixels
    assert max(read_picture(tmp_path / "phone.jpg", least=320).size) <= 12000 / 8


def test_files_without_a_suffix_and_others_are_told_by_what_they_are(tmp_path):
    cross().save(tmp_path / "it", "PNG")
    cross(mode="RGB").save(tmp_path / "it.jfif", "JPEG")
    (tmp_path / "notes").write_text("no image")
    (tmp_path / "it.heic").write_bytes(b"\0\0\0 ftypheic")
    assert [is_picture(tmp_path / name) for name in ("it", "it.jfif", "notes", "it.heic")] == [True, True, False, False]


def test_squares_of_one_size_say_how_large_a_network_is_to_see_them(tmp_path):
    sizes = {"grey": ((40, 40), "L"), "red": ((40, 40), "RGB"), "wide": ((40, 30), "L"), "large": ((105, 105), "L"),
             "other": ((32, 32), "L")}
    for name, (size, mode) in sizes.items():
        Image.new(mode, size, "red" if mode == "RGB" else 7).save(tmp_path / f"{name}.png")
    expected = {"grey": (40, 1), "red": (40, 3), "grey red": (40, 3), "wide": None, "large": None, "grey other": None,
                "grey missing": (40, 1), "": None}
    for names, found in expected.items():
        assert sizes_of(tmp_path / f"{name}.png" for name in names.split()) == found
