"""FewShotClassifier: a trained MAML as a classifier of any images, in scikit-learn's conventions."""
import contextlib
import functools
import inspect
import os
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Tensor
from PIL import Image

from mindspore_maml.cli.command_line import options_of_call
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import BY_NAME, EVAL
from mindspore_maml.data.images import Picture, read_images
from mindspore_maml.data.own_classes import class_folders, pictures_in
from mindspore_maml.devices import device
from mindspore_maml.meta import SUPPORT, Meta, changing
from mindspore_maml.OmniglotIter import to_values
from mindspore_maml.training import checkpoint
from mindspore_maml.training.from_options import load_trained

STEPS = BY_NAME["update_step_test"]
Images = Sequence[Picture] | np.ndarray   # files, or what was read from them
KEPT = 16    # trained networks in memory, for as many numbers of classes
BLOCK = 16   # images classified at a time, where they do not depend on each other


class FewShotClassifier:
    """Adapts a trained MAML to a few images of each class, and says of other images which class they show.

    The number of classes is that of the labels, whatever the checkpoint was trained on (see `src/training/head.py`),
    and each class may have a number of images of its own, from one up. Those of smaller classes are taken several times
    over, for all classes to weigh the same: else the larger ones win.

    Images are a sequence of paths, Pillow images or arrays, mixed as they come, or one array of them (see
    `mindspore_maml.data.images.read_picture`): of any size, grey or in colour, ink dark or light.

    Parameters
    ----------
    ckpt : str or Path
        A checkpoint, or a folder of them.
    steps : int, optional
        Inner steps; by default those the trained model is evaluated with.
    rate : float, optional
        Inner learning rate; by default that of the training.
    statistics : str
        Of which images batch normalisation takes mean and variance: "support", of those that `fit` was given, so that
        the answer for an image depends on no other; "query", of all images of a call together: more accurate for a
        network trained so, where a call has many images of all classes, and of no use for a single one.
    preset : str, optional
        A preset for checkpoints of other programs, which hold weights alone; by default `maml`. What it says wins.

    Attributes
    ----------
    classes_ : ndarray, [class]
        The labels, each once: sorted, or where they cannot be, in the order they came.
    steps_ : int
        The inner steps that `fit` took.
    support_ : ndarray of uint8, [image, imgc, imgsz, imgsz]
        The support images as the network sees them, and
    numbers_ : ndarray of int32, [image]
        the numbers of their classes.
    evened_ : ndarray of int, [image]
        Those among them that the inner loop takes, some several times.
    weights_ : list of ndarray of float32
        The adapted weights, [1, in, out] each, in the order of the network's parameters.
    """

    _estimator_type = "classifier"   # for scikit-learn before 1.6, as `__sklearn_tags__` is for later ones

    def __init__(self, ckpt: str | Path, *, steps: int | None = None, rate: float | None = None,
                 statistics: str = SUPPORT, preset: str | None = None):
        self.ckpt, self.steps, self.rate, self.statistics, self.preset = ckpt, steps, rate, statistics, preset

    def fit(self, images: Images, labels: Sequence) -> "FewShotClassifier":
        """Adapt to the images of a support set.

        Parameters
        ----------
        images : sequence
            As the class says.
        labels : sequence
            A label for each, of any kind.

        Raises
        ------
        InputError
            Where there are not as many labels as images, fewer than two classes, an image that cannot be read, or no
            such checkpoint.
        """
        images, labels = as_sequence(images), list(labels)
        if len(images) != len(labels):
            raise InputError(f"{len(images)} images and {len(labels)} labels; expected a label for every image")
        classes, numbers = distinct(labels)
        if len(classes) < 2:
            raise InputError(f"{len(classes)} classes among {len(labels)} labels; expected at least 2")
        meta, options = self._trained_for(len(classes))
        support, evened = read_images(images, options.imgsz, options.imgc)[0], even(numbers)
        steps = options.update_step_test if self.steps is None else STEPS.convert(self.steps, "steps")
        weights = meta.adapt(image_values(support[evened], options), numbers[evened][None], steps)
        # All at once: where something above fails, a classifier fitted before stays what it was.
        self.classes_, self.numbers_, self.support_, self.evened_ = classes, numbers, support, evened
        self.steps_, self.weights_ = steps, [weight.asnumpy() for weight in weights]
        return self

    def read(self, images: Images, skip_damaged: bool = False) -> tuple[np.ndarray, list]:
        """Images as a fitted classifier sees them.

        Parameters
        ----------
        images : sequence
            As the class says.
        skip_damaged : bool
            Whether to leave out what cannot be read, with a warning, or to refuse it.

        Returns
        -------
        pixels : ndarray of uint8, [image, imgc, imgsz, imgsz]
            Ink 255, paper 0.
        kept : list of int
            Which of the images they are.
        """
        _, options = self.trained()
        return read_images(as_sequence(images), options.imgsz, options.imgc, skip_damaged)

    def predict_proba(self, images: Images) -> np.ndarray:
        """Probabilities [image, class] (float64), the classes in the order of `classes_`."""
        return self.probabilities(self.read(images)[0])

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """As `predict_proba`, of images that `read` has read."""
        count = len(pixels)
        if not count:
            return np.empty((0, len(self.classes_)))
        meta, options = self.trained()
        weights = changing(tuple(map(Tensor, self.weights_)))
        support, block = image_values(self.support_[self.evened_], options), len(pixels)
        if self.statistics == SUPPORT:
            block = BLOCK   # of one size, filled up with anything: one graph for all
            pixels = np.concatenate([pixels, np.zeros((-len(pixels) % block, *pixels.shape[1:]), np.uint8)])
        logits = [meta.predict(weights, image_values(pixels[first:first + block], options), support).asnumpy()[0]
                  for first in range(0, len(pixels), block)]
        return softmax(np.concatenate(logits)[:count].astype(np.float64))

    def predict(self, images: Images) -> np.ndarray:
        """The most probable class of every image, [image]."""
        probabilities = self.predict_proba(images)
        return self.classes_[probabilities.argmax(axis=1)]

    def score(self, images: Images, labels: Sequence) -> float:
        """The part of the images whose class is found, 0 to 1."""
        found = self.predict(images)
        return float(np.mean([label == expected for label, expected in zip(found, labels, strict=True)]))

    def get_params(self, deep: bool = True) -> dict:
        """What the constructor was called with, by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **parameters: Any) -> "FewShotClassifier":
        """Change some of `get_params`; they count from the next `fit` on."""
        if unknown := parameters.keys() - self.get_params().keys():
            raise InputError(f"unknown parameter {sorted(unknown)[0]}; expected some of {', '.join(self.get_params())}")
        vars(self).update(parameters)
        return self

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, Tags, TargetTags  # noqa: PLC0415 - scikit-learn alone calls this
        return Tags(estimator_type="classifier", target_tags=TargetTags(required=True),
                    classifier_tags=ClassifierTags())

    def __repr__(self) -> str:
        changed = [f"{name}={value!r}" for name, value in self.get_params().items() if value is not None]
        return f"{type(self).__name__}({', '.join(changed)})"

    def trained(self) -> tuple[Meta, Namespace]:
        """The trained network for as many classes as there are, and its options."""
        if not hasattr(self, "classes_"):
            raise InputError("this classifier has seen no support images yet; expected a call of fit first")
        return self._trained_for(len(self.classes_))

    def _trained_for(self, n_way):
        path = checkpoint.find(self.ckpt)
        return _load(path, path.stat().st_mtime_ns, n_way, self.rate, self.statistics, self.preset)


def learn_from_folder(options: Namespace) -> FewShotClassifier:
    """A classifier adapted to the images in `options.support`, a folder a class, whose names are the labels.

    Raises
    ------
    InputError
        Where there are fewer than two classes, one without images, or an image that cannot be read.
    """
    files = {folder.name: pictures_in(folder) for folder in class_folders(options.support, "--support")}
    empty = [name for name, paths in files.items() if not paths]
    if empty:
        raise InputError(f"--support {options.support}: {empty[0]} holds no images; expected at least one of each "
                         f"class")
    if len(files) < 2:
        raise InputError(f"--support {options.support}: holds one class; expected at least 2")
    return classifier_for(options).fit([path for paths in files.values() for path in paths],
                                       [name for name, paths in files.items() for _ in paths])


def classifier_for(options: Namespace) -> FewShotClassifier:
    """A classifier of the checkpoint that a program's options name, to be fitted."""
    by_hand = {parameter: getattr(options, name) if name in options.given else None for parameter, name in
               (("steps", "update_step_test"), ("rate", "update_lr"), ("preset", "preset"))}
    return FewShotClassifier(options.ckpt, statistics=getattr(options, "statistics", SUPPORT), **by_hand)


@functools.lru_cache(maxsize=KEPT)
def _load(path: Path, modified: int, n_way: int, rate: float | None, statistics: str,
          preset: str | None) -> tuple[Meta, Namespace]:
    """A checkpoint's meta-learner for `n_way` classes, and its options. Kept with the graphs it has compiled."""
    device.set_up_unless_done()
    given = {"ckpt": str(path), "preset": preset, "n_way": n_way, "task_num": 1, "update_lr": rate,
             "statistics": statistics}
    options = options_of_call(EVAL, {name: value for name, value in given.items() if value is not None})
    meta, _ = load_trained(options)
    return meta, options


def image_values(pixels: np.ndarray, options: Namespace) -> np.ndarray:
    """Images of `read` as the network takes them, float32 [1, image, imgc, imgsz, imgsz]."""
    return to_values(pixels[None], options.ink, options.paper)


def as_sequence(images: Images) -> Any:
    """A sequence of images as one that has a length; refuses a single one, for which it is easily taken."""
    if isinstance(images, (str, os.PathLike, Image.Image)) or (hasattr(images, "ndim") and images.ndim < 3
                                                               and np.asarray(images).dtype.kind in "uif"):
        raise InputError("a single image; expected a sequence of images, such as a list")
    return images if hasattr(images, "__len__") else list(images)


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
    return np.concatenate([np.resize(each, max(map(len, places))) for each in places])


def _as_array(labels):
    """Labels as an array [label], of objects where NumPy would make something else of them."""
    array = np.array(labels) if all(isinstance(label, type(labels[0])) for label in labels) else None
    if array is not None and array.ndim == 1 and array.dtype.kind in "biufUS":
        return array
    array = np.empty(len(labels), object)
    array[:] = labels
    return array


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities from logits [..., class]."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
