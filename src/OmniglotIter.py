"""Episodes: which characters, which drawings, which labels. Seeded, and able to go on where a run stopped."""
from collections.abc import Sequence

import numpy as np

from mindspore_maml.cli.errors import InputError
from mindspore_maml.data.augmentation import augment
from mindspore_maml.data.class_images import Classes, ClassImages, counts_of, in_a_row

LEAST_CONTRAST = 0.001   # of ink and paper, as a part of the larger one
OMNIGLOT_CLASSES, OMNIGLOT_TRAIN_CLASSES = 1623, 1200   # the split of the MAML paper (Finn et al., 2017, section 5.2)
Batch = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]   # x_spt, y_spt, x_qry, y_qry


def split_classes(images: Classes, n_train_classes: int = 0, split: str = "sorted",
                  split_seed: int = 0) -> tuple[Classes, Classes]:
    """Divide a data set into characters to train on and characters to test on.

    Parameters
    ----------
    images : ndarray, shape (classes, ...), or ClassImages
        The whole data set; characters along the first axis.
    n_train_classes : int
        How many characters train; 0 takes 1200 of Omniglot's 1623, and that proportion of any other number, or what
        `ClassImages` say.
    split : str
        "sorted": the first ones train; "background": so too, `n_train_classes` being Omniglot's background set;
        "shuffled": a random choice.
    split_seed : int
        Seed of the random choice.

    Returns
    -------
    train_images, test_images : ndarray or ClassImages
        Disjoint, and together all of `images`. Views where the split is sorted.

    Raises
    ------
    InputError
        Where no character would be left for one of the two.
    """
    classes = len(images)
    told = images.n_train if isinstance(images, ClassImages) else 0
    n_train = n_train_classes or told or round(classes * OMNIGLOT_TRAIN_CLASSES / OMNIGLOT_CLASSES)
    if not 0 < n_train < classes:
        raise InputError(f"--n_train_classes {n_train_classes}: the data set has {classes} characters; expected "
                         f"1 to {classes - 1}, so that both training and testing have some")
    if split == "shuffled":
        order = np.random.default_rng(split_seed).permutation(classes)
        return images[order[:n_train]], images[order[n_train:]]
    return images[:n_train], images[n_train:]


class OmniglotIter:
    """Batches of few-shot tasks.

    Batch number i depends on `seed` and i alone, so any batch can be drawn without those before it, and the state
    of a run is its seed and the number of batches drawn.

    Parameters
    ----------
    images : ndarray of uint8, shape (classes, drawings, imgc, imgsz, imgsz), or ClassImages
        The characters to draw from, already split; ink 255, paper 0. Each is drawn from all the images it has.
    n_way : int
        Classes in a task.
    k_spt, k_qry : int
        Support and query images of each class.
    task_num : int
        Tasks in a batch.
    batches : int
        The number of the batch after the last one.
    seed : int or sequence of int
        Seed of everything drawn.
    rotate : bool
        Whether to turn each class of a task, support and query alike, by a random multiple of 90 degrees.
    augment : float
        Strength of the random affine change of every image by itself (see `src/data/augmentation.py`); 0: none.
    elastic : float
        Strength of the random elastic change beside it; 0: none.
    ink, paper : float
        Their values in the images given out.
    alphabets : ndarray of int, [class], optional
        Each class's alphabet; needed where `within_alphabet` is not 0.
    within_alphabet : float
        How probable it is that a task's classes are of one alphabet, that of a random class. One that has too few of
        them is filled up from others.
    same_drawer : bool
        Whether drawing number i is the same person's in all classes of a task, as it is in an alphabet of Omniglot.

    Raises
    ------
    InputError
        Where the data set has too few classes or drawings, or ink cannot be told from paper.

    Yields
    ------
    x_spt, x_qry : ndarray of float32, shape (task_num, n_way * k, imgc, imgsz, imgsz)
        Images, from `paper` to `ink`.
    y_spt, y_qry : ndarray of int32, shape (task_num, n_way * k)
        Labels, from 0 to n_way - 1. The order yielded is x_spt, y_spt, x_qry, y_qry.
    """

    def __init__(self, images: Classes, *, n_way: int, k_spt: int, k_qry: int, task_num: int, batches: int,
                 seed: int | Sequence[int], rotate: bool = False,
                 augment: float = 0.0, elastic: float = 0.0, ink: float = 1.0, paper: float = 0.0,
                 alphabets: np.ndarray | None = None, within_alphabet: float = 0.0, same_drawer: bool = False):
        self.images, self.first = in_a_row(images)   # [image, imgc, imgsz, imgsz], [class]
        self.counts = counts_of(images)              # [class]
        classes = len(self.counts)
        if n_way > classes:
            divided = "of one's own classes, --val_fraction or --test_classes of data_preprocess.py say which test" \
                if isinstance(images, ClassImages) else "--n_train_classes divides them between training and testing"
            raise InputError(f"--n_way {n_way}: there are {classes} classes to draw from; expected at most that "
                             f"({divided})")
        if k_spt + k_qry > self.counts.min():
            raise InputError(f"--k_spt {k_spt} and --k_qry {k_qry} need {k_spt + k_qry} drawings of each character; "
                             f"the data set has {self.counts.min()}")
        refuse_alike(ink, paper)
        self.n_way, self.k_spt, self.k_qry, self.task_num = n_way, k_spt, k_qry, task_num
        self.batches, self.rotate, self.augment, self.elastic = batches, rotate, augment, elastic
        self.ink, self.paper, self.same_drawer = ink, paper, same_drawer
        self.alphabets, self.within_alphabet = alphabets, within_alphabet
        self._seed, self._start, self._drawn = seed, 0, 0

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> "OmniglotIter":
        """Start again: at batch 0, or at the one the state was last set to."""
        self._drawn = self._start
        return self

    def __next__(self) -> Batch:
        if self._drawn >= self.batches:
            raise StopIteration
        batch = self._batch(self._drawn)
        self._drawn += 1
        return batch

    @property
    def state(self) -> dict:
        """dict : `seed`, and the number of batches `drawn`; plain values that JSON keeps."""
        return {"seed": self._seed, "drawn": self._drawn}

    @state.setter
    def state(self, state: dict) -> None:
        self._seed = state["seed"]
        self._start = self._drawn = state["drawn"]

    def classes(self, number: int) -> np.ndarray:
        """The classes of batch `number`, [task, way]: which of `images` each label stands for."""
        return self._classes(self._generator(number))

    def _generator(self, number):
        return np.random.default_rng(np.append(self._seed, number))

    def _classes(self, rng):
        if self.within_alphabet:
            return self._classes_within(rng)
        return _distinct(rng, len(self.counts), (self.task_num, self.n_way))

    def _classes_within(self, rng):
        """[task, way], of one alphabet where a task is to be so, as far as that has enough."""
        if self.alphabets is None:
            raise InputError(f"--within_alphabet {self.within_alphabet:g}: these classes are of no known alphabets; "
                             f"expected Omniglot's characters")
        chosen = self.alphabets[rng.integers(len(self.counts), size=(self.task_num, 1))]   # [task, 1]
        within = rng.random((self.task_num, 1)) < self.within_alphabet
        draws = rng.random((self.task_num, len(self.counts)))
        draws[within & (self.alphabets != chosen)] += 1       # behind those of the alphabet
        classes = draws.argsort(axis=-1)[:, :self.n_way]
        return rng.permuted(classes, axis=-1)                 # what was filled up has any label

    def _batch(self, number):
        rng = self._generator(number)
        classes = self._classes(rng)                                   # [task, way]
        turns = rng.integers(4, size=classes.shape) if self.rotate else np.zeros_like(classes)
        shape = (self.task_num, 1 if self.same_drawer else self.n_way, self.k_spt + self.k_qry)
        drawn = self.counts[classes]                                   # images of each class, [task, way]
        drawings = _distinct(rng, drawn.min(axis=1, keepdims=True) if self.same_drawer else drawn, shape)
        drawings = np.repeat(drawings, self.n_way // shape[1], axis=1)
        drawings += self.first[classes][..., None]   # [task, way, k], as numbers in `images`
        support = self._draw(rng, turns, drawings[..., :self.k_spt])
        query = self._draw(rng, turns, drawings[..., self.k_spt:])
        return *support, *query

    def _draw(self, rng, turns, drawings):
        """Images and labels of every task, in random order; `drawings` [task, way, k], `turns` [task, way]."""
        rows = drawings.reshape(self.task_num, -1)                     # [task, way * k]
        order = rng.random(rows.shape).argsort(axis=1)
        labels = order // drawings.shape[-1]
        images = self.images[np.take_along_axis(rows, order, axis=1)]
        if self.rotate:
            _turn(images, np.take_along_axis(turns, labels, axis=1))
        if self.augment or self.elastic:
            images = augment(images, self.augment, rng, self.elastic)
        return to_values(images, self.ink, self.paper), labels.astype(np.int32)


def refuse_alike(ink: float, paper: float) -> None:
    """Refuse values of ink and paper that a network could hardly tell apart.

    Raises
    ------
    InputError
        Naming both.
    """
    if not abs(ink - paper) >= LEAST_CONTRAST * max(abs(ink), abs(paper)) or ink == paper:
        raise InputError(f"--ink {ink!r} and --paper {paper!r} are the same, or nearly; expected two different values")


class ImageIter(OmniglotIter):
    """Batches of single images of all classes, in the form of batches of tasks: what an ordinary classifier trains on.

    As many images a task as it would have query images, each of a random class, and no support images. With `rotate`
    a class turned by 90, 180 or 270 degrees is a class of its own.

    Attributes
    ----------
    labels : int
        How many classes there are; the labels y_qry are below it.
    """

    @property
    def labels(self) -> int:
        return len(self.counts) * (4 if self.rotate else 1)

    def _batch(self, number):
        rng = self._generator(number)
        labels = rng.integers(self.labels, size=(self.task_num, self.n_way * self.k_qry))   # [task, image]
        classes, turns = (labels // 4, labels % 4) if self.rotate else (labels, np.zeros_like(labels))
        images = self.images[self.first[classes] + rng.integers(self.counts[classes])]
        _turn(images, turns)
        if self.augment or self.elastic:
            images = augment(images, self.augment, rng, self.elastic)
        images, labels = to_values(images, self.ink, self.paper), labels.astype(np.int32)
        return images[:, :0], labels[:, :0], images, labels


def to_values(images: np.ndarray, ink: float, paper: float) -> np.ndarray:
    """uint8 images, ink 255 and paper 0, as the network sees them: float32 from `paper` to `ink`."""
    # Bytes are gathered and turned first: a quarter of the memory traffic that floats would cost.
    images = np.divide(images, np.float32(255), dtype=np.float32)
    if (paper, ink) == (0, 1):
        return images
    return np.float32(paper) + np.float32(ink - paper) * images


def _distinct(rng, high, shape):
    """Random whole numbers below `high`, distinct along the last axis of `shape`, every order equally likely.

    `high` is a number, or one for each of what `shape` counts before its last axis.
    """
    # The order matters as much as the choice: it decides which character gets which label.
    draws = rng.random((*shape[:-1], np.max(high)))
    if np.min(high) < np.max(high):
        draws[np.arange(draws.shape[-1]) >= np.expand_dims(high, -1)] = 2   # behind all others
    return draws.argsort(axis=-1)[..., :shape[-1]]


def _turn(images, turns):
    """Turn images [task, image, channel, height, width] in place by `turns` [task, image] quarters."""
    for quarters in (1, 2, 3):
        chosen = turns == quarters
        images[chosen] = np.rot90(images[chosen], quarters, axes=(-2, -1))
