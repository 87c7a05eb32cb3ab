"""Drawings as a phone sees them: put on a sheet, drawn with another pen, lit, shaded, ruled, tilted, noisy; bitmaps."""
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage

PEN = 5.5        # pixels of 105: how wide Omniglot's strokes are
FINENESS = 3     # pixels of a photograph for one of the drawing, where that stays below
MOST = 640       # pixels a side
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


@dataclass(frozen=True)
class Scene:
    """How a drawing is photographed; by default as it is, black on white.

    Attributes
    ----------
    sheet : float
        The sheet's side, in sides of the drawing, which lies somewhere on it.
    pen : float
        Width of the strokes, in pixels of 105; 0: as drawn.
    strength : float
        Of the ink, 0 to 1.
    ink, paper : tuple of int
        Their colours.
    fall_off, shadow : float
        The part of the light that is lost along the sheet, and beyond a hard edge across it.
    ruled : int
        Blue lines across the sheet; 0: none.
    frame : float
        Width of a black frame, in pixels of 105.
    cut : bool
        Whether the picture ends where the ink does.
    tilt : float
        Largest move of each corner, as a part of the side; what lies outside of the sheet is a brown table.
    blur, noise : float
        Standard deviations, in pixels of the photograph and in levels of 255.
    """

    sheet: float = 1.0
    pen: float = 0.0
    strength: float = 1.0
    ink: tuple = BLACK
    paper: tuple = WHITE
    fall_off: float = 0.0
    shadow: float = 0.0
    ruled: int = 0
    frame: float = 0.0
    cut: bool = False
    tilt: float = 0.0
    blur: float = 0.0
    noise: float = 0.0


def any_scene(rng: np.random.Generator) -> Scene:
    """A scene as people make them: a sheet of paper under a lamp, photographed by hand."""
    grey = rng.uniform(170, 250)
    return Scene(sheet=rng.uniform(1.1, 3), pen=rng.uniform(3.5, 9), strength=rng.uniform(0.5, 1),
                 ink=tuple(rng.integers(0, 90, 3).tolist()), paper=tuple((grey + rng.uniform(-12, 5, 3)).tolist()),
                 fall_off=rng.uniform(0, 0.5), shadow=rng.choice([0, rng.uniform(0.05, 0.3)]),
                 ruled=int(rng.choice([0, 0, rng.integers(8, 20)])), tilt=rng.choice([0, 0.04]),
                 blur=rng.uniform(0.3, 1.2), noise=rng.uniform(1, 5))


def photograph(drawing: np.ndarray, scene: Scene, rng: np.random.Generator) -> Image.Image:
    """The picture of a drawing, of mode RGB.

    Parameters
    ----------
    drawing : ndarray of bool, [height, width]
        Ink True.
    scene : Scene
        How it is photographed.
    rng : numpy.random.Generator
        Draws the places of all that has one.
    """
    fineness = min(FINENESS, MOST / (scene.sheet * len(drawing)))
    ink = _on_sheet(_with_pen(drawing, scene.pen, fineness), scene, rng)            # [height, width], 0 to 1
    picture = _coloured(ink, scene, rng)                                            # [height, width, 3], 0 to 255
    if scene.tilt:
        picture = _tilted(picture, scene.tilt, rng)
    picture *= _light(picture.shape[:2], scene, rng)[:, :, None]
    if scene.blur:
        picture = ndimage.gaussian_filter(picture, (scene.blur, scene.blur, 0))
    picture += rng.normal(0, scene.noise or 1e-9, picture.shape)
    return Image.fromarray(np.rint(picture.clip(0, 255)).astype(np.uint8))


def bitmap(drawing: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """A drawing [height, width], bool, by some pen, often cut near the ink, and often of few pixels; of mode L."""
    pen = float(rng.choice([0, rng.uniform(3, PEN + 2.5), rng.uniform(PEN + 2.5, 15)]))
    pixels = np.rint(255 - 255 * _with_pen(drawing, pen, 1.0)).astype(np.uint8)
    if rng.random() < 0.7:
        margin = int(rng.integers(0, 14))
        pixels = np.pad(_cut(pixels, pixels < 128), margin, constant_values=255)
    picture = Image.fromarray(pixels)
    if rng.random() < 0.5:
        scale = int(rng.integers(10, 48)) / max(picture.size)
        picture = picture.resize([max(4, round(scale * length)) for length in picture.size], Image.Resampling.BOX)
    return picture


def _with_pen(drawing, pen, fineness):
    """The drawing as large as in the photograph, 0 to 1, its strokes as wide as `pen` says."""
    side = round(len(drawing) * fineness)
    large = Image.fromarray(drawing).convert("L").resize((side, side), Image.Resampling.BICUBIC)
    ink = np.asarray(large.filter(ImageFilter.GaussianBlur(fineness / 2)), np.float32) / 255
    if not pen or not drawing.any():
        return ink
    solid, wider = ink > 0.5, (pen - PEN) / 2 * fineness
    away = ndimage.distance_transform_edt(~solid) - ndimage.distance_transform_edt(solid)   # from the strokes' edges
    return np.clip(wider + 0.5 - away, 0, 1)


def _cut(pixels, inked):
    """The part of `pixels` [height, width] from the first row and column that are `inked` to the last."""
    rows, columns = (np.flatnonzero(inked.any(axis=axis)) for axis in (1, 0))
    return pixels[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]


def _on_sheet(ink, scene, rng):
    if scene.cut:
        return _cut(ink, ink > 0.5)
    side = round(scene.sheet * len(ink))
    sheet = np.zeros((side, side), np.float32)
    top, left = rng.integers(0, side - len(ink), 2, endpoint=True)
    sheet[top:top + len(ink), left:left + len(ink)] = ink
    frame = round(scene.frame * len(ink) / 105)
    if frame:
        for edge in (sheet[:frame], sheet[-frame:], sheet[:, :frame], sheet[:, -frame:]):
            edge[:] = 1
    return sheet


def _coloured(ink, scene, rng):
    paper = np.broadcast_to(np.array(scene.paper, np.float32), (*ink.shape, 3)).copy()
    if scene.ruled:
        height = len(ink) / scene.ruled
        lines = np.arange(rng.uniform(0, height), len(ink), height).astype(int)
        for row in lines:
            paper[row:row + max(1, len(ink) // 250)] *= np.array([0.65, 0.75, 0.9], np.float32)
    part = (scene.strength * ink)[:, :, None]
    return paper * (1 - part) + np.array(scene.ink, np.float32) * part


def _tilted(picture, tilt, rng):
    """Seen a little from the side, on a table."""
    height, width = picture.shape[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    seen = corners + rng.uniform(0, tilt, (4, 2)) * (width, height) * np.where(corners, -1, 1)
    rows, values = [], []
    for (x, y), (u, v) in zip(seen, corners):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y)]
        values += [u, v]
    image = Image.fromarray(np.rint(picture).astype(np.uint8))
    warped = image.transform(image.size, Image.Transform.PERSPECTIVE, np.linalg.solve(rows, values).tolist(),
                             Image.Resampling.BICUBIC, fillcolor=(120, 85, 60))
    return np.asarray(warped).astype(np.float32)


def _light(size, scene, rng):
    """The light on each pixel, at most 1: falling off in some direction, and less beyond a hard edge."""
    y, x = np.mgrid[:size[0], :size[1]]
    light = np.ones(size, np.float32)
    for lost, along in ((scene.fall_off, lambda part: part), (scene.shadow, lambda part: part > rng.uniform(0.3, 0.7))):
        direction = rng.uniform(0, 2 * np.pi)
        way = np.cos(direction) * y / size[0] + np.sin(direction) * x / size[1]
        light *= 1 - lost * along((way - way.min()) / np.ptp(way))
    return light
