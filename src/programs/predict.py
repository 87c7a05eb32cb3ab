"""Classify your own images: learn from a folder a class, and say what other images show.

A trained model of omniglot_train.py is all it needs; the number of classes and of images of each is yours. What
belongs to the trained model comes from the checkpoint; flags given by hand win.
"""
import contextlib
import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mindspore_maml.classifier import FewShotClassifier
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError, one_line
from mindspore_maml.cli.messages import log
from mindspore_maml.cli.options import PREDICT
from mindspore_maml.cli.reading import is_folder
from mindspore_maml.cli.run_options import Options
from mindspore_maml.data.folders import own_folders
from mindspore_maml.data.images import is_picture
from mindspore_maml.data.own_classes import pictures_in
from mindspore_maml.devices import device
from mindspore_maml.inner_loop import SUPPORT
from mindspore_maml.pictures.confusion import draw_matrix
from mindspore_maml.pictures.files import refuse_unwritable_results, write_results
from mindspore_maml.pictures.prediction import MOST, NONE, as_given, draw_prediction, said_of
from mindspore_maml.programs.learning import learn_from_folder
from mindspore_maml.training.answers import counted
from mindspore_maml.unknown import FILE_NAME


def main() -> int:
    options = parse(PREDICT, __doc__)
    refuse_unwritable_results(options, "picture", "confusion")
    device.set_up(options.device_target, options.device_id, options.mode)
    # With --json - standard output holds the JSON alone, for a program to read.
    with contextlib.redirect_stdout(sys.stderr if options.json == "-" else sys.stdout):
        files = query_files(options.query)
        blank: list[int] = []
        model = learn_from_folder(options, files)
        if options.confusion and not any(true_class(file, model.classes_) for file in files):
            raise InputError(f"--confusion {options.confusion}: no image of --query lies in a folder that has the name "
                             f"of a class; expected some, for their classes to be known")
        pixels, kept = model.read(files, skip_damaged=True, blank=blank)
        if not kept:
            raise InputError(f"--query: none of {len(files)} files can be read and shows something; expected at least "
                             f"one image")
        answers = [answer(files[number], model.classes_, row, is_known)
                   for number, row, is_known in zip(kept, *answers_to(model, pixels, options))]
        for number in blank:
            log.warning(f"{files[number]}: shows nothing, so {NONE}; left out")
        print(table(answers))
        print(summary(model, answers), flush=True)
    given = [as_given(files[number]) for number in kept[:MOST]] if options.picture else []
    write_results(options, as_json(model, answers), as_rows(model, answers),
                  ("picture", lambda path: draw_prediction(model, pixels, answers, path, given)),
                  ("confusion", lambda path: draw_matrix(list(model.classes_), confusion(model, answers), path)))
    return 0


def query_files(paths: Iterable[str]) -> list[Path]:
    """The files named, and the pictures in the folders named or, where one holds folders alone, in these; sorted.

    Raises
    ------
    InputError
        Where one is neither a file nor a folder, or a folder holds no pictures.
    """
    files = []
    for path in map(Path, paths):
        if is_folder(path):
            folders = [] if any(map(is_picture, path.iterdir())) else own_folders(path)
            found = [picture for folder in folders or [path] for picture in pictures_in(folder)]
            if not found:
                raise InputError(f"--query {path}: this folder holds no images; expected some")
            files += found
        elif path.exists():
            files.append(path)
        else:
            raise InputError(f"--query {path}: no such file or folder; expected images to classify")
    return files


def true_class(file: Path, classes: Iterable[str]) -> str:
    """The class of which a file's folder has the name; empty where none has."""
    name = unicodedata.normalize("NFC", file.absolute().parent.name)
    return name if name in set(classes) else ""


def answers_to(model: FewShotClassifier, pixels: np.ndarray, options: Options) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [image, class], and whether each image shows a class: all do where nobody asks, or has measured."""
    if options.unknown == "on" and model.adapted_.limits:
        return model.answers(pixels)
    if options.unknown == "on":
        log.info(f"every image is given a class, for --ckpt {options.ckpt} has no {FILE_NAME} beside it")
    return model.probabilities(pixels), np.ones(len(pixels), bool)


def answer(file: Path, classes: np.ndarray, probabilities: np.ndarray, known: bool = True) -> dict:
    """What the classifier says of one file, in values that JSON keeps; `class` is the nearest where it is not known."""
    best, second = probabilities.argsort()[::-1][:2]
    return {"file": str(file), "class": str(classes[best]), "probability": float(probabilities[best]),
            "second": str(classes[second]), "second_probability": float(probabilities[second]),
            "known": bool(known), "true": true_class(file, classes),
            "probabilities": {str(name): float(value) for name, value in zip(classes, probabilities)}}


def table(answers: list[dict]) -> str:
    """A line for each file: its class and probability, and the second best."""
    rows = [("file", "class", "", "second best", "")]
    rows += [(each["file"], said_of(each), f"{each['probability']:.3f}", each["second"],
              f"{each['second_probability']:.3f}") for each in answers]
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths)).rstrip()
                     for row in rows)


def _width(text):
    """The columns of a terminal that a text takes: letters of some scripts take two, marks on letters none."""
    return sum(0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
               for letter in text)


def summary(model: FewShotClassifier, answers: list[dict]) -> str:
    """How the answers came about, in a line."""
    whose = "the support images" if model.statistics == SUPPORT else "these images together"
    return (f"{len(answers)} images classified: {model.steps_} inner steps on {len(model.support_)} support images of "
            f"{len(model.classes_)} classes, statistics of {whose}")


def as_rows(model: FewShotClassifier, answers: list[dict]) -> list:
    """The answers as rows of a table, a column for each class's probability."""
    names = [str(name) for name in model.classes_]
    head = ["file", "class", "probability", "second", "second_probability", "known", "true"]
    return [head + [f"p({name})" for name in names]] + [
        [*(each[name] for name in head), *(each["probabilities"][name] for name in names)] for each in answers]


def confusion(model: FewShotClassifier, answers: list[dict]) -> np.ndarray:
    """How often an image of a class (row) was taken for another (column), of those whose class is known.

    One that shows none of the classes, as is said of it, counts as taken for the nearest.
    """
    numbers = {str(name): number for number, name in enumerate(model.classes_)}
    told = [each for each in answers if each["true"]]
    true, found = (np.array([numbers[each[name]] for each in told], int) for name in ("true", "class"))
    return counted(true, found, len(numbers))


def as_json(model: FewShotClassifier, answers: list[dict]) -> dict:
    """The answers and how they came about, in values that JSON keeps."""
    counts = {str(name): int((model.numbers_ == number).sum()) for number, name in enumerate(model.classes_)}
    return {"ckpt": str(model.ckpt), "update_step_test": model.steps_, "statistics": model.statistics,
            "support_images": counts, "images": answers} | (
        {"confusion": confusion(model, answers).tolist()} if any(each["true"] for each in answers) else {})
