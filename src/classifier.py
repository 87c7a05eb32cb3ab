"""FewShotClassifier: a trained MAML as a classifier of any images, in scikit-learn's conventions."""
import functools
import inspect
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Tensor
from PIL import Image
from scipy.special import softmax

from mindspore_maml.adapted import Adapted, features_of, handing_on, model_of, options_of_model, read
from mindspore_maml.cli.command_line import options_of_call
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.messages import log
from mindspore_maml.cli.options import BY_NAME, EVAL
from mindspore_maml.cli.run_options import Options
from mindspore_maml.crossentropy import log_probabilities
from mindspore_maml.data.images import Picture, read_images
from mindspore_maml.data.views import ASKED, labels_of_views, views_alike, views_by_default
from mindspore_maml.devices import device
from mindspore_maml.devices.turns import taking_turns
from mindspore_maml.inner_loop import SUPPORT
from mindspore_maml.labels import distinct, even
from mindspore_maml.layers.network import Network
from mindspore_maml.meta import Meta, changing
from mindspore_maml.OmniglotIter import to_values
from mindspore_maml.training import checkpoint
from mindspore_maml.training.from_options import load_trained, make_meta
from mindspore_maml.unknown import FILE_NAME, centres, familiarity, limits_of

STEPS, VIEWS = BY_NAME["update_step_test"], BY_NAME["views"]
Images = Sequence[Picture] | np.ndarray   # files, or what was read from them
KEPT = 8     # networks with compiled graphs in memory, for learning and for answering each; some 70 MB each
BLOCK = 16   # images classified at a time, where they do not depend on each other


class FewShotClassifier:
    """Adapts a trained MAML to a few images of each class, and says of other images which class they show.

    The number of classes is that of the labels, whatever the checkpoint was trained on (see `src/training/head.py`),
    and each class may have a number of images of its own, from one up. Those of smaller classes are taken several times
    over, for all classes to weigh the same: else the larger ones win. Every new pair of numbers, of classes and of
    images a class, is compiled anew, which takes some seconds and memory; so beyond eight images a class some are
    repeated to fill up to the next of 10, 12, 14, 16, 20, 24, ..., and what was unused for longest is let go. Any
    number of threads may use one classifier or several: they take turns.

    Images are a sequence of paths, Pillow images or arrays, mixed as they come, or one array of them (see
    `mindspore_maml.data.images.read_picture`): of any size, grey or in colour, ink
    dark or light.

    Parameters
    ----------
    ckpt : str or Path, optional
        A checkpoint, or a folder of them; by default the published network that comes with the package.
    steps : int, optional
        Inner steps; by default those the trained model is evaluated with.
    rate : float, optional
        Inner learning rate; by default that of the training, times the number of classes over that trained with.
    statistics : str
        Of which images batch normalisation takes mean and variance: "support", of those that `fit` was given, so that
        the answer for an image depends on no other; "query", of all images of a call together: more accurate for a
        network trained so, where a call has many images of all classes, and of no use for a single one.
    preset : str, optional
        A preset for checkpoints of other programs, which hold weights alone; by default `maml`. What it says wins.
    pictures : str, optional
        What images show: "drawings", each fitted to what training drawings look like, or "photographs", taken as they
        are; by default what the network was trained on.
    views : int, optional
        Each example is learned as it is and in so many slightly changed copies less one, and each question answered by
        the mean of the log-probabilities of as many; 1: as they are alone. By default as many as `views_by_default`
        says. The changes are always the same, and so are the answers.

    Attributes
    ----------
    adapted_ : Adapted
        What `fit` has learned (`src/adapted.py`), of which the following are parts.
    classes_ : ndarray, [class]
        The labels, each once: sorted, or where they cannot be, in the order they came.
    support_, numbers_ : ndarray
        The support images as the network sees them, uint8 [image, imgc, imgsz, imgsz], and their classes' numbers.
    steps_ : int
        The inner steps that `fit` took.
    """

    _estimator_type = "classifier"   # for scikit-learn before 1.6, as `__sklearn_tags__` is for later ones

    def __init__(self, ckpt: str | Path | None = None, *, steps: int | None = None, rate: float | None = None,
                 statistics: str = SUPPORT, preset: str | None = None, pictures: str | None = None,
                 views: int | None = None):
        self.ckpt, self.steps, self.rate, self.statistics, self.preset = ckpt, steps, rate, statistics, preset
        self.pictures, self.views = pictures, views

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
        evened = even(numbers)
        views = self._views_of(evened)
        with taking_turns():
            meta, path, options = self._trained_for(len(classes), views * len(evened))
        support = read_images(images, options.imgsz, options.imgc, options.images)[0]
        steps = options.update_step_test if self.steps is None else STEPS.convert(self.steps, "steps")
        limits = limits_of(path, len(classes), len(labels) / len(classes))
        learned = Adapted(classes, support, numbers, evened, [], np.empty(0), steps, views, model_of(options), limits)
        with taking_turns():
            weights = meta.adapt(image_values(learned.taken, options),
                                 labels_of_views(numbers[evened][None], views), steps)
            weights = [finite(weight.asnumpy(), f"a weight after {steps} inner steps") for weight in weights]
        learned = replace(learned, weights=weights)
        own = self._pass(learned, support)[1]
        # At once: where something above fails, and for other threads, a classifier fitted before stays what it was.
        self.adapted_ = replace(learned, centres=centres(own, numbers).astype(np.float32))
        return self

    def warm_up(self, n_way: int, n_images: int = 1) -> "FewShotClassifier":
        """Compile what `fit` and `predict` need for `n_way` classes of `n_images` images each."""
        numbers = even(np.repeat(np.arange(n_way, dtype=np.int32), n_images))
        with taking_turns():
            _, _, options = self._trained_for(n_way, self._views_of(numbers) * len(numbers))
        stroke = 255 * np.eye(options.imgsz, dtype=np.uint8)   # anything that can be seen
        labels = list(np.repeat(range(n_way), n_images))
        copy = type(self)(**self.get_params()).fit([stroke] * len(labels), labels)
        copy.probabilities(copy.support_[:1])
        return self

    def read(self, images: Images, skip_damaged: bool = False, blank: list | None = None) -> tuple[np.ndarray, list]:
        """Images as a fitted classifier sees them.

        Parameters
        ----------
        images : sequence
            As the class says.
        skip_damaged : bool
            Whether to leave out what cannot be read, with a warning, or to refuse it.
        blank : list, optional
            Takes the numbers of images that show nothing, which are left out then, without a word.

        Returns
        -------
        pixels : ndarray of uint8, [image, imgc, imgsz, imgsz]
            Ink 255, paper 0.
        kept : list of int
            Which of the images they are.
        """
        options = self.options()
        return read_images(as_sequence(images), options.imgsz, options.imgc, options.images, skip_damaged, blank)

    def predict_proba(self, images: Images) -> np.ndarray:
        """Probabilities [image, class] (float64), the classes in the order of `classes_`."""
        return self.probabilities(self.read(images)[0])

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """As `predict_proba`, of images that `read` has read."""
        learned = self._learned()
        return _calibrated(learned, self._pass(learned, pixels)[0])

    def score_samples(self, images: Images) -> np.ndarray:
        """How familiar images are beside the classes learned, [image]; higher is more (`src/unknown.py`)."""
        learned = self._learned()
        return familiarity(self._pass(learned, self.read(images)[0])[1], learned.centres)

    def answers(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities [image, class] of images that `read` has read, and whether each shows a class learned, [image].

        Raises
        ------
        InputError
            Where the latter was not measured for the network.
        """
        learned = self._learned()
        if learned.limits is None:
            raise InputError(f"{self.ckpt or 'this network'}: has no {FILE_NAME} beside it, which says from where on "
                             f"an image shows none of the classes; expected one that benchmarks/unknown.py --write "
                             f"writes")
        logits, features = self._pass(learned, pixels)
        return _calibrated(learned, logits), familiarity(features, learned.centres) >= learned.limits.threshold

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        """Log-probabilities [image, class] (float64) of images that `read` has read, before the temperature."""
        return self._pass(self._learned(), pixels)[0]

    def _pass(self, learned, pixels):
        """Log-probabilities [image, class] and features [image, feature], float64: means over an image's views."""
        options = options_of_model(learned.model, "the classifier's model")
        count, ways = len(pixels), len(learned.classes)
        if not count:
            return np.empty((0, ways)), np.empty((0, learned.centres.shape[-1]))
        many = views_alike(pixels, learned.views, ASKED)                               # [view x image, ...]
        block = count
        if options.statistics == SUPPORT:
            block = BLOCK   # of one size, filled up with anything: one graph for all
            many = np.concatenate([many, np.zeros((-len(many) % block, *many.shape[1:]), np.float32)])
        support = image_values(learned.taken, options)
        with taking_turns():
            meta = _to_answer(json.dumps(learned.model), len(learned.taken), block)
            weights = changing(tuple(map(Tensor, handing_on(learned.weights, options))))
            found = [meta.predict(weights, image_values(many[first:first + block], options), support).asnumpy()[0]
                     for first in range(0, len(many), block)]
        found = finite(np.concatenate(found)[:count * learned.views], "an answer of the network").astype(np.float64)
        features = (found[:, ways:] if found.shape[1] > ways else found).reshape(learned.views, count, -1)
        return log_probabilities(found[:, :ways], learned.views), features.mean(axis=0)

    def predict(self, images: Images, unknown: Any = None) -> np.ndarray:
        """The most probable class of every image, [image].

        Parameters
        ----------
        images : sequence
            As the class says.
        unknown : object, optional
            The label of images that show none of the classes, among them those that show nothing at all; by default
            every image is given a class, and one that shows nothing is refused.
        """
        if unknown is None:
            best = self.predict_proba(images).argmax(axis=1)   # first: it says where nothing was learned
            return self.classes_[best]
        images = as_sequence(images)
        pixels, shown = self.read(images, blank=[])
        probabilities, known = self.answers(pixels)
        found = np.full(len(images), unknown, object)
        found[np.array(shown, int)[known]] = self.classes_[probabilities[known].argmax(axis=1)]
        return found

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

    @property
    def classes_(self) -> np.ndarray:
        """The labels, each once."""
        return self.adapted_.classes

    @property
    def support_(self) -> np.ndarray:
        """The support images as the network sees them."""
        return self.adapted_.support

    @property
    def numbers_(self) -> np.ndarray:
        """The number of each support image's class."""
        return self.adapted_.numbers

    @property
    def steps_(self) -> int:
        """The inner steps that `fit` took."""
        return self.adapted_.steps

    def options(self) -> Options:
        """The options of the model that a fitted classifier has adapted."""
        learned = self._learned()
        return options_of_model(learned.model, "the classifier's model")

    def network(self) -> Network:
        """The network whose weights `adapted_.weights` are; its own values are of no meaning."""
        options = self.options()
        return Network(options.network, options.imgc, options.imgsz, options.n_way, options.seed)

    def save(self, path: str | Path) -> None:
        """Write what was learned to one file, which `load` reads anywhere, without the checkpoint.

        Raises
        ------
        InputError
            Where it was not fitted, a label is no text, number or truth value, or the file cannot be written.
        """
        self._learned().save(path)

    @classmethod
    def load(cls, path: str | Path) -> "FewShotClassifier":
        """A fitted classifier from a file that `save` wrote; what is in it is checked.

        Raises
        ------
        InputError
            Where there is no such file, or it is damaged.
        """
        model = cls()
        model.adapted_ = read(path)
        model.statistics = model.options().statistics
        return model

    def __getstate__(self) -> dict:
        """For pickling: the checkpoint by a path that is the same from every folder."""
        return vars(self) | {"ckpt": self.ckpt and str(Path(self.ckpt).resolve())}

    def _learned(self):
        learned = vars(self).get("adapted_")
        if learned is None:
            raise InputError("this classifier has seen no support images yet; expected a call of fit first")
        return learned

    def _views_of(self, examples):
        return VIEWS.convert(self.views or 0, "views") or views_by_default(len(examples))

    def _trained_for(self, n_way, images):
        path = checkpoint.find(self.ckpt or checkpoint.published())
        return _to_learn(path, path.stat().st_mtime_ns, n_way, images, self.rate, self.statistics, self.preset,
                         self.pictures)


_say_once = functools.cache(log.info)   # of a checkpoint, and not again for every size


@functools.lru_cache(maxsize=KEPT)
def _to_learn(path: Path, modified: int, n_way: int, images: int, rate: float | None, statistics: str,
              preset: str | None, pictures: str | None) -> tuple[Meta, Path, Options]:
    """A meta-learner for `n_way` classes, its checkpoint, its options. Kept with its graph for so many images."""
    device.set_up_unless_done()
    given = {"ckpt": str(path), "preset": preset, "n_way": n_way, "task_num": 1, "update_lr": rate,
             "statistics": statistics, "images": pictures}
    options = options_of_call(EVAL, {name: value for name, value in given.items() if value is not None})
    meta, loaded, options = load_trained(options, _say_once)
    return meta, loaded.path, options


@functools.lru_cache(maxsize=KEPT)
def _to_answer(model: str, support: int, images: int) -> Meta:
    """A model's network, whose weights are to be passed in. Kept with its graph for so many images."""
    device.set_up_unless_done()
    options = options_of_model(json.loads(model), "the classifier's model")
    return make_meta(options.but(n_way=options.n_way + features_of(options)))


def image_values(pixels: np.ndarray, options: Options) -> np.ndarray:
    """Images of `read` as the network takes them, float32 [1, image, imgc, imgsz, imgsz]."""
    return to_values(pixels[None], options.ink, options.paper)


def as_sequence(images: Images) -> Any:
    """A sequence of images as one that has a length; refuses a single one, for which it is easily taken."""
    if isinstance(images, (str, os.PathLike, Image.Image)) or (hasattr(images, "ndim") and images.ndim < 3
                                                               and np.asarray(images).dtype.kind in "uif"):
        raise InputError("a single image; expected a sequence of images, such as a list")
    return images if hasattr(images, "__len__") else list(images)


def finite(values: np.ndarray, what: str) -> np.ndarray:
    """`values`, unless one of them is no finite number.

    Raises
    ------
    InputError
        With `what` they are.
    """
    if not np.isfinite(values).all():
        raise InputError(f"{what} is no finite number; expected a smaller inner learning rate, or another checkpoint")
    return values


def _calibrated(learned, logits):
    return softmax(logits / (learned.limits.temperature if learned.limits else 1), axis=-1)
