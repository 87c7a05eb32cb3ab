"""The classifier that a program's options describe, and one that has learned from a folder a class."""
from collections.abc import Sequence
from pathlib import Path

from mindspore_maml.classifier import FewShotClassifier
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.run_options import Options
from mindspore_maml.data.own_classes import class_pictures, say_repeated
from mindspore_maml.inner_loop import SUPPORT


def learn_from_folder(options: Options, asked: Sequence[Path] = ()) -> FewShotClassifier:
    """A classifier adapted to the images in `options.support`, a folder a class, whose names are the labels.

    Pictures that occur twice are named, also those among the files `asked` about.

    Raises
    ------
    InputError
        Where there are fewer than two classes, one without images, or an image that cannot be read.
    """
    files = class_pictures(options.support, "--support")
    empty = [name for name, paths in files.items() if not paths]
    if empty:
        raise InputError(f"--support {options.support}: {empty[0]} holds no images; expected at least one of each "
                         f"class")
    if len(files) < 2:
        raise InputError(f"--support {options.support}: holds one class; expected at least 2")
    say_repeated(files.values(), asked)
    return classifier_for(options).fit([path for paths in files.values() for path in paths],
                                       [name for name, paths in files.items() for _ in paths])


def classifier_for(options: Options) -> FewShotClassifier:
    """A classifier of the checkpoint that a program's options name, to be fitted."""
    by_hand = {parameter: getattr(options, name) if name in options.given else None for parameter, name in
               (("steps", "update_step_test"), ("rate", "update_lr"), ("preset", "preset"), ("pictures", "images"),
                ("views", "views"))}
    return FewShotClassifier(options.ckpt or None, statistics=getattr(options, "statistics", SUPPORT), **by_hand)
