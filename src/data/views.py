"""Views: changed copies of an image, to learn from beside it and to ask beside it; the answers are averaged."""
import numpy as np

from mindspore_maml.data.augmentation import augment

LEARNED, ASKED = 1, 2   # seeds of the views of examples and of questions
STRENGTH = 1.0          # of both, as `augment` takes it
MOST, ROOM = 4, 64      # views by default, as long as they and the examples are no more than these images


def views_of(images: np.ndarray, count: int, strength: float, rng: np.random.Generator, paper: float = 0.0,
             elastic: float = 0.0) -> np.ndarray:
    """Every image as it is, and `count` - 1 changed copies of it.

    Parameters
    ----------
    images : ndarray of uint8 or float32, [..., image, channel, height, width]
    count : int
        Views of each image, itself included.
    strength, elastic : float
        As `augment` takes them.
    rng : numpy.random.Generator
        What the changes are drawn from.
    paper : float
        The value of paper, which is seen beyond the edges.

    Returns
    -------
    ndarray of float32, [..., count x image, channel, height, width]
        All images as they are, then all images changed, and so on.
    """
    drawn = images.astype(np.float32) - np.float32(paper)
    changed = [augment(drawn, strength, rng, elastic) + np.float32(paper) for _ in range(count - 1)]
    return np.concatenate([images.astype(np.float32), *changed], axis=-4)


def labels_of_views(labels: np.ndarray, count: int) -> np.ndarray:
    """The labels [..., image] of the `count` views of images, [..., count x image], in the order of `views_of`."""
    return np.concatenate([labels] * count, axis=-1)


def views_by_default(examples: int) -> int:
    """Views of each of so many examples, and of each question about them; measured in docs/own-images.md."""
    return max(1, min(MOST, ROOM // examples))


def views_alike(images: np.ndarray, count: int, seed: int) -> np.ndarray:
    """As `views_of`, with the same changes for every image, so that its views depend on no other image.

    Parameters
    ----------
    images : ndarray of uint8, [image, channel, height, width]
        Ink 255, paper 0.
    count : int
        Views of each image, itself included.
    seed : int
        Of the changes.

    Returns
    -------
    ndarray of float32, [count x image, channel, height, width]
    """
    planes = images.reshape(1, -1, *images.shape[2:])                       # as the channels of a single image
    found = views_of(planes, count, STRENGTH, np.random.default_rng(seed))  # [view, image x channel, height, width]
    return found.reshape(-1, *images.shape[1:])
