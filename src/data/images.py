"""Pictures as anyone has them, made the small images a network takes: upright, on paper, square, with ink high."""
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mindspore_maml.cli.errors import InputError, shown
from mindspore_maml.cli.messages import log
from mindspore_maml.cli.reading import open_regular

Picture = str | Path | Image.Image | np.ndarray   # a file, or what was read from one

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")   # no others: Pillow starts Ghostscript for some
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
MIDDLE_GREY = 127.5
WHITE = 192   # drawings lighter than this, on nothing at all, are put on black paper
ENOUGH = 4   # times the wanted side: what is larger is made smaller first, by whole numbers, which is quick
# A picture has paper where it is mostly of one brightness, around its edge above all; photographs seldom are.
NEAR = 48          # levels of 255 that count as one brightness
PAPER_AT_EDGE = 0.75   # of the edge's pixels, at least
PAPER_IN_ALL = 0.5     # of all pixels, at least


def is_picture(path: Path) -> bool:
    """Whether a file's name says that it is a picture in one of the `FORMATS`, and not a hidden one."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def read_picture(source: Picture, side: int | None = None) -> Image.Image:
    """A picture as a Pillow image of mode L or RGB: turned as its EXIF data say, transparent parts on paper.

    The first frame counts where a file has several.

    Parameters
    ----------
    source : str, Path, Image or ndarray
        A file, or what was read from one: arrays are [height, width] or [height, width, 1, 3 or 4], uint8 from 0 to
        255 or float from 0 to 1.
    side : int, optional
        The pixels a side that are wanted in the end; much larger files are read at a lower resolution.

    Raises
    ------
    InputError
        Where it cannot be read, is in none of the `FORMATS`, or has more pixels than Pillow takes for harmless.
    """
    if isinstance(source, (str, os.PathLike)):
        return _read_file(Path(source), side)
    if isinstance(source, Image.Image):
        return _plain(source, side)
    return _plain(_from_array(np.asarray(source)), side)


def _read_file(path, side):
    try:
        with warnings.catch_warnings(), open_regular(path) as file:
            warnings.simplefilter("error", Image.DecompressionBombWarning)   # too large: refused, not shown
            warnings.filterwarnings("ignore", category=UserWarning)          # of odd EXIF data
            with Image.open(file, formats=FORMATS) as image:
                if side:
                    image.draft(None, (ENOUGH * side, ENOUGH * side))   # JPEG alone; no smaller than this
                image.load()
                return _plain(_upright(image), side)
    except InputError:
        raise
    except Exception as error:   # Pillow's decoders raise nearly every kind on a damaged file
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        if isinstance(error, UnidentifiedImageError):   # it names an object of Python's
            reason = "damaged, or of another kind"
        raise InputError(f"{path}: not readable ({reason}); expected an image: {', '.join(FORMATS)}") from error


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
    if np.issubdtype(array.dtype, np.floating):
        if not (array.min() >= 0 and array.max() <= 1):   # also where one is not a number
            raise InputError("an image of floats has numbers outside 0 to 1")
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise InputError(f"an image of numbers of type {array.dtype}; expected uint8 (0 to 255) or float (0 to 1)")
    return Image.fromarray(array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array)


def _plain(image, side):
    """Mode L or RGB, without what Pillow's own conversions drop: transparency, and more than 8 bits a pixel."""
    if image.has_transparency_data:
        return _on_paper(_reduced(image.convert("RGBA"), side))
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):   # of any range: darkest to lightest
        numbers = np.nan_to_num(np.asarray(image, np.float64), posinf=0, neginf=0)
        low, high = numbers.min(), numbers.max()
        return Image.fromarray(np.rint((numbers - low) * (255 / (high - low) if high > low else 0)).astype(np.uint8))
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _reduced(image, side):
    factor = min(image.size) // (ENOUGH * side) if side else 1
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


def _edge(pixels):
    """The pixels [n, channel] along the four sides of [height, width, channel]."""
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])


def paper_and_ink(pixels: np.ndarray) -> tuple[float, bool] | None:
    """The brightness of a drawing's paper, and whether its ink is darker; None for a photograph.

    Ink is darker or lighter than the paper as most of what stands out from it is, be the paper white, grey or black.

    Parameters
    ----------
    pixels : ndarray of uint8, [imgc, height, width]
    """
    grey = pixels.mean(axis=0)[:, :, None]   # [height, width, 1]
    edge = _edge(grey)
    paper = float(np.median(edge))
    if (np.abs(edge - paper) <= NEAR).mean() < PAPER_AT_EDGE or (np.abs(grey - paper) <= NEAR).mean() < PAPER_IN_ALL:
        return None
    away = grey - paper
    return paper, bool(away[np.abs(away) > np.abs(away).max() / 2].sum() < 0)


def with_ink_high(pixels: np.ndarray) -> np.ndarray:
    """An image of `to_square` with paper 0, and ink up to 255: that is black on light paper, or white on dark paper.

    A photograph stays as it is. So do the colours of a drawing, but for turning dark ink into its negative.
    """
    drawing = paper_and_ink(pixels)
    if drawing is None:
        return pixels
    paper, ink_is_dark = drawing
    if len(pixels) == 3:
        return 255 - pixels if ink_is_dark else pixels
    ink = (paper - pixels) / max(paper, 1) if ink_is_dark else (pixels - paper) / max(255 - paper, 1)
    return np.rint(255 * ink.clip(0, 1)).astype(np.uint8)


def read_image(source: Picture, imgsz: int, imgc: int) -> np.ndarray:
    """One picture as the network's data hold it, whatever other pictures there are.

    Parameters
    ----------
    source : str, Path, Image or ndarray
        As `read_picture` takes it.
    imgsz, imgc : int
        The size and channels wanted.

    Returns
    -------
    ndarray of uint8, [imgc, imgsz, imgsz]
        As `with_ink_high` makes it.

    Raises
    ------
    InputError
        As `read_picture` does, and where it shows a single colour.
    """
    pixels = to_square(read_picture(source, side=imgsz), imgsz, imgc)
    if pixels.min() == pixels.max():
        raise InputError(f"{shown_name(source)}: shows a single colour; expected an image with something on it")
    return with_ink_high(pixels)


def shown_name(source: Picture) -> str:
    """What messages call a picture: its path, or what kind of object it is."""
    return str(source) if isinstance(source, (str, os.PathLike)) else shown(type(source).__name__)


def read_images(sources: Sequence[Picture], imgsz: int, imgc: int,
                skip_damaged: bool = False) -> tuple[np.ndarray, list[int]]:
    """Several pictures, as `read_image` makes them.

    Parameters
    ----------
    sources : sequence
        What `read_image` takes.
    skip_damaged : bool
        Whether to leave out what cannot be read, with a warning, or to refuse it.

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
            images.append(read_image(source, imgsz, imgc))
            kept.append(number)
        except InputError as error:
            if not skip_damaged:
                raise
            log.warning(f"{error}; left out")
    return np.array(images, np.uint8).reshape(-1, imgc, imgsz, imgsz), kept
