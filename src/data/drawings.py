"""Fits any picture of a drawing to what training drawings look like: blank paper, their place, their size, their pen.

It needs NumPy, Pillow and SciPy alone, so that export.py can put it beside a network for programs without this project.
"""
import numpy as np
from PIL import Image
from scipy import ndimage

# Omniglot's training drawings, of which 3,000 were measured
SIDE = 105       # pixels a side
PEN = 5.5        # pixels: the width of a stroke
BOX = 70.0       # pixels: the longer side of the box around the ink

LARGEST, SMALLEST, LEAST_SIDE = 320, 112, 8   # pixels of the longer side that is worked on, and of the other
SPARSE = 3       # of so many rows of pixels one is enough for what is read off all of them
TINY = 40        # pixels of the longer side of what nobody photographs
EVEN = 0.25      # of all pixels, and
MOSTLY = 0.6     # of those within eight levels of it, have the level of even paper; and so have
EVEN_EDGE, CLEAR_EDGE = 0.4, 0.8   # of the pixels at the picture's edge; where less than the second have it, no blot is
DRAWN_EDGE = 0.05   # of those, at least, where a drawing is cut to its ink, which is as strong there as elsewhere; and
RIM = 0.04       # of the longer side: how deep a stroke at the edge is strongest
SHADOW = 0.28    # of the longer side deep: that would be a shadow
FLOOR = 64.0     # of 255, added before logarithms: what is as dark is not told from black
SMOOTH = 0.7     # pixels: against noise
WIDEST = 0.35    # of the shorter side: no blot of ink is wider
STROKES = 3.0    # stroke widths that the paper is looked for around ink
NARROWEST = 0.06   # of the shorter side, likewise
NOISE = 5.0      # standard deviations that ink stands out from the paper's noise, at least
FAINT, FULL, CLEAR = 0.35, 0.5, 0.6   # of full ink: all of a stroke is the first, its edge the second, some the third
LEAST = 0.03     # of a logarithm, ten levels of 255 on white: the contrast of the faintest ink
SPECK = 0.12     # of the drawing's longer side: smaller parts are specks, unless they have
BLOT = 0.08      # of its largest part's area
SHORTEST = 0.03  # of the longer side: no drawing is smaller
CORNER = 0.2     # of the longer side: at the sheet's edge nothing smaller is taken for a drawing
SHARP = 0.5      # of full ink: a stroke's edge rises by that within five pixels
ENLARGED = 4.0   # pens: dots are not enlarged beyond that
SLANTED = 0.7    # columns a row: what is more so is not taken for a hand's slant
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
    factor = max(picture.size) // LARGEST
    if factor > 1:
        picture = picture.reduce(factor)
    ink, outside = _ink_on_even_paper(picture), None        # [height, width]
    if ink is None:
        ink, outside = _ink_on_sheet(_logarithms(np.atleast_3d(np.asarray(_of_work_size(picture)))))
    drawn = _with_pen(*_placed(*_strokes(_without_ruling(ink), outside)))   # [SIDE, SIDE], 0 to 1
    return np.asarray(_less_slanted(drawn).resize((imgsz, imgsz), Image.Resampling.BICUBIC))


def _of_work_size(picture):
    """A picture made as small, or as large, as it is worked on."""
    scale = min(max(*picture.size, SMALLEST), LARGEST) / max(picture.size)
    size = tuple(max(LEAST_SIDE, round(length * scale)) for length in picture.size)
    return picture if size == picture.size else picture.resize(size, Image.Resampling.BICUBIC)


def _ink_on_even_paper(picture):
    """How much ink is at each pixel [height, width], about as logarithms say it; None where paper has many colours.

    So a bitmap of few pixels, grey where a stroke covers a part of one, keeps all that it says of its strokes, and a
    negative gives what the positive gives.
    """
    even = _even_paper(np.asarray(picture.convert("L")))
    if even is None:
        return None
    pixels = np.atleast_3d(np.asarray(picture))
    away = pixels.astype(np.float32) - np.median(pixels[even][::SPARSE], axis=0)     # [height, width, channel]
    _, mixture = _strong(away)
    ink = away @ mixture / (255 + FLOOR)
    ink = Image.fromarray(np.pad(ink if ink.sum() > 0 else -ink, 1))                 # rounded off at the edge
    return np.asarray(_of_work_size(ink))


def _even_paper(grey):
    """Where paper of one level lies [height, width], or None: a frame, a table or a shadow is not taken for ink."""
    level = int(np.bincount(grey.ravel()).argmax())
    away = np.abs(grey.astype(np.int16) - level)
    even, near = away <= 1, np.count_nonzero(away <= 8)
    at_edge = _edge(even).mean()
    if np.count_nonzero(even) < max(EVEN * even.size, MOSTLY * near) or at_edge < DRAWN_EDGE:
        return None
    if at_edge < EVEN_EDGE and not _is_drawn_to_the_edge(away):
        return None
    if max(even.shape) > TINY and at_edge < CLEAR_EDGE:
        reach = 2 * ndimage.distance_transform_edt(~even[::2, ::2]).max()            # from the paper into what is not
        return even if reach < SHADOW * max(even.shape) else None
    return even


def _is_drawn_to_the_edge(away):
    """Whether what differs from paper so much [height, width] at the picture's edge is as strong as the ink within.

    Where there is none within, what is at the edge is the drawing.
    """
    rim = max(1, round(RIM * max(away.shape)))
    within = away[rim:-rim, rim:-rim]
    ink = np.percentile(within, 99) if within.size else 0
    edge = np.concatenate([side.max(axis=axis) for side, axis in (
        (away[:rim], 0), (away[-rim:], 0), (away[:, :rim], 1), (away[:, -rim:], 1))])
    strokes = np.median(edge[edge > edge.max() / 2])
    return ink < strokes / 4 or abs(strokes - ink) < ink / 8


def _strong(away):
    """Of differences from paper [height, width, channel] the large ones [pixel, channel], and the mixture of channels,
    of unit length, that shows them best."""
    size = np.einsum("hwc,hwc->hw", away, away)
    strong = away[size >= np.percentile(size, 99.3) / 4]
    return strong, np.linalg.eigh(strong.T @ strong)[1][:, -1]


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
    half = np.moveaxis(brightness[::2, ::2], 2, 0)                                   # is enough to begin with
    signs = np.array([_sign(channel) for channel in np.exp(half)], np.float32)
    away = np.stack([_above_paper(sign * channel, WIDEST * shorter / 2) for sign, channel in zip(signs, half)], axis=2)
    strong, mixture = _strong(away)
    mixture = np.abs(mixture)
    level = _level(away @ mixture, _noise(away @ mixture))
    width = 2 * _stroke_width(away @ mixture > level / 2)
    window = np.clip(STROKES * width, NARROWEST * shorter, WIDEST * shorter)
    return _above_paper(brightness @ (signs * mixture), window), strong.mean(axis=0) * signs


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
    return above - np.percentile(above[::2, ::2], 30)


def _noise(ink):
    """The standard deviation of the paper's noise; where most is inked, pixels three apart say more: what those differ
    by where they do so least, and three times as much for light that falls off."""
    apart = 6.5 * np.percentile(np.abs(ink[::SPARSE, 3:] - ink[::SPARSE, :-3]), 25)
    some = ink[::SPARSE]
    return min(1.48 * np.median(np.abs(some - np.median(some))), apart) + 1e-3


def _level(ink, noise):
    """The level of full ink."""
    inked = ink[ink > NOISE * noise]
    if len(inked) < 4 or inked.max() < LEAST:
        raise NoInkError("nothing stands out from the paper")
    return float(np.median(inked[inked >= _divide(inked)]))


def _divide(values):
    """The value that divides values into two kinds (Otsu, 1979)."""
    counts, edges = np.histogram(values, 256)
    middles = (edges[:-1] + edges[1:]) / 2
    below, total = np.cumsum(counts), np.cumsum(counts * middles)
    above = below[-1] - below
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * above * (total / below - (total[-1] - total) / above) ** 2
    return edges[1 + np.nan_to_num(between).argmax()]


def _stroke_width(inked):
    """How wide strokes are, in pixels, from the distances of their middles to what is not inked."""
    distance = ndimage.distance_transform_edt(np.pad(inked, 1))[1:-1, 1:-1]
    middles = distance[(distance == ndimage.maximum_filter(distance, 3)) & inked]
    return 2 * float(np.median(middles)) - 1 if len(middles) else 3.0


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
    """Ink [height, width] in parts of full ink, and which pixels are of the drawing: not of faint parts and specks."""
    noise = LEAST / NOISE if outside is None else _noise(ink)
    level = _level(ink, noise)
    parts, count = ndimage.label(ink > max(FAINT * level, 4 * noise), np.ones((3, 3)))
    longest = np.array([max(side.stop - side.start for side in place) for place in ndimage.find_objects(parts)])
    area, clear = (np.bincount(parts[where].ravel(), minlength=count + 1)[1:] for where in (..., ink > CLEAR * level))
    clear = clear > 0
    if outside is not None:
        steps = ndimage.maximum_filter(ink, 5) - ndimage.minimum_filter(ink, 5)   # light that falls off has none
        clear &= _among(parts[steps > SHARP * level], count)[1:] & ~_at_edge(parts, outside, longest)
    if not clear.any() or longest[clear].max() < max(4, SHORTEST * max(ink.shape)):
        raise NoInkError("nothing stands out from the paper")
    kept = clear & ((longest >= SPECK * longest[clear].max()) | (area >= BLOT * area[clear].max()))
    return (ink / level).clip(0, 1), _among(np.flatnonzero(kept) + 1, count)[parts]


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


def _placed(ink, drawn):
    """Where the drawing has ink [SIDE, SIDE], in the middle and as large as in training, and its strokes' width."""
    ink = np.where(ndimage.binary_dilation(drawn, np.ones((3, 3)), iterations=2), ink, 0).astype(np.float32)
    solid = ink > min(FULL, 0.6 * ink.max())
    rows, columns = (np.flatnonzero(solid.any(axis=axis)) for axis in (1, 0))
    width = _stroke_width(solid)
    longest = max(np.ptp(rows), np.ptp(columns)) + 1
    scale = min((BOX - PEN) / max(longest - width, 1), ENLARGED * PEN / width)       # from middle to middle
    reach = SIDE / 2 / scale
    margin = int(reach) + 1
    x, y = ((along[0] + along[-1] + 1) / 2 + margin for along in (columns, rows))
    placed = Image.fromarray(np.pad(ink, margin)).resize((SIDE, SIDE), Image.Resampling.BICUBIC,
                                                         box=(x - reach, y - reach, x + reach, y + reach))
    placed = np.asarray(placed)
    return placed > min(FULL, 0.6 * placed.max()), width * scale


def _with_pen(inked, width):
    """What is inked [SIDE, SIDE] as training's pen would have drawn it, from 0 to 1.

    Strokes are drawn again along their middles; what still is there after taking off what makes them too wide is kept
    as well: a ring that a thick pen has filled stays a blot.
    """
    within = ndimage.distance_transform_edt(inked) - max(0, (width - PEN) / 2)
    around = ndimage.distance_transform_edt(~thinned(inked))
    return np.maximum(within, PEN / 2 + 0.5 - around).clip(0, 1)


def _less_slanted(drawn):
    """A picture of what was drawn with half its slant, in the middle and as large as before."""
    rows, columns = np.nonzero(drawn > 0.5)
    y, x = rows - rows.mean(), columns - columns.mean()
    slant = np.clip((x * y).sum() / (y * y).sum(), -SLANTED, SLANTED) / 2            # columns a row
    y, x = rows + 0.5, columns + 0.5 - slant * (rows + 0.5)                          # x: where it will be
    scale = (max(np.ptp(rows), np.ptp(x)) + 1) / (max(np.ptp(rows), np.ptp(columns)) + 1)   # pixels of before
    left, top = ((along.min() + along.max() - scale * SIDE) / 2 for along in (x, y))
    return Image.fromarray(np.rint(255 * drawn).astype(np.uint8)).transform(
        (SIDE, SIDE), Image.Transform.AFFINE, (scale, slant * scale, left + slant * top, 0, scale, top),
        Image.Resampling.BICUBIC)


def thinned(inked: np.ndarray) -> np.ndarray:
    """The middles of strokes, one pixel wide (Zhang and Suen, 1984).

    Parameters
    ----------
    inked : ndarray of bool, [height, width]

    Returns
    -------
    ndarray of bool, [height, width]
    """
    height, width = inked.shape
    padded = np.pad(inked, 1).astype(np.uint8)
    left = padded[1:-1, 1:-1]
    while True:
        before = left.sum()
        for removed in _REMOVED:
            around = sum(padded[row:row + height, column:column + width] << bit
                         for bit, (row, column) in enumerate(_AROUND))               # [height, width], of uint8
            left[removed[around]] = 0
        if left.sum() == before:
            return left.astype(bool)


# The corners of what is beside each pixel, in the order of Zhang and Suen: above, then clockwise
_AROUND = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))


def _removed_by_turns():
    """Which neighbourhoods [256] let a pixel be removed, in the first and in the second half of a round."""
    around = (np.arange(256)[:, None] >> np.arange(8)) & 1                           # [neighbourhood, pixel]
    begins = ((around == 0) & (np.roll(around, -1, axis=1) == 1)).sum(axis=1)
    inner = (begins == 1) & (around.sum(axis=1) >= 2) & (around.sum(axis=1) <= 6)
    above, right, below, left = around[:, ::2].T
    return (inner & (above * right * below == 0) & (right * below * left == 0),
            inner & (above * right * left == 0) & (above * below * left == 0))


_REMOVED = _removed_by_turns()
