"""Views: changed copies of an image, to learn from beside it and to ask beside it; the answers are averaged."""
import numpy as np

from mindspore_maml.data.augmentation import augment


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
