"""Fits any picture of a drawing to what training drawings look like: blank paper, their place, their size, their pen.

It needs NumPy, Pillow and SciPy alone, so that export.py can put it beside a network for programs without this project.
"""
import numpy as np
from PIL import Image
from scipy import ndimage

# Omniglot's training drawings, of which 3,000 were measured (benchmarks/own_drawings.py measure)
SIDE = 105       # pixels a side
PEN = 5.5        # pixels: the width of a stroke
BOX = 70.0       # pixels: the longer side of the box around the ink

LARGEST, SMALLEST, LEAST_SIDE = 320, 112, 8   # pixels of the longer side that is worked on, and of the other
FLOOR = 64.0     # of 255, added before logarithms: what is as dark is not told from black
SMOOTH = 0.7     # pixels: against noise
WIDEST = 0.35    # of the shorter side: no blot of ink is wider
STROKES = 3.0    # stroke widths that the paper is looked for around ink
NARROWEST = 0.06   # of the shorter side, likewise
NOISE = 5.0      # standard deviations that ink stands out from the paper's noise, at least
FAINT, CLEAR = 0.35, 0.6   # of full ink: all of a stroke is at least the first, some of it the second
LEAST = 0.03     # of a logarithm, ten levels of 255 on white: the contrast of the faintest ink
SPECK = 0.12     # of the drawing's longer side: smaller parts are specks, unless they have
BLOT = 0.08      # of its largest part's area
SHORTEST = 0.03  # of the longer side: no drawing is smaller
CORNER = 0.2     # of the longer side: at the sheet's edge nothing smaller is taken for a drawing
SHARP = 0.5      # of full ink: a stroke's edge rises by that within five pixels
ENLARGED = 4.0   # pens: dots are not enlarged beyond that
STRIP = 0.15     # of a side: how far a frame or the sheet's edge may be from the picture's edge
EDGE = 0.12      # of a logarithm: the contrast of such an edge
STRAIGHT = 0.6   # of an edge's length that has to lie on one line
SLOPES = np.linspace(-0.08, 0.08, 17)
RULED = 0.85     # of the width: how far a ruled line goes
FINE = 0.02      # of the height: how thick a ruled line may be, with its slope ten times as much


class NoInkError(ValueError):
    """A picture shows nothing that stands out from paper and noise."""


def fit_drawing(picture: Image.Image, imgsz: int) -> np.ndarray:
    """A picture of a drawing as the training set holds it: drawn again with its pen, in its place and size.

    Light and shade, colours, ink that is faint, light on dark, thick or thin, table and frame around the sheet, ruling
    and specks make no difference.

    Parameters
    ----------
    picture : Image
        Of mode L or RGB.
    imgsz : int
        Pixels a side that are wanted.

    Returns
    -------
    ndarray of uint8, [imgsz, imgsz]
        Ink 255, paper 0.

    Raises
    ------
    NoInkError
        Where nothing stands out from the paper.
    """
    brightness = _logarithms(_of_work_size(picture))        # [height, width, channel]
    ink, outside = _ink_on_sheet(brightness)
    ink, part = _strokes(_without_ruling(ink), outside)
    drawn = _drawn_again(_middles(ink, part))               # [SIDE, SIDE], 0 to 1
    return np.asarray(Image.fromarray(np.rint(255 * drawn).astype(np.uint8)).resize((imgsz, imgsz),
                                                                                   Image.Resampling.BICUBIC))


def _of_work_size(picture):
    """Pixels [height, width, channel], uint8, of a picture made as small, or as large, as it is worked on."""
    factor = max(picture.size) // LARGEST
    if factor > 1:
        picture = picture.reduce(factor)
    longest = max(picture.size)
    scale = min(max(longest, SMALLEST), LARGEST) / longest
    size = tuple(max(LEAST_SIDE, round(length * scale)) for length in picture.size)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    return np.atleast_3d(np.asarray(picture))


def _logarithms(pixels):
    """Logarithms of brightness, in which half the light is one difference everywhere, smoothed a little."""
    return ndimage.gaussian_filter(np.log(pixels.astype(np.float32) + FLOOR), (SMOOTH, SMOOTH, 0))


def _ink_on_sheet(brightness):
    """How much ink is at each pixel [height, width], in units of a logarithm, and which are not on the sheet, bool.

    What lies around the sheet is taken for paper, unless it is a stroke of the drawing along the picture's edge.
    """
    strips = _strips(brightness)
    ink, colour = _ink(_filled(brightness, strips))
    if 0 < len(strips) < 4:   # four make a frame, whatever it was drawn with
        others = [strip for strip in strips if np.linalg.norm(strip[1] - colour) > 0.4 * np.linalg.norm(colour)]
        if len(others) < len(strips):
            strips = others
            ink, _ = _ink(_filled(brightness, strips))
    return ink, _outside(strips, ink.shape)


def _strips(brightness):
    """Frames and table at the picture's edges: for each its pixels [height, width], and its contrast [channel]."""
    found = []
    for turn in range(4):
        depths, contrast = _strip_above(np.rot90(brightness, turn))
        if depths is not None:
            rows = np.arange(brightness.shape[turn % 2])[:, None]
            found.append((np.rot90(rows < depths, -turn), contrast))
    return found


def _strip_above(brightness):
    """Along the upper edge: how many rows a strip of another colour has in each column, and its contrast to below."""
    height, width = brightness.shape[:2]
    rows = min(max(3, int(STRIP * height)), height - 2)
    steps = np.abs(brightness[2:rows + 2] - brightness[:rows]).max(axis=2)           # [row, column]
    places, clear = steps.argmax(axis=0) + 1, steps.max(axis=0) > EDGE
    across = np.arange(width) - width / 2
    on_line, slope, start = max(_line(places[clear] - slope * across[clear], slope) for slope in SLOPES)
    if on_line < STRAIGHT * width:
        return None, None
    depths = np.ceil(slope * across + start + 2.5).clip(0, rows + 2).astype(int)
    below = brightness[np.minimum(depths + 2, height - 1), np.arange(width)]
    contrast = np.median((brightness[0] - below)[depths > 0], axis=0) if depths.any() else np.zeros(1)
    return (depths, contrast) if np.abs(contrast).max() > EDGE else (None, None)


def _line(rows, slope):
    """How many of `rows` are within a pixel of the row where most are, the slope they were freed from, and that row."""
    if not len(rows):
        return 0, slope, 0
    rows = np.rint(rows).astype(int)
    counts = np.convolve(np.bincount(rows - rows.min()), [1, 1, 1], "same")
    return counts.max(), slope, counts.argmax() + rows.min()


def _outside(strips, shape):
    """All pixels of strips, [height, width]."""
    return np.any([pixels for pixels, _ in strips], axis=0) if strips else np.zeros(shape, bool)


def _filled(brightness, strips):
    """The picture with each pixel of the strips as the nearest one beside them."""
    outside = _outside(strips, brightness.shape[:2])
    if not outside.any() or outside.all():
        return brightness
    rows, columns = ndimage.distance_transform_edt(outside, return_distances=False, return_indices=True)
    return brightness[rows, columns]


def _ink(brightness):
    """Ink [height, width] above the paper around it, and its colour [channel]: how much lighter it is than paper."""
    shorter = min(brightness.shape[:2])
    signs = np.array([_sign(channel) for channel in np.exp(np.moveaxis(brightness, 2, 0))], np.float32)
    high = brightness * signs                                                        # ink above the paper
    away = np.stack([_above_paper(channel, WIDEST * shorter) for channel in np.moveaxis(high, 2, 0)], axis=2)
    size = (away ** 2).sum(axis=2)
    strong = away[size >= np.percentile(size, 99.3) / 4]                             # [pixel, channel]
    mixture = np.abs(np.linalg.eigh(strong.T @ strong)[1][:, -1])                    # shows it best: unit length
    level, _ = _levels(away @ mixture)
    width = _stroke_width(away @ mixture > level / 2)
    window = np.clip(STROKES * width, NARROWEST * shorter, WIDEST * shorter)
    return _above_paper(high @ mixture, window), strong.mean(axis=0) * signs


def _sign(channel):
    """1 where ink is lighter than paper, -1 where it is darker: most of it is far on one side, and not at the edge."""
    lean = (channel.mean() - _edge(channel).mean()) / (channel.std() + 1e-6)
    for part in (0.1, 0.3):
        away = channel - ndimage.uniform_filter(channel, _odd(part * min(channel.shape)), mode="nearest")
        away -= away.mean()
        lean += (away * away * away).mean() / (away.std() + 1e-6) ** 3
    return 1 if lean > 0 else -1


def _edge(pixels):
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])


def _odd(length):
    return int(length) | 1


def _above_paper(values, window):
    """How far values [height, width] are above those around that no window of them fits into: 0 on most of the paper.

    The opening of mathematical morphology keeps edges of light as they are, straight shadows among them.
    """
    side = _odd(window)
    above = values - ndimage.grey_opening(values, size=(side, side), mode="reflect")
    return above - np.percentile(above, 30)


def _noise(ink):
    """The standard deviation of the paper's noise; where most is inked, pixels three apart say more: what those differ
    by where they do so least, and three times as much for light that falls off."""
    apart = 6.5 * np.percentile(np.abs(ink[:, 3:] - ink[:, :-3]), 25)
    return min(1.48 * np.median(np.abs(ink - np.median(ink))), apart) + 1e-3


def _levels(ink):
    """The level of full ink, and the standard deviation of the paper's noise."""
    noise = _noise(ink)
    inked = ink[ink > NOISE * noise]
    if len(inked) < 4 or inked.max() < LEAST:
        raise NoInkError("nothing stands out from the paper")
    return float(np.median(inked[inked >= _divide(inked)])), noise


def _divide(values):
    """The value that divides values into two kinds (Otsu, 1979)."""
    counts, edges = np.histogram(values, 256)
    middles = (edges[:-1] + edges[1:]) / 2
    below, total = np.cumsum(counts), np.cumsum(counts * middles)
    above = below[-1] - below
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * above * (total / below - (total[-1] - total) / above) ** 2
    return edges[1 + np.nanargmax(between[:-1])]


def _stroke_width(inked):
    """How wide strokes are, in pixels, from the distances of their middles to what is not inked."""
    distance = ndimage.distance_transform_edt(inked)
    middles = distance[(distance == ndimage.maximum_filter(distance, 3)) & inked]
    return 2 * float(np.percentile(middles, 80)) if len(middles) else 3.0


def _without_ruling(ink):
    """Ink without thin lines from side to side, in whose place as much is taken off as they have: strokes stay."""
    return _without_rows(_without_rows(ink).T).T


def _without_rows(ink):
    height, width = ink.shape
    thick = ndimage.maximum_filter1d(ink, 3, axis=0)          # as high as a slope needs
    lines = ndimage.grey_opening(ndimage.uniform_filter1d(thick, 5, axis=1), size=(1, max(9, width // 5)),
                                 mode="nearest")
    noise = _noise(ink)
    parts, count = ndimage.label(lines > 4 * noise, np.ones((3, 3)))
    ruled = [number for number, (rows, columns) in enumerate(ndimage.find_objects(parts), 1)
             if _is_ruled(rows, columns, parts == number, height, width)]
    if not ruled:
        return ink
    there = _among(ruled, count)[parts]
    line = float(np.median(lines[there]))
    taken = ndimage.maximum_filter1d(np.where(there, np.minimum(lines, 1.4 * line), 0), 3, axis=0)
    rest = (ink - 1.1 * taken).clip(min=0)
    # A line or two as strong as all else are of the drawing
    return rest if len(ruled) >= 3 or np.percentile(rest, 99.5) > 1.3 * line else ink


def _is_ruled(rows, columns, inside, height, width):
    """Whether a part goes from side to side, is nearly level, and thin."""
    long, high = columns.stop - columns.start, rows.stop - rows.start
    return long > RULED * width and high < 10 * FINE * height and inside.sum() < (FINE * height + 3) * long


def _strokes(ink, outside):
    """Ink in parts of full ink, and the pixels [height, width] of what was drawn, without faint parts and specks."""
    level, noise = _levels(ink)
    parts, count = ndimage.label(ink > max(FAINT * level, 4 * noise), np.ones((3, 3)))
    if not count:
        raise NoInkError("nothing stands out from the paper")
    numbers = np.arange(1, count + 1)
    longest = np.array([max(side.stop - side.start for side in place) for place in ndimage.find_objects(parts)])
    area, clear = np.bincount(parts.ravel())[1:], ndimage.maximum(ink, parts, numbers) > CLEAR * level
    steps = ndimage.maximum_filter(ink, 5) - ndimage.minimum_filter(ink, 5)
    clear &= ndimage.maximum(steps, parts, numbers) > SHARP * level   # light that falls off has no edge
    clear &= ~_at_edge(parts, outside, longest)
    if not clear.any() or longest[clear].max() < max(4, SHORTEST * max(ink.shape)):
        raise NoInkError("nothing stands out from the paper")
    kept = clear & ((longest >= SPECK * longest[clear].max()) | (area >= BLOT * area[clear].max()))
    return ink / level, _among(numbers[kept], count)[parts]


def _at_edge(parts, outside, longest):
    """Which parts [part] are what corners of shadows and of the sheet leave at its edge; none where a drawing ends."""
    framed = np.pad(outside, 1, constant_values=True)
    beside = ndimage.binary_dilation(framed, np.ones((3, 3)), iterations=3)[1:-1, 1:-1]
    at_edge = _among(parts[beside], len(longest))[1:]
    if (at_edge & (longest > max(parts.shape) / 2)).any():
        return np.zeros_like(at_edge)
    return at_edge & (longest < CORNER * max(parts.shape))


def _among(chosen, count):
    """Of every part's number, 0 to count, whether it is one of the chosen."""
    return np.isin(np.arange(count + 1), chosen)


def _middles(ink, part):
    """The middles of what was drawn, [SIDE, SIDE] of bool: the box around them centred, and as large as in training."""
    rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
    centre = np.array([rows[0] + rows[-1], columns[0] + columns[-1]]) / 2
    most = ENLARGED * PEN / _stroke_width(part)
    scale = min(BOX / (max(np.ptp(rows), np.ptp(columns)) + 1), most)
    ink = np.where(ndimage.binary_dilation(part, np.ones((3, 3)), iterations=2), ink, 0).clip(0, 1)
    middles = thinned(_placed(ink, centre, scale))
    rows, columns = (np.flatnonzero(middles.any(axis=axis)) for axis in (1, 0))
    # Again, with the size that thinning has left
    centre = centre + (np.array([rows[0] + rows[-1], columns[0] + columns[-1]]) / 2 - (SIDE - 1) / 2) / scale
    scale = min(scale * (BOX - PEN) / (max(np.ptp(rows), np.ptp(columns)) + 1), most)
    return thinned(_placed(ink, centre, scale))


def _placed(ink, centre, scale):
    """Where there is ink [SIDE, SIDE], bool, with a point of it in the middle, at another scale."""
    if scale < 1:
        ink = ndimage.gaussian_filter(ink, 0.4 / scale)
    placed = ndimage.affine_transform(ink, [1 / scale] * 2, centre - (SIDE - 1) / 2 / scale, (SIDE, SIDE), order=1)
    if scale > 1.5:
        placed = ndimage.gaussian_filter(placed, 0.4 * scale)
    return placed > min(FAINT + 0.1, 0.6 * placed.max())


def _drawn_again(middles):
    """The middles of strokes drawn with training's pen, from 0 to 1."""
    return np.clip(PEN / 2 + 0.5 - ndimage.distance_transform_edt(~middles), 0, 1)


def thinned(inked: np.ndarray) -> np.ndarray:
    """The middles of strokes, one pixel wide (Zhang and Suen, 1984).

    Parameters
    ----------
    inked : ndarray of bool, [height, width]

    Returns
    -------
    ndarray of bool, [height, width]
    """
    left = np.pad(inked, 1).astype(np.uint8)
    while True:
        before = left.sum()
        for removed in _REMOVED:
            left[removed[ndimage.correlate(left, _BITS, mode="constant")] & (left == 1)] = 0
        if left.sum() == before:
            return left[1:-1, 1:-1].astype(bool)


# A bit for each pixel around one, in the order of Zhang and Suen: above, then clockwise
_BITS = np.array([[128, 1, 2], [64, 0, 4], [32, 16, 8]], np.uint8)


def _removed_by_turns():
    """Which neighbourhoods [256] let a pixel be removed, in the first and in the second half of a round."""
    around = (np.arange(256)[:, None] >> np.arange(8)) & 1                           # [neighbourhood, pixel]
    begins = ((around == 0) & (np.roll(around, -1, axis=1) == 1)).sum(axis=1)
    inner = (begins == 1) & (around.sum(axis=1) >= 2) & (around.sum(axis=1) <= 6)
    above, right, below, left = around[:, ::2].T
    return (inner & (above * right * below == 0) & (right * below * left == 0),
            inner & (above * right * left == 0) & (above * below * left == 0))


_REMOVED = _removed_by_turns()
