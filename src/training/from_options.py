"""The parts of a run put together as its options say: characters, episodes, meta-learner."""
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mindspore_maml.algorithms import find_algorithm
from mindspore_maml.algorithms.classifier import Classifier
from mindspore_maml.algorithms.learned_steps import LearnedSteps
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.messages import log
from mindspore_maml.cli.options import BY_NAME, EVAL, options_of
from mindspore_maml.cli.run_options import Options
from mindspore_maml.data.class_images import Classes, ClassImages, counts_of
from mindspore_maml.data.own_classes import name_some, read_to_test
from mindspore_maml.data_preprocess import load_alphabets, load_images, sizes_in, with_sizes
from mindspore_maml.devices.device import tasks_at_once
from mindspore_maml.inner_loop import InnerLoop
from mindspore_maml.layers.description import describe
from mindspore_maml.layers.network import Network
from mindspore_maml.meta import Meta
from mindspore_maml.Omniglot import find
from mindspore_maml.OmniglotIter import ImageIter, OmniglotIter, refuse_alike, split_classes
from mindspore_maml.training.checkpoint import WEIGHT_PREFIX, Checkpoint, given_by_hand, load
from mindspore_maml.training.head import with_ways
from mindspore_maml.training.run_log import run_of
from mindspore_maml.training.sizes import refuse_impossible


def load_split(options: Options) -> tuple[Classes, Classes, Options]:
    """The characters to train on and those to test on, uint8 [class, drawing, imgc, imgsz, imgsz] or ClassImages each.

    Beside them the options as these data complete them: where `k_qry` is a default, it shrinks to what each class has.
    """
    images, options = fit_to(load_images(options.data_path, options.imgsz, options.imgc), options)
    if isinstance(images, ClassImages) and "images" not in options.given:
        options = options.but(images=images.kind)   # for one's own pictures to be read as those that it was trained on
    if options.split == "background":
        background = load_alphabets(options.data_path, len(images)).background_characters
        if options.n_train_classes not in (0, background):
            raise InputError(f"--n_train_classes {options.n_train_classes} with --split background, which has "
                             f"{background}; expected one of the two")
        options = options.but(n_train_classes=background)
    return *split_classes(images, options.n_train_classes, options.split, options.split_seed), options


def load_alphabets_beside(images: Sequence[Classes], options: Options) -> tuple:
    """The alphabets, int [class] each, of the characters to train on and of those to test on, as `load_split` has them.

    Both are None where `options.within_alphabet` is 0: then nobody needs to know.
    """
    if not options.within_alphabet:
        return None, None
    alphabets = load_alphabets(options.data_path, sum(map(len, images))).of_characters
    return split_classes(alphabets, options.n_train_classes, options.split, options.split_seed)


def with_sizes_of_data(options: Options) -> Options:
    """Where neither flag nor preset says how large images are, they are as large as those of the data set."""
    return with_sizes(options, sizes_in(find(options.data_path)), given_by_hand(options))


def load_to_test(options: Options) -> tuple[Classes, np.ndarray | None, int, Options]:
    """The classes to test on: those in the folder `options.classes`, or the data set's characters to test on.

    With `options.val_classes` they are the last so many of the characters to train on.

    Returns
    -------
    images : ndarray or ClassImages
    alphabets : ndarray or None
        As `load_alphabets_beside` returns them.
    characters : int
        How many classes there are in all.
    options : Options
        As these data complete them.
    """
    if options.classes:
        for name in ("within_alphabet", "val_classes"):
            if getattr(options, name):
                raise InputError(f"--{name} with --classes, which are no characters of Omniglot; expected one of the "
                                 f"two")
        images, options = fit_to(read_to_test(options.classes, options.imgsz, options.imgc, options.images), options)
        return images, None, len(images), options
    if not options.data_path:
        raise InputError(f"--data_path is missing; expected {BY_NAME['data_path'].help}; or --classes with a folder of "
                         f"your own images")
    _, judged, options = load_for_training(options)
    return *judged, options


def names_of(images: Classes, characters: int, options: Options) -> tuple[list[str], list[str]]:
    """The names of the classes to test on, as `load_to_test` has them, and those of their alphabets.

    Characters are named as Omniglot's folders are; by their numbers, and without alphabets, where nobody knows these.

    Parameters
    ----------
    images : ndarray or ClassImages
    characters : int
        As `load_to_test` returns them.
    options : Options
    """
    if isinstance(images, ClassImages):
        return list(images.names), []
    try:
        known = load_alphabets(options.data_path, characters)
    except InputError:
        return [f"character {number}" for number in _to_test(np.arange(characters), options)], []
    names = [f"{name}/character{number + 1:02}" for name, count in zip(known.names, known.counts)
             for number in range(count)]
    alphabets = np.repeat(known.names, known.counts)
    return _to_test(np.array(names), options).tolist(), _to_test(alphabets, options).tolist()


def _to_test(values, options):
    """Of something that every class has, [class], that of the classes to test on."""
    train, test = split_classes(values, options.n_train_classes, options.split, options.split_seed)
    return train[len(train) - options.val_classes:] if options.val_classes else test


def fit_to(images: Classes, options: Options) -> tuple[Classes, Options]:
    """Leave out, and name, classes without a query image beside `options.k_spt` support images; shrink `k_qry`.

    The number of query images stays where it was given by hand, or by a protocol: then it is the data that do not fit.
    """
    if isinstance(images, ClassImages):
        few = images.counts <= options.k_spt
        if few.all():
            raise InputError(f"--k_spt {options.k_spt}: no class has more images than that; the largest has "
                             f"{images.counts.max()}")
        if few.any():
            log.info(f"left out, for --k_spt {options.k_spt} and a query image need {options.k_spt + 1} images: "
                     f"{name_some([name for name, is_one in zip(images.names, few) if is_one])}")
            images = images[~few]
    least = int(counts_of(images).min())
    fixed = "k_qry" in options.given or getattr(options, "protocol", "none") != "none"
    if not fixed and 0 < least - options.k_spt < options.k_qry:
        log.info(f"k_qry {options.k_qry} -> {least - options.k_spt}: the smallest class has {least} images, "
                 f"{options.k_spt} of which are support images")
        options = options.but(k_qry=least - options.k_spt)
    return images, options


def hold_out(images: Classes, options: Options) -> tuple[Classes, Classes]:
    """The characters to train on without the last `options.val_classes`, and those, held out.

    Raises
    ------
    InputError
        Where one of the two would have too few for a task.
    """
    left, needed = len(images) - options.val_classes, options.n_way
    if options.val_classes and not needed <= options.val_classes <= len(images) - needed:
        raise InputError(f"--val_classes {options.val_classes}: of {len(images)} characters to train on that leaves "
                         f"{left}; expected at least {needed} (--n_way) held out, and as many left")
    return images[:left], images[left:]


def load_for_training(options: Options) -> tuple[tuple, tuple, Options]:
    """The characters to train on and those that are to be judged, each with its alphabets; how many there are in all.

    Those are held out of the characters to train on where `options.val_classes` says so, else they are the test ones.
    Beside them the options as these data complete them.
    """
    *images, options = load_split(options)
    characters = sum(map(len, images))
    alphabets = load_alphabets_beside(images, options)
    train_images, held_out = hold_out(images[0], options)
    if not options.val_classes:
        return (images[0], alphabets[0]), (images[1], alphabets[1], characters), options
    count = len(train_images)
    parts = (None, None) if alphabets[0] is None else (alphabets[0][:count], alphabets[0][count:])
    return (train_images, parts[0]), (held_out, parts[1], characters), options


def make_episodes(images: Classes, options: Options, batches: int,
                  kind: type[OmniglotIter] = OmniglotIter, alphabets: np.ndarray | None = None) -> OmniglotIter:
    """Episodes of `images`, of these `alphabets`, `batches` batches of a `kind`; only a training's are augmented."""
    of_some = {name: getattr(options, name) for name in ("augment", "elastic", "within_alphabet", "same_drawer")
               if hasattr(options, name)}
    return kind(images, n_way=options.n_way, k_spt=options.k_spt, k_qry=options.k_qry,
                task_num=options.task_num, batches=batches, seed=options.seed, rotate=options.rotate,
                ink=options.ink, paper=options.paper, alphabets=alphabets, **of_some)


def training_episodes(images: Classes, options: Options, alphabets: np.ndarray | None = None) -> OmniglotIter:
    """What a training sees, from its first epoch to its last: tasks, or single images where it is no training on tasks.

    Raises
    ------
    InputError
        Where something is to be measured that such a training does not have.
    """
    if options.algorithm != "classifier":
        return make_episodes(images, options, options.epoch, alphabets=alphabets)
    if options.per_step:
        raise InputError("--per_step with --algorithm classifier, which takes no inner steps; expected one of the two")
    return make_episodes(images, options, options.epoch, ImageIter)


def make_meta(options: Options, classes: int = 0) -> Meta:
    """A meta-learner with fresh weights; a classifier is to be trained on so many `classes`.

    Raises
    ------
    InputError
        Where the machine cannot hold it, or the algorithm has nothing to learn of no inner steps.
    """
    refuse_impossible(options)
    algorithm = find_algorithm(options.algorithm)
    if issubclass(algorithm, LearnedSteps) and not options.update_step:
        raise InputError(f"--update_step 0 with --algorithm {options.algorithm}, which learns how to take inner steps; "
                         f"expected at least 1")
    net = Network(options.network, options.imgc, options.imgsz, options.n_way, options.seed)
    if classes and algorithm is Classifier:
        of_classes = Network(options.network, options.imgc, options.imgsz, classes, options.seed)
        return Classifier(net, inner_loop(options), tasks_at_once, of_classes)
    return algorithm(net, inner_loop(options), tasks_at_once)


def weight_shapes(options: Options) -> dict[str, tuple]:
    """The shapes of the network's parameters by their names in a checkpoint, found without making any."""
    return {f"{WEIGHT_PREFIX}{spec.name}.{name}": shape
            for spec in describe(options.network, options.imgc, options.imgsz, options.n_way)
            for name, shape in spec.parameters.items()}


def inner_loop(options: Options) -> InnerLoop:
    """The inner loop that a program's options describe; what belongs to training alone may be missing."""
    of_training = ("order", "first_order_epochs", "multi_step_epochs", "meta_loss")
    training = {name: getattr(options, name) for name in of_training if hasattr(options, name)}
    return InnerLoop(steps=options.update_step, steps_test=options.update_step_test, rate=options.update_lr,
                     adapted=tuple(options.adapt.split(",")), label_smoothing=options.label_smoothing,
                     statistics=options.statistics, **training)


def load_trained(options: Options, say: Callable[[str], None] = log.info) -> tuple[Meta, Checkpoint, Options]:
    """A meta-learner with the weights of `options.ckpt`, for tasks of `options.n_way` classes; says which one that is.

    Returns
    -------
    meta : Meta
    checkpoint : Checkpoint
    options : Options
        Completed by what the checkpoint knows of the trained model.

    Raises
    ------
    InputError
        Where there is no such checkpoint, or it does not fit, or `options.ckpt` is a folder of another run.
    """
    if not options.ckpt:
        raise InputError("--ckpt is missing; expected a checkpoint of omniglot_train.py, or a folder of them")
    checkpoint = load(options.ckpt)
    refuse_other_run(checkpoint, named_folder=Path(options.ckpt).is_dir())
    say(f"checkpoint {checkpoint}")
    options = with_rate_for_ways(checkpoint.completed(options, [option.name for option in options_of(EVAL)
                                                                if option.stored] + ["network"]), checkpoint)
    refuse_alike(options.ink, options.paper)
    shapes = weight_shapes(options)
    checkpoint = with_ways(checkpoint, options.network, shapes)
    checkpoint.refuse_lacking(shapes)   # before a network is made that it may only claim to hold
    meta = make_meta(options)
    checkpoint.put_into(meta)
    return meta, checkpoint, options


def with_rate_for_ways(options: Options, checkpoint: Checkpoint) -> Options:
    """The options with an inner rate as long for their number of classes as the trained one is for its own.

    In the mean loss an image of one class among n has the n-th part of the weight, so the rate grows with n. A rate
    given by hand stays.

    Raises
    ------
    InputError
        Where the checkpoint's number of classes is none.
    """
    if "update_lr" in given_by_hand(options) or "n_way" not in checkpoint.options:
        return options
    trained = BY_NAME["n_way"].convert(checkpoint.options["n_way"], f"{checkpoint.path}: n_way")
    return options.but(update_lr=options.update_lr * options.n_way / trained)


def refuse_other_run(checkpoint: Checkpoint, named_folder: bool = True) -> None:
    """Refuse a checkpoint that is not of the run whose folder it lies in, where that folder was named.

    Raises
    ------
    InputError
        Naming both runs.
    """
    folder = checkpoint.path.parent
    run = run_of(folder) if named_folder else None
    if run and checkpoint.run and run != checkpoint.run:
        raise InputError(f"{folder}: {checkpoint} does not belong to run {run}, which the folder's other files are "
                         f"of; expected the folder of one run, or --ckpt with the file itself")
