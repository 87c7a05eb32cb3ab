"""What a classifier has learned from its support images, whole in itself, and the file that it is saved in."""
import functools
import io
import json
import math
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindspore_maml.cli.atomic_files import replacing
from mindspore_maml.cli.command_line import options_of_call
from mindspore_maml.cli.errors import InputError, shown
from mindspore_maml.cli.options import EVAL, options_of
from mindspore_maml.cli.presets import check_values
from mindspore_maml.cli.reading import open_regular, parse_json
from mindspore_maml.cli.run_options import Options
from mindspore_maml.data.views import LEARNED, views_alike
from mindspore_maml.layers.description import describe
from mindspore_maml.layers.linear import Linear
from mindspore_maml.layers.network import Network
from mindspore_maml.unknown import Limits, are_numbers

FORMAT = "mindspore-maml classifier 2"
ARRAYS = {"support": "|u1", "numbers": "<i4", "evened": "<i8", "centres": "<f4"}   # beside the weights
MOST_BYTES = 1 << 30        # of a file's arrays together
LONGEST_HEADER = 1 << 16    # bytes before the numbers of an array, at most
MOST_FEATURES = 2048        # that the head hands on; its weights for that take 16 MB
MOST_TEXT = 1 << 22         # bytes of what is said of the arrays
KINDS = {str: "text", bool: "truth", int: "whole number", float: "number"}   # of labels that a file can hold


@dataclass(frozen=True)
class Adapted:
    """A network's weights after the inner loop, the support images they are from, and the model they belong to.

    Attributes
    ----------
    classes : ndarray, [class]
        The labels, each once.
    support : ndarray of uint8, [image, imgc, imgsz, imgsz]
        Ink 255, paper 0.
    numbers : ndarray of int32, [image]
        The number of each support image's class.
    evened : ndarray of int64, [image]
        The support images that the inner loop took, some several times.
    weights : list of ndarray of float32, each [1, in, out]
        In the order of the network's parameters.
    centres : ndarray of float32, [class, feature]
        The mean features of each class's examples (`src/unknown.py`).
    steps : int
        The inner steps that led to them.
    views : int
        Views of each example that were learned, and that there are of each question.
    model : dict
        The options that belong to the trained model, `network` among them.
    limits : Limits, optional
        From where on an image counts as none of the classes, where that was measured for the network.
    """

    classes: np.ndarray
    support: np.ndarray
    numbers: np.ndarray
    evened: np.ndarray
    weights: list
    centres: np.ndarray
    steps: int
    views: int
    model: dict
    limits: Limits | None = None

    @functools.cached_property
    def taken(self) -> np.ndarray:
        """What the inner loop took, float32 [view x image, imgc, imgsz, imgsz] from 0 to 255: all views of `evened`."""
        return views_alike(self.support[self.evened], self.views, LEARNED)

    def save(self, path: str | Path) -> None:
        """Write it to one file, whole or not at all; `read` reads it.

        Raises
        ------
        InputError
            Where a label is no text, number or truth value, or the file cannot be written.
        """
        labels = self.classes.tolist()
        if len({type(label) for label in labels}) > 1 or type(labels[0]) not in KINDS:
            raise InputError(f"{path}: cannot hold the labels {shown(labels)}; expected all of one kind: "
                             f"{', '.join(KINDS.values())}")
        said = {"format": FORMAT, "labels": labels, "steps": self.steps, "views": self.views,
                "model": self.model, "limits": self.limits and asdict(self.limits)}
        content = io.BytesIO()
        np.savez(content, said=np.frombuffer(json.dumps(said).encode(), np.uint8),
                 **{name: np.asarray(getattr(self, name), kind) for name, kind in ARRAYS.items()},
                 **{f"weight{number}": weight for number, weight in enumerate(self.weights)})
        with replacing(path) as temporary:
            temporary.write_bytes(content.getvalue())


def features_of(options: Options) -> int:
    """How many numbers the last layer is given, which it can hand on beside the logits; 0 where it cannot."""
    last = describe(options.network, options.imgc, options.imgsz, options.n_way)[-1]
    plain = last.layer is Linear and "units" not in options.network[-1]
    return last.shape_in[0] if plain and last.shape_in[0] <= MOST_FEATURES else 0


def handing_on(weights: Sequence[np.ndarray], options: Options) -> list:
    """Weights, each [task, in, out], whose head makes the features themselves, too, behind the classes' logits."""
    features, has_bias = features_of(options), options.network[-1].get("bias", True)
    if not features:
        return list(weights)
    more = [np.eye(features, dtype=np.float32), np.zeros((1, features), np.float32)][:1 + has_bias]
    head = [np.concatenate([values, np.broadcast_to(same, (len(values), *same.shape))], axis=2)
            for values, same in zip(weights[-len(more):], more)]
    return [*weights[:-len(more)], *head]


def model_of(options: Options) -> dict:
    """The options that belong to the trained model, in values that JSON keeps."""
    return {option.name: getattr(options, option.name) for option in options_of(EVAL) if option.stored} | \
        {"network": options.network}


def options_of_model(model: dict, origin: str) -> Options:
    """The options for one task of a model; `origin` names it where something is wrong with it.

    Raises
    ------
    InputError
        On an unknown option, or a value outside its range.
    """
    values = check_values(model, origin)
    return options_of_call(EVAL, {"task_num": 1, "k_qry": 1}).but(**values)


def read(path: str | Path) -> Adapted:
    """Read what `Adapted.save` wrote, and check it against the network that it names.

    Raises
    ------
    InputError
        Where it is no such file, or what is in it does not fit together.
    """
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            return _read(archive, str(path))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, EOFError, OverflowError, NotImplementedError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: no classifier that can be read ({error}); expected one that FewShotClassifier.save "
                         f"wrote") from error


def _read(archive: zipfile.ZipFile, origin: str) -> Adapted:
    said = _read_said(archive, origin)
    labels, steps, views = said.get("labels"), said.get("steps"), said.get("views")
    if not _are_labels(labels):
        raise InputError(f"{origin}: its labels are {shown(labels)}; expected at least 2, different, of one kind")
    for name, number, least in (("steps", steps, 0), ("views", views, 1)):
        if type(number) is not int or number < least:
            raise InputError(f"{origin}: its {name} are {shown(number)}; expected a whole number from {least}")
    options = options_of_model(said.get("model") or {}, f"{origin}: its model")
    if options.n_way != len(labels):
        raise InputError(f"{origin}: {len(labels)} labels for a network of {options.n_way} classes; expected as many")
    network = Network(options.network, options.imgc, options.imgsz, options.n_way, options.seed)
    image = (options.imgc, options.imgsz, options.imgsz)
    support = _array(archive, origin, "support", ARRAYS["support"], (None, *image))
    numbers = _array(archive, origin, "numbers", ARRAYS["numbers"], (len(support),))
    evened = _array(archive, origin, "evened", ARRAYS["evened"], (None,))
    weights = [_array(archive, origin, f"weight{number}", "<f4",
                      (1, math.prod(parameter.shape[1:]), parameter.shape[0]))
               for number, parameter in enumerate(network.parameters)]
    centres = _array(archive, origin, "centres", ARRAYS["centres"], (len(labels), features_of(options) or len(labels)))
    _refuse_beyond(origin, "numbers", numbers, len(labels))
    _refuse_beyond(origin, "evened", evened, len(support))
    if not all(np.isfinite(values).all() for values in (*weights, centres)):
        raise InputError(f"{origin}: a weight is no finite number; expected only such")
    return Adapted(np.array(labels), support, numbers, evened, weights, centres, steps, views, said["model"],
                   _limits(said.get("limits"), origin))


def _limits(limits: Any, origin: str) -> Limits | None:
    if limits is None:
        return None
    if not are_numbers(limits, ("threshold", "temperature")) or limits["temperature"] <= 0:
        raise InputError(f"{origin}: its limits are {shown(limits)}; expected a threshold and a temperature above 0")
    return Limits(**limits)


def _read_said(archive, origin):
    """The part of the file that is text, as a dict."""
    name = "said.npy"
    if name not in archive.namelist() or archive.getinfo(name).file_size > MOST_TEXT:
        raise InputError(f"{origin}: an archive of something else; expected one that FewShotClassifier.save wrote")
    with archive.open(name) as file:
        text = np.lib.format.read_array(file, allow_pickle=False).tobytes().decode()
    said = parse_json(text, origin)
    if not isinstance(said, dict) or said.get("format") != FORMAT or not isinstance(said.get("model"), dict):
        raise InputError(f"{origin}: not of the format {FORMAT!r}; expected a file that this version writes")
    return said


def _are_labels(labels: Any) -> bool:
    return isinstance(labels, list) and len(labels) > 1 and type(labels[0]) in KINDS and \
        all(type(label) is type(labels[0]) for label in labels) and len(set(labels)) == len(labels)


def _array(archive: zipfile.ZipFile, origin: str, name: str, kind: str, shape: Sequence[int | None]) -> np.ndarray:
    """An array of the file, whose type and shape (None: any length) are looked at before its numbers are."""
    with archive.open(f"{name}.npy") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise InputError(f"{origin}: {name} is no array of NumPy's format 1.0; expected one")
        found, _, dtype = np.lib.format.read_array_header_1_0(file)
    fits = len(found) == len(shape) and all(length in (None, has) for length, has in zip(shape, found))
    if not fits or dtype != np.dtype(kind) or math.prod(found) * dtype.itemsize > MOST_BYTES or 0 in found:
        raise InputError(f"{origin}: {name} is {dtype} {shown(found)}; expected {np.dtype(kind)} "
                         f"{tuple('any' if length is None else length for length in shape)}")
    if archive.getinfo(f"{name}.npy").file_size > math.prod(found) * dtype.itemsize + LONGEST_HEADER:
        raise InputError(f"{origin}: {name} holds more than its shape {shown(found)}; expected no more")
    with archive.open(f"{name}.npy") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _refuse_beyond(origin, name, values, count):
    if values.min() < 0 or values.max() >= count:
        raise InputError(f"{origin}: {name} has values from {values.min()} to {values.max()}; expected 0 to "
                         f"{count - 1}")
