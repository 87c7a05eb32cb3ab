"""None of these: how familiar an image looks beside the classes that were learned, and from where on it counts as one.

The limits of a network are measured on validation characters (`python -m benchmarks unknown`) and stand beside its
checkpoint, for some numbers of classes and examples; between these they are interpolated.
"""
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindspore_maml.cli.errors import InputError, shown
from mindspore_maml.cli.reading import is_file, parse_json, read_text

FILE_NAME = "unknown.json"
KEYS = ("n_way", "k_spt", "threshold", "temperature")


@dataclass(frozen=True)
class Limits:
    """Of a network, for a number of classes and of examples.

    Attributes
    ----------
    threshold : float
        The familiarity that 95 of 100 images of the learned classes reach.
    temperature : float
        What logits are divided by for probabilities to be as often right as they say (Guo et al., 2017).
    """

    threshold: float
    temperature: float


def centres(logits: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The mean logits [class, class] of each class's own examples, from those [image, class] of all of them."""
    return np.stack([logits[numbers == number].mean(axis=0) for number in range(logits.shape[1])])


def familiarity(logits: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """How familiar images are, [image]: at most 1 where the logits are those of the best class's own examples.

    Parameters
    ----------
    logits : ndarray, [image, class]
    expected : ndarray, [class, class]
        From `centres`.

    Returns
    -------
    ndarray, [image]
        The best class's logit in parts of what its examples have, less the distance of all logits from theirs in parts
        of their length.
    """
    best = logits.argmax(axis=1)
    own = expected[best]                                                             # [image, class]
    part = logits.max(axis=1) / np.maximum(expected[best, best], 1e-6)
    return part - np.linalg.norm(logits - own, axis=1) / np.maximum(np.linalg.norm(own, axis=1), 1e-6)


def limits_of(checkpoint: Path, n_way: int, k_spt: float) -> Limits | None:
    """The limits beside a checkpoint for so many classes, and examples of each in the mean; None where there are none.

    Raises
    ------
    InputError
        Where the file holds something else.
    """
    path = checkpoint.parent / FILE_NAME
    if not is_file(path):
        return None
    points = parse_json(read_text(path, str(path)), str(path))
    if not isinstance(points, list) or not points or not all(map(_is_point, points)):
        raise InputError(f"{path}: {shown(points)}; expected a list of {', '.join(KEYS)}, all of them numbers")
    return Limits(*(_interpolated(points, name, n_way, k_spt) for name in ("threshold", "temperature")))


def _is_point(point):
    return isinstance(point, dict) and set(point) == set(KEYS) and all(
        isinstance(value, (int, float)) and math.isfinite(value) for value in point.values()) and \
        min(point["n_way"], point["k_spt"], point["temperature"]) > 0


def _interpolated(points, name, n_way, k_spt):
    """A value between the measured ones, weighted by how near these are: inverse squares of distances of logarithms."""
    away = np.array([math.log(point["n_way"] / n_way) ** 2 + math.log(point["k_spt"] / k_spt) ** 2
                     for point in points])
    weights = 1 / (away + 1e-9)
    return float(weights @ [point[name] for point in points] / weights.sum())
