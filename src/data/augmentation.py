"""Augmentation: every drawing as another hand could have made it, turned, scaled, sheared, shifted, bent a little."""
import functools

import numpy as np

# Standard deviations at strength 1, found on validation characters (docs/accuracy.md).
TURN = 0.12    # radians
SCALE = 0.08   # of each axis, as a part of 1
SHEAR = 0.1    # of x along y, as a part of 1
SHIFT = 1.0    # of each axis, in 28ths of an image: a pixel of 28 x 28
SHIFT_UNITS = 28
BEND = 1.0     # of each knot of an elastic change, along each axis, in the same unit
KNOTS = 5      # along each axis, from edge to edge


def augment(images: np.ndarray, strength: float, rng: np.random.Generator, elastic: float = 0.0) -> np.ndarray:
    """A random affine change of every image by itself, and an elastic one, paper where it looks beyond the edge.

    Parameters
    ----------
    images : ndarray of uint8, [..., channel, height, width]
        Ink 255, paper 0.
    strength : float
        Factor of the standard deviations of turn, scale, shear and shift; 0: no affine change.
    rng : numpy.random.Generator
        What is drawn from.
    elastic : float
        Factor of the standard deviation of the bends; 0: no elastic change.

    Returns
    -------
    ndarray of float32, like `images`
        From 0 to 255, interpolated between the four pixels around (bilinear).
    """
    flat = images.reshape(-1, *images.shape[-3:])                             # [image, channel, height, width]
    count, size = len(flat), (flat.shape[2], flat.shape[3])
    places = places_under(random_affine(count, size, strength, rng), size)
    if elastic:
        places += random_bends(count, size, elastic, rng)
    return sample(flat, places).reshape(images.shape)


def random_affine(count: int, size: tuple[int, int], strength: float, rng: np.random.Generator) -> np.ndarray:
    """Maps from the places (row, column, 1) of a new image to those of the old one, both counted from its centre.

    Returns
    -------
    ndarray of float32, [count, 2, 3]
    """
    draws = strength * rng.standard_normal((6, count))
    turn, stretch, shear, shift = TURN * draws[0], np.exp(SCALE * draws[1:3]), SHEAR * draws[3], SHIFT * draws[4:]
    cos, sin = np.cos(turn), np.sin(turn)
    # A turn after a shear after a stretch of the axes.
    rows = np.stack([cos * stretch[0] + sin * shear, sin * stretch[1], shift[0] * size[0] / SHIFT_UNITS], axis=-1)
    columns = np.stack([cos * shear - sin * stretch[0], cos * stretch[1], shift[1] * size[1] / SHIFT_UNITS], axis=-1)
    return np.stack([rows, columns], axis=1).astype(np.float32)


def places_under(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Where each pixel of the new images lies in the old ones, counted from their corners, by `maps` [image, 2, 3].

    Returns
    -------
    ndarray of float32, [image, 2, height x width]
        Row and column.
    """
    y, x = np.mgrid[:size[0], :size[1]].reshape(2, -1).astype(np.float32)
    centre = np.array([[(length - 1) / 2] for length in size], np.float32)
    return maps @ np.stack([y - centre[0], x - centre[1], np.ones_like(y)]) + centre


def random_bends(count: int, size: tuple[int, int], strength: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth displacements: random ones of a grid of knots, interpolated (after Simard et al., 2003, section 2).

    Returns
    -------
    ndarray of float32, [count, 2, height x width]
        Rows and columns.
    """
    knots = rng.standard_normal((count, 2, KNOTS, KNOTS), np.float32)
    knots *= np.array([[[strength * BEND * length / SHIFT_UNITS]] for length in size], np.float32)
    down, across = (_between_knots(length) for length in size)
    return (down @ knots @ across.T).reshape(count, 2, -1)


@functools.cache
def _between_knots(length):
    """[pixel, knot]: the weights of the two knots around each pixel, cosine waves so that no bend has an edge."""
    distance = np.abs(np.linspace(0, KNOTS - 1, length)[:, None] - np.arange(KNOTS))
    return np.where(distance < 1, (1 + np.cos(np.pi * distance)) / 2, 0).astype(np.float32)


def sample(images: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Images [image, channel, height, width] seen at `places` [image, 2, height x width], float32."""
    count, channels, height, width = images.shape
    # A frame of one pixel of paper, counted from its corner; whatever lies farther out, lies on the frame.
    padded = np.zeros((channels, count, height + 2, width + 2), np.float32)
    padded[..., 1:-1, 1:-1] = images.swapaxes(0, 1)
    y = np.clip(places[:, 0] + 1, 0, height + 0.999)
    x = np.clip(places[:, 1] + 1, 0, width + 0.999)
    top, left = y.astype(np.int32), x.astype(np.int32)
    y -= top
    x -= left
    corner = top * (width + 2) + left + np.arange(0, padded[0].size, padded[0, 0].size, dtype=np.int32)[:, None]
    drawn = np.stack([_between(plane.ravel(), corner, width + 2, y, x) for plane in padded], axis=1)
    return drawn.reshape(images.shape)


def _between(plane, corner, line, y, x):
    """Values at `y`, `x` from 0 to 1 beyond the index `corner` of a plane whose lines have `line` pixels."""
    upper_left, lower_left = plane[corner], plane[corner + line]
    upper = upper_left + x * (plane[corner + 1] - upper_left)
    lower = lower_left + x * (plane[corner + (line + 1)] - lower_left)
    return upper + y * (lower - upper)
