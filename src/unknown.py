"""None of these: how familiar an image looks beside the classes that were learned, and from where on it counts as one.

The limits of a network are measured on validation characters (`python -m benchmarks unknown`) and stand beside its
checkpoint, for some numbers of classes and examples; between these they are interpolated.
"""
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindspore_maml.cli.errors import InputError, shown
from mindspore_maml.cli.reading import is_file, parse_json, read_text

FILE_NAME = "unknown.json"
KEYS = ("n_way", "k_spt", "threshold", "temperature")
LARGEST = 1e300   # of a number in a file: no sum of some is infinite


@dataclass(frozen=True)
class Limits:
    """Of a network, for a number of classes and of examples.

    Attributes
    ----------
    threshold : float
        The familiarity that 98 of 100 images of the learned classes reach.
    temperature : float
        What logits are divided by for probabilities to be as often right as they say (Guo et al., 2017).
    """

    threshold: float
    temperature: float


def centres(features: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The mean features [class, feature] of each class's examples, from those [image, feature] of all of them."""
    return np.stack([features[numbers == number].mean(axis=0) for number in range(numbers.max() + 1)])


def familiarity(features: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """How familiar images are, [image]: the cosine between their features and the nearest class's, at most 1.

    Parameters
    ----------
    features : ndarray, [image, feature]
        What the network's last layer is given.
    expected : ndarray, [class, feature]
        From `centres`.
    """
    return (_unit(features) @ _unit(expected).T).max(axis=1)


def _unit(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


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
    return are_numbers(point, KEYS) and min(point["n_way"], point["k_spt"], point["temperature"]) > 0


def are_numbers(found: object, names: Iterable[str]) -> bool:
    """Whether something read from a file is a mapping of these names, and no other, to finite numbers."""
    return isinstance(found, dict) and set(found) == set(names) and all(
        isinstance(value, (int, float)) and abs(value) < LARGEST for value in found.values())


def _interpolated(points, name, n_way, k_spt):
    """A value between the measured ones, weighted by how near these are: inverse squares of distances of logarithms."""
    away = np.array([math.log(point["n_way"] / n_way) ** 2 + math.log(point["k_spt"] / k_spt) ** 2
                     for point in points])
    weights = 1 / (away + 1e-9)
    return float(weights @ [point[name] for point in points] / weights.sum())
