"""Images by class, where classes have different numbers of them."""
from collections.abc import Sequence

import numpy as np


class ClassImages:
    """Classes of images; indexed by a slice, a mask or an array of class numbers, as an array of classes would be.

    Parameters
    ----------
    images : ndarray of uint8, [image, imgc, imgsz, imgsz]
        All images, class by class; ink 255, paper 0.
    counts : sequence of int
        The number of images of each class.
    names : sequence of str
        The name of each class.
    n_train : int
        How many of the classes, the first ones, are to train on; the others test.
    kind : str
        What the images are of: drawings or photographs (`src/data/images.py`).

    Attributes
    ----------
    first : ndarray of int, [class]
        Where each class begins in `images`.
    """

    def __init__(self, images: np.ndarray, counts: Sequence[int] | np.ndarray, names: Sequence[str], n_train: int,
                 first: np.ndarray | None = None, kind: str = "drawings"):
        self.images, self.names, self.n_train, self.kind = images, tuple(names), n_train, kind
        self.counts = np.asarray(counts, np.int64)
        self.first = np.cumsum(self.counts) - self.counts if first is None else first

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, index: slice | np.ndarray) -> "ClassImages":
        classes = np.arange(len(self))[index]
        return ClassImages(self.images, self.counts[classes], [self.names[number] for number in classes],
                           int((classes < self.n_train).sum()), self.first[classes], self.kind)


Classes = np.ndarray | ClassImages   # classes of images: [class, drawing, imgc, imgsz, imgsz], or uneven ones


def counts_of(images: Classes) -> np.ndarray:
    """The number of images of each class, of `ClassImages` or of an array [class, drawing, ...]."""
    return images.counts if isinstance(images, ClassImages) else np.full(len(images), images.shape[1])


def in_a_row(images: Classes) -> tuple[np.ndarray, np.ndarray]:
    """All images [image, imgc, imgsz, imgsz] of `ClassImages` or an array of classes, and where each class begins."""
    if isinstance(images, ClassImages):
        return images.images, images.first
    classes, drawings = images.shape[:2]
    return images.reshape(-1, *images.shape[2:]), np.arange(classes) * drawings
