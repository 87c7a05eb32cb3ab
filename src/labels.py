"""Labels of examples: the classes among them, numbered, and as many examples of each."""
import contextlib

import numpy as np

from mindspore_maml.cli.errors import InputError

EXACT = 8    # images a class up to which there is a graph for every number of them


def distinct(labels: list) -> tuple[np.ndarray, np.ndarray]:
    """The labels, each once, as an array [class], and for every label its number among them, int32 [label]."""
    try:
        once = list(dict.fromkeys(labels))
    except TypeError as error:
        raise InputError(f"labels cannot be told apart ({error}); expected texts, numbers or the like") from error
    with contextlib.suppress(TypeError):   # of kinds that have no common order
        once.sort()
    numbers = {label: number for number, label in enumerate(once)}
    return _as_array(once), np.array([numbers[label] for label in labels], np.int32)


def even(numbers: np.ndarray) -> np.ndarray:
    """Places of `numbers`, as many of each number that occurs: all of them, those of the rarer ones several times."""
    places = [np.flatnonzero(numbers == number) for number in np.unique(numbers)]
    count = filled_up(max(map(len, places)))
    return np.concatenate([np.resize(each, count) for each in places])


def filled_up(count: int) -> int:
    """The next number of images a class for which there are graphs: up to `EXACT` any, then four each doubling."""
    if count <= EXACT:
        return count
    step = 2 ** (count.bit_length() - 3)   # a quarter of the power of two below
    return -(-count // step) * step


def _as_array(labels):
    """Labels as an array [label], of objects where NumPy would make something else of them."""
    array = np.array(labels) if all(isinstance(label, type(labels[0])) for label in labels) else None
    if array is not None and array.ndim == 1 and array.dtype.kind in "biufUS":
        return array
    array = np.empty(len(labels), object)
    array[:] = labels
    return array
