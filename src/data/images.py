"""Pictures as anyone has them, made the small images a network takes: drawings fitted, photographs as they are."""
import contextlib
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, features

from mindspore_maml.cli.errors import InputError, shown
from mindspore_maml.cli.messages import log
from mindspore_maml.cli.reading import open_regular
from mindspore_maml.data.drawings import LARGEST, NoInkError, fit_drawing

Picture = str | Path | Image.Image | np.ndarray   # a file, or what was read from one

DRAWINGS, PHOTOGRAPHS = "drawings", "photographs"   # what pictures show, and so how they are read
# No others: Pillow starts Ghostscript for some. AVIF: where Pillow was built with it
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", *(("AVIF",) if features.check("avif") else ()))
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", "")
LARGEST_MADE = 96   # pixels a side of pictures that were made as large as a network is to see them
COLOUR = 16         # levels of 255 that channels differ by in colours
MIDDLE_GREY = 127.5
WHITE = 192   # drawings lighter than this, on nothing at all, are put on black paper
ENOUGH = 4   # times the wanted side: what is larger is made smaller first, by whole numbers, which is quick
# For a picture to take less than a gigabyte; a JPEG is decoded at an eighth of its size, a phone's has 108 million
MOST_PIXELS = 50_000_000
MOST_OF = {"JPEG": 120_000_000, "MPO": 120_000_000, "WEBP": 36_000_000, "AVIF": 36_000_000}
LONGEST_SIDE, LONGEST_SHAPE = 65_500, 100   # pixels, and times the shorter side


class BlankError(InputError):
    """A picture that can be read shows nothing."""


def is_picture(path: Path) -> bool:
    """Whether a file may be a picture in one of the `FORMATS`: by its name, or without a suffix by how it begins."""
    if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES:
        return False
    if path.suffix:
        return True
    try:
        with open_regular(path) as file, Image.open(file, formats=FORMATS):
            return True
    except Exception:   # Pillow's decoders raise nearly every kind on another file
        return False


def read_picture(source: Picture, least: int | None = None) -> Image.Image:
    """A picture as a Pillow image of mode L or RGB: turned as its EXIF data say, transparent parts on paper.

    The first frame counts where a file has several.

    Parameters
    ----------
    source : str, Path, Image or ndarray
        A file, or what was read from one: arrays are [height, width] or [height, width, 1, 3 or 4], uint8 from 0 to
        255, float from 0 to 1, or bool.
    least : int, optional
        The pixels of the longer side that are enough; what has twice as many is read at a lower resolution.

    Raises
    ------
    InputError
        Where it cannot be read, is in none of the `FORMATS`, or is larger than `MOST_PIXELS` and the like say.
    """
    if isinstance(source, (str, os.PathLike)):
        return _read_file(Path(source), least)
    if isinstance(source, Image.Image):
        return _plain(source, least)
    return _plain(_from_array(np.asarray(source)), least)


def _read_file(path, least):
    try:
        with warnings.catch_warnings(), open_regular(path) as file:
            warnings.simplefilter("ignore")   # of odd EXIF data, and of sizes, which are looked at here
            with Image.open(file, formats=FORMATS) as image:
                _refuse_large(image, path)
                if least:
                    enough = min(1, least / max(image.size))
                    image.draft(None, (int(image.width * enough), int(image.height * enough)))   # JPEG alone
                image.load()
                return _plain(_upright(image), least)
    except InputError:
        raise
    except Exception as error:   # Pillow's decoders raise nearly every kind on a damaged file
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        if isinstance(error, UnidentifiedImageError):   # it names an object of Python's
            reason = "damaged, or of another kind"
        raise InputError(f"{path}: not readable ({reason}); expected an image: {', '.join(FORMATS)}") from error


def _refuse_large(image, path):
    """Refuse, before it is decoded, what would take too much memory."""
    most = MOST_OF.get(image.format, MOST_PIXELS)
    shorter, longer = sorted(image.size)
    if shorter * longer > most or longer > min(LONGEST_SIDE, LONGEST_SHAPE * shorter):
        raise InputError(f"{path}: {image.width} x {image.height} pixels; expected at most {most:,}, a side of at most "
                         f"{LONGEST_SIDE:,}, and none {LONGEST_SHAPE} times as long as the other")


def _upright(image):
    try:
        return ImageOps.exif_transpose(image)
    except Exception:   # EXIF data that make no sense say nothing of the turn
        return image


def _from_array(array):
    kinds = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if not kinds or array.size == 0:
        raise InputError(f"an array of shape {array.shape} is no image; expected (height, width), or (height, width, "
                         f"channels) with 1, 3 or 4 of them")
    if array.dtype == bool:
        return Image.fromarray(array if array.ndim == 2 else array[:, :, 0])
    if np.issubdtype(array.dtype, np.floating):
        if not (array.min() >= 0 and array.max() <= 1):   # also where one is not a number
            raise InputError("an image of floats has numbers outside 0 to 1")
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise InputError(f"an image of numbers of type {array.dtype}; expected uint8 (0 to 255), float (0 to 1) or "
                         f"bool")
    return Image.fromarray(array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array)


def _plain(image, least):
    """Mode L or RGB, without what Pillow's own conversions drop: transparency, and other than 8 bits a pixel."""
    if image.has_transparency_data:
        return _on_paper(_reduced(image if image.mode == "RGBA" else image.convert("RGBA"), least))
    if image.mode.startswith("I;16"):
        image = image.convert("I")
    if image.mode in ("I", "F"):   # of any range: darkest to lightest
        return _stretched(np.asarray(_reduced(image, least), np.float32))
    image = _reduced(image.convert("L") if image.mode in ("1", "L") else image.convert("RGB"), least)
    if image.mode == "L" and image.getextrema()[1] == 1:   # a mask of 0 and 1
        return image.point(lambda level: 255 * level)
    return image


def _stretched(numbers):
    numbers = np.nan_to_num(numbers, posinf=0, neginf=0)
    low, high = float(numbers.min()), float(numbers.max())
    return Image.fromarray(np.rint((numbers - low) * (255 / (high - low) if high > low else 0)).astype(np.uint8))


def _reduced(image, least):
    factor = min(max(image.size) // least, *image.size) if least else 1
    return image.reduce(factor) if factor > 1 else image


def _on_paper(image):
    """An image with transparency on white paper; on black where what is drawn is white, or nearly so."""
    pixels = np.asarray(image)
    drawn = pixels[pixels[:, :, 3] > MIDDLE_GREY, :3]
    paper = "black" if drawn.size and drawn.mean() > WHITE else "white"
    return Image.alpha_composite(Image.new("RGBA", image.size, paper), image).convert("RGB")


def to_square(picture: Image.Image, imgsz: int, imgc: int) -> np.ndarray:
    """A picture of `read_picture` as pixels [imgc, imgsz, imgsz], uint8, its aspect kept.

    What its shorter side lacks is of the paper's colour: the median of its edge.
    """
    picture = picture.convert("L" if imgc == 1 else "RGB")
    scale = imgsz / max(picture.size)
    size = [max(1, round(length * scale)) for length in picture.size]
    paper = np.median(_edge(np.atleast_3d(np.asarray(picture))), axis=0).astype(int).tolist()
    canvas = Image.new(picture.mode, (imgsz, imgsz), tuple(paper) if imgc == 3 else paper[0])
    canvas.paste(picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3),
                 ((imgsz - size[0]) // 2, (imgsz - size[1]) // 2))
    return np.asarray(canvas).reshape(imgsz, imgsz, imgc).transpose(2, 0, 1)


def sizes_of(paths: Iterable[Path]) -> tuple[int, int] | None:
    """Pixels a side and channels of pictures that are all squares of one size, at most `LARGEST_MADE`; else None."""
    side, in_colour = 0, False
    for path in paths:
        with contextlib.suppress(InputError):   # who reads them all says of this one what is wrong
            picture = read_picture(path)
            side = side or picture.width
            if picture.size != (side, side) or side > LARGEST_MADE:
                return None
            in_colour = in_colour or (picture.mode == "RGB" and int(np.ptp(np.asarray(picture), axis=2).max()) > COLOUR)
    return (side, 3 if in_colour else 1) if side else None


def _edge(pixels):
    """The pixels [n, channel] along the four sides of [height, width, channel]."""
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])


def read_image(source: Picture, imgsz: int, imgc: int, kind: str = DRAWINGS) -> np.ndarray:
    """One picture as the network's data hold it, whatever other pictures there are.

    Parameters
    ----------
    source : str, Path, Image or ndarray
        As `read_picture` takes it.
    imgsz, imgc : int
        The size and channels wanted.
    kind : str
        `DRAWINGS`: fitted to what training drawings look like (`src/data/drawings.py`), ink 255 and paper 0, of the
        same grey in all channels; `PHOTOGRAPHS`: as they are.

    Returns
    -------
    ndarray of uint8, [imgc, imgsz, imgsz]

    Raises
    ------
    BlankError
        Where it shows nothing: no ink, or a single colour.
    InputError
        As `read_picture` does.
    """
    if kind == DRAWINGS:
        try:
            fitted = fit_drawing(read_picture(source, LARGEST), imgsz)
        except NoInkError as error:
            raise BlankError(f"{shown_name(source)}: {error}; expected a drawing") from error
        return np.broadcast_to(fitted, (imgc, imgsz, imgsz)).copy()
    pixels = to_square(read_picture(source, ENOUGH * imgsz), imgsz, imgc)
    if pixels.min() == pixels.max():
        raise BlankError(f"{shown_name(source)}: shows a single colour; expected an image with something on it")
    return pixels


def shown_name(source: Picture) -> str:
    """What messages call a picture: its path, or what kind of object it is."""
    return str(source) if isinstance(source, (str, os.PathLike)) else shown(type(source).__name__)


def read_images(sources: Sequence[Picture], imgsz: int, imgc: int, kind: str = DRAWINGS,
                skip_damaged: bool = False, blank: list | None = None) -> tuple[np.ndarray, list[int]]:
    """Several pictures, as `read_image` makes them.

    Parameters
    ----------
    sources : sequence
        What `read_image` takes.
    kind : str
        As `read_image` takes it.
    skip_damaged : bool
        Whether to leave out what cannot be read, with a warning, or to refuse it.
    blank : list, optional
        Takes the numbers of pictures that show nothing, which are left out then, without a word.

    Returns
    -------
    images : ndarray of uint8, [image, imgc, imgsz, imgsz]
    kept : list of int
        Which of the `sources` they are.

    Raises
    ------
    InputError
        Where one cannot be read and none is to be skipped.
    """
    images, kept = [], []
    for number, source in enumerate(sources):
        try:
            images.append(read_image(source, imgsz, imgc, kind))
            kept.append(number)
        except InputError as error:
            if isinstance(error, BlankError) and blank is not None:
                blank.append(number)
                continue
            if not skip_damaged:
                raise
            log.warning(f"{error}; left out")
    return np.array(images, np.uint8).reshape(-1, imgc, imgsz, imgsz), kept
