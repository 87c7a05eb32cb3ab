"""Tasks of pictures that were read before, judged many at a time as `FewShotClassifier` judges one."""
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from mindspore import Tensor
from PIL import Image

from mindspore_maml.adapted import features_of, handing_on
from mindspore_maml.cli.command_line import options_of_call
from mindspore_maml.cli.options import EVAL
from mindspore_maml.cli.run_options import Options
from mindspore_maml.crossentropy import log_probabilities
from mindspore_maml.data.drawings import NoInkError, fit_drawing
from mindspore_maml.data.views import ASKED, LEARNED, views_alike, views_by_default
from mindspore_maml.data_preprocess import characters_in, unpacked
from mindspore_maml.devices import device
from mindspore_maml.meta import Meta, changing
from mindspore_maml.Omniglot import ARCHIVES, FOLDERS, find, search
from mindspore_maml.OmniglotIter import OMNIGLOT_TRAIN_CLASSES, to_values
from mindspore_maml.training.checkpoint import published
from mindspore_maml.training.evaluation import mean_and_interval
from mindspore_maml.training.from_options import load_trained

ROOT = Path(__file__).resolve().parent.parent
CKPT = published()   # that of the package
VALIDATION, TEST = slice(1036, OMNIGLOT_TRAIN_CLASSES), slice(OMNIGLOT_TRAIN_CLASSES, None)   # of sorted characters
AT_ONCE, IMAGES = 16, 2500   # tasks judged at a time, and images of them all, at most
SIDE = 28      # pixels of the networks judged


def trained(ckpt: Path, n_way: int, k_spt: int) -> tuple[Meta, Options]:
    """A network for tasks of so many classes and examples, with the statistics of the support images."""
    device.set_up_unless_done()
    options = options_of_call(EVAL, {"ckpt": str(ckpt), "n_way": n_way, "k_spt": k_spt, "task_num": 1,
                                     "statistics": "support"})
    meta, _, options = load_trained(options)
    return meta, options


def answers(ckpt: Path, support: np.ndarray, query: np.ndarray, views: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities [task, image, class] and features [task, image, feature], means over so many views.

    Parameters
    ----------
    support : ndarray of uint8, [task, class, example, height, width]
    query : ndarray of uint8, [task, image, height, width]
        Any number of tasks, judged several at a time; the last ones are filled up.
    """
    ways, shots = support.shape[1:3]
    network = trained(ckpt, ways, shots)
    found = _by_views(network, trained(ckpt, ways + features_of(network[1]), shots)[0], support, query, views)
    features = np.mean(np.split(found[..., ways:], views, axis=1), axis=0)
    return log_probabilities(found[..., :ways], views), features


def _by_views(network, to_answer, support, query, views):
    """What `to_answer` makes [task, view x image, ...] of query images once `network` has learned the examples."""
    meta, options = network
    tasks, ways, shots = support.shape[:3]
    at_once = max(1, min(AT_ONCE, IMAGES // (views * (ways * shots + query.shape[1]))))
    more = -tasks % at_once
    images = [np.concatenate([part, part[np.zeros(more, int)]]).reshape(tasks + more, -1, 1, *part.shape[-2:])
              for part in (support, query)]
    labels = np.tile(np.repeat(np.arange(ways, dtype=np.int32), shots), (at_once, views))
    found = []
    for first in range(0, tasks, at_once):
        x_spt, x_qry = (np.stack([views_alike(of_task, views, seed) for of_task in part[first:first + at_once]])
                        for part, seed in zip(images, (LEARNED, ASKED)))
        x_spt, x_qry = (to_values(part, options.ink, options.paper) for part in (x_spt, x_qry))
        weights = meta.adapt(x_spt, labels, options.update_step_test)
        if to_answer is not meta:
            weights = map(Tensor, handing_on([weight.asnumpy() for weight in weights], options))
        found.append(to_answer.predict(changing(tuple(weights)), x_qry, x_spt).asnumpy())
    return np.concatenate(found)[:tasks]


def draw(examples: np.ndarray, others: np.ndarray, n_way: int, k_spt: int, k_qry: int, tasks: int,
         seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Support [task, class, example, ...] and query images [task, class, image, ...] of tasks drawn at random.

    `examples` and `others` are the same drawings [class, drawing, height, width], read from other pictures of them.
    """
    rng = np.random.default_rng(seed)
    classes = rng.random((tasks, len(examples))).argsort(axis=1)[:, :n_way, None]
    drawings = rng.random((tasks, n_way, examples.shape[1])).argsort(axis=2)[:, :, :k_spt + k_qry]
    return examples[classes, drawings[..., :k_spt]], others[classes, drawings[..., k_spt:]]


def accuracy(network: tuple[Meta, Options], support: np.ndarray, query: np.ndarray) -> tuple[float, float]:
    """The mean accuracy, in per cent, of tasks of `draw`, and half the width of its 95 % interval.

    Answers are by as many views as the classifier takes by default.
    """
    tasks, ways, per_class = query.shape[:3]
    asked, views = query.reshape(tasks, ways * per_class, *query.shape[3:]), views_by_default(ways * support.shape[2])
    best = log_probabilities(_by_views(network, network[0], support, asked, views), views).argmax(axis=2)
    mean, interval = mean_and_interval((best == np.repeat(np.arange(ways), per_class)).mean(axis=1))
    return 100 * mean, 100 * interval


def fitted(pictures: Iterable[Image.Image]) -> np.ndarray:
    """Pictures as the network takes them, [picture, side, side]; what shows no ink is blank."""
    return np.stack([_fitted(picture) for picture in pictures])


def _fitted(picture):
    try:
        return fit_drawing(picture, SIDE)
    except NoInkError:
        return np.zeros((SIDE, SIDE), np.uint8)


def all_drawings(data_path: str) -> Iterator[np.ndarray]:
    """Each character's drawings as Omniglot has them, bool [drawing, 105, 105], in sorted order, from its folders."""
    source = unpacked(search(data_path, (FOLDERS, ARCHIVES)) or find(data_path))
    for character in characters_in(source):
        yield np.stack([~np.asarray(Image.open(path).convert("1")) for path in sorted(character.glob("*.png"))])


def drawings_of(data_path: str, part: slice, classes: int, drawings: int, seed: int = 1) -> np.ndarray:
    """Some drawings of some characters as Omniglot has them, bool [class, drawing, 105, 105], from its folders."""
    source = unpacked(search(data_path, (FOLDERS, ARCHIVES)) or find(data_path))
    characters = characters_in(source)[part]
    rng = np.random.default_rng(seed)
    chosen = [characters[number] for number in rng.permutation(len(characters))[:classes]]
    return np.stack([[~np.asarray(Image.open(path).convert("1"))
                      for path in rng.permutation(sorted(character.glob("*.png")))[:drawings]] for character in chosen])


def in_processes(work: Callable, parts: Iterable, processes: int = 2) -> list:
    """What `work` gives for each part, in their order; to be called before MindSpore has run anything."""
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(work, parts))
