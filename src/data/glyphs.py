"""Built-in glyph data: made-up alphabets, drawn by made-up hands, as images in Omniglot's own layout of folders."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

SIDE = 105  # pixels of an image's side, as in Omniglot
DRAWERS = 20
ALPHABET = "Alphabet_{:02d}"  # the folder of an alphabet
SUPERSAMPLING = 2  # strokes are drawn this many times larger, then averaged and cut at half ink
SEGMENT_POINTS = 6  # straight pieces between two control points of a stroke

STROKES = (1, 3)  # fewest and most strokes of a character
CONTROL_POINTS = (3, 4)  # fewest and most control points of a stroke
CANDIDATES = 4  # places among which a control point is chosen

# How far drawings of a character differ, chosen so that the nearest support image is right in about 60 % of 5-way
# 1-shot queries. Lengths are in sides of the box that a character is invented in.
SLANT = 0.15  # of a drawer: largest tangent from the upright
SIZE = (0.65, 0.8)  # of a drawer: least and largest width and height, in sides of the image
SHIFT = 0.03  # of a drawer: largest in x and in y, in sides of the image
THICKNESS = (2.0, 3.5)  # of a drawer: least and largest, in pixels
JITTER = 0.03  # of a drawing: standard deviation of a control point's place
BEND = 0.12  # of a drawing: largest bow of a straight line across the box
TURN = 0.12  # of a drawing: largest rotation, as a tangent
STRETCH = 0.08  # of a drawing: largest relative change of width or height
PRESSURE = 0.15  # of a drawing: largest relative change of thickness


def draw_glyphs(folder: Path, seed: int, n_background: int = 22, n_evaluation: int = 8, n_characters: int = 15) -> None:
    """Draw made-up alphabets as ``folder/images_{background,evaluation}/ALPHABET/characterNN/NNNN_DD.png``.

    NNNN is the character's running number and DD the drawer, 01 to 20. Images are 105 x 105 one-bit PNGs, black ink
    on white paper. The same arguments give the same bytes.

    Parameters
    ----------
    folder : path
        Where the two top folders go; made if missing. They must not hold these alphabets already.
    seed : int
        Seed of characters, hands and drawings, >= 0.
    n_background, n_evaluation : int
        Alphabets in either top folder.
    n_characters : int
        Characters in an alphabet.
    """
    n_alphabets = n_background + n_evaluation
    for number in tqdm(range(1, n_alphabets * n_characters + 1), desc="drawing", unit="character",
                       disable=None):
        alphabet, character = divmod(number - 1, n_characters)
        top = "images_background" if alphabet < n_background else "images_evaluation"
        place = Path(folder, top, ALPHABET.format(alphabet + 1), f"character{character + 1:02d}")
        place.mkdir(parents=True)
        for drawer, image in enumerate(drawings_of(seed, number), start=1):
            image.save(place / f"{number:04d}_{drawer:02d}.png")


def drawings_of(seed: int, number: int) -> list[Image.Image]:
    """Every drawer's image of one character, by the running number that `draw_glyphs` gives it, from 1."""
    hands = _invent_hands(np.random.default_rng([seed, 0]))
    # A generator of its own: a character stays the same however many others are asked for.
    return list(_draw_character(hands, np.random.default_rng([seed, number])))


def _invent_hands(rng):
    """What each drawer keeps from character to character."""
    return {
        "slant": rng.uniform(-SLANT, SLANT, (DRAWERS, 1)),
        "size": rng.uniform(*SIZE, (DRAWERS, 1, 2)),
        "shift": rng.uniform(-SHIFT, SHIFT, (DRAWERS, 1, 2)),
        "thickness": rng.uniform(*THICKNESS, DRAWERS),
    }


def _draw_character(hands, rng):
    """Invent a character and yield every drawer's image of it."""
    lengths = rng.integers(*CONTROL_POINTS, endpoint=True, size=rng.integers(*STROKES, endpoint=True))
    points = _write(_vary(_invent_points(lengths.sum(), rng), rng), hands)  # (drawers, points, 2)
    curves = [_smooth(stroke) for stroke in np.split(points, np.cumsum(lengths)[:-1], axis=1)]
    thickness = hands["thickness"] * rng.uniform(1 - PRESSURE, 1 + PRESSURE, DRAWERS)
    for drawer in range(DRAWERS):
        yield _render([curve[drawer] for curve in curves], thickness[drawer])


def _invent_points(count, rng):
    """Control points of all strokes of a new character, (count, 2), in a box from -0.5 to 0.5."""
    points = rng.uniform(-0.5, 0.5, (1, 2))
    for _ in range(count - 1):
        # Of a few places the one farthest from all others: strokes that fill the box and do not scribble.
        places = rng.uniform(-0.5, 0.5, (CANDIDATES, 2))
        distances = np.square(places[:, None] - points).sum(axis=2)  # (candidates, points)
        points = np.concatenate([points, places[[distances.min(axis=1).argmax()]]])
    return points


def _vary(points, rng):
    """One version of a character for each drawer, (points, 2) -> (drawers, points, 2): nobody draws it twice alike."""
    x, y = np.moveaxis(points + rng.normal(0, JITTER, (DRAWERS, *points.shape)), -1, 0)  # each (drawers, points)
    bend_x, bend_y, turn = rng.uniform(-1, 1, (3, DRAWERS, 1)) * [[[BEND]], [[BEND]], [[TURN]]]
    x, y = x + bend_x * (4 * y * y - 0.5), y + bend_y * (4 * x * x - 0.5)
    x, y = x - turn * y, y + turn * x
    return np.stack([x, y], axis=-1) * (1 + rng.uniform(-STRETCH, STRETCH, (DRAWERS, 1, 2)))


def _write(points, hands):
    """Points (drawers, points, 2) of the box in each drawer's hand, in sides of the image from its upper left."""
    x, y = np.moveaxis(points, -1, 0)
    return np.stack([x - hands["slant"] * y, y], axis=-1) * hands["size"] + hands["shift"] + 0.5


def _smooth(points):
    """Uniform Catmull-Rom splines through (drawers, points, 2), end points doubled: (drawers, curve points, 2)."""
    p = np.concatenate([points[:, :1], points, points[:, -1:]], axis=1)[:, :, None]
    before, start, end, after = p[:, :-3], p[:, 1:-2], p[:, 2:-1], p[:, 3:]  # each (drawers, points - 1, 1, 2)
    t = (np.arange(SEGMENT_POINTS) / SEGMENT_POINTS)[:, None]
    linear = end - before
    square = 2 * before - 5 * start + 4 * end - after
    cube = 3 * (start - end) + after - before
    curve = start + 0.5 * t * (linear + t * (square + t * cube))  # (drawers, points - 1, SEGMENT_POINTS, 2)
    return np.concatenate([curve.reshape(len(points), -1, 2), points[:, -1:]], axis=1)


def _render(curves, thickness):
    """Curves, each (curve points, 2) in sides of the image, as a one-bit image, black on white."""
    side, width = SIDE * SUPERSAMPLING, round(thickness * SUPERSAMPLING)
    image = Image.new("L", (side, side), 255)
    pen = ImageDraw.Draw(image)
    for curve in curves:
        # Whole pixels, so that a product's last bit, which differs between processors, does not reach the image;
        # a stroke runs along the edge of the paper rather than beyond it.
        pixels = np.rint(curve * side).astype(int).clip(width, side - width).tolist()
        pen.line([tuple(pixel) for pixel in pixels], fill=0, width=width, joint="curve")
        for x, y in (pixels[0], pixels[-1]):
            pen.ellipse((x - width // 2, y - width // 2, x + width // 2, y + width // 2), fill=0)
    return image.reduce(SUPERSAMPLING).convert("1", dither=Image.Dither.NONE)
