"""Classify your own images: learn from a folder a class, and say what other images show.

A trained model of omniglot_train.py is all it needs; the number of classes and of images of each is yours. What
belongs to the trained model comes from the checkpoint; flags given by hand win.
"""
import contextlib
import sys
import unicodedata
from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from mindspore_maml.classifier import FewShotClassifier, learn_from_folder
from mindspore_maml.cli.atomic_files import as_csv, refuse_unwritable, result_file, write_json
from mindspore_maml.cli.atomic_files import as_json as json_text
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError, one_line
from mindspore_maml.cli.messages import log
from mindspore_maml.cli.options import PREDICT
from mindspore_maml.cli.reading import is_folder
from mindspore_maml.data.own_classes import pictures_in
from mindspore_maml.devices import device
from mindspore_maml.meta import SUPPORT
from mindspore_maml.pictures.files import checked_path, drawing
from mindspore_maml.pictures.prediction import MOST, NONE, as_given, draw_prediction, said_of
from mindspore_maml.unknown import FILE_NAME


def main() -> int:
    options = parse(PREDICT, __doc__)
    refuse_unwritable_results(options)
    device.set_up(options.device_target, options.device_id, options.mode)
    # With --json - standard output holds the JSON alone, for a program to read.
    with contextlib.redirect_stdout(sys.stderr if options.json == "-" else sys.stdout):
        files = query_files(options.query)
        blank: list[int] = []
        model = learn_from_folder(options, files)
        pixels, kept = model.read(files, skip_damaged=True, blank=blank)
        if not kept:
            raise InputError(f"--query: none of {len(files)} files can be read and shows something; expected at least "
                             f"one image")
        known = known_among(model, pixels, options)
        answers = [answer(files[number], model.classes_, row, is_known)
                   for number, row, is_known in zip(kept, model.probabilities(pixels), known)]
        for number in blank:
            log.warning(f"{files[number]}: shows nothing, so {NONE}; left out")
        print(table(answers))
        print(summary(model, answers), flush=True)
    given = [as_given(files[number]) for number in kept[:MOST]] if options.picture else []
    write_results(options, model, pixels, answers, given)
    return 0


def write_results(options: Namespace, model: FewShotClassifier, pixels: np.ndarray, answers: list[dict],
                  given: Sequence[np.ndarray]) -> None:
    """Write what the options ask for: all of it, or nothing where something goes wrong."""
    results = as_json(model, answers)
    with contextlib.ExitStack() as files:
        if options.csv:
            files.enter_context(result_file(options.csv, "--csv")).write_bytes(as_csv(as_rows(model, answers)))
        if options.picture:
            path = files.enter_context(drawing(options.picture, "--picture"))
            draw_prediction(model, pixels, answers, path, given)
        if options.json not in ("", "-"):
            files.enter_context(result_file(options.json, "--json")).write_text(json_text(results), encoding="utf-8")
    if options.json == "-":
        write_json("-", results)


def refuse_unwritable_results(options: Namespace) -> None:
    """Refuse what could not be written, before the images are read and the network learns."""
    for flag in ("json", "csv"):
        refuse_unwritable(getattr(options, flag), f"--{flag}")
    if options.picture:
        checked_path(options.picture, "--picture")


def query_files(paths: Iterable[str]) -> list[Path]:
    """The files named, and the pictures in the folders named, sorted.

    Raises
    ------
    InputError
        Where one is neither a file nor a folder, or a folder holds no pictures.
    """
    files = []
    for path in map(Path, paths):
        found = pictures_in(path) if is_folder(path) else [path]
        if not found:
            raise InputError(f"--query {path}: this folder holds no images; expected some")
        if not is_folder(path) and not path.exists():
            raise InputError(f"--query {path}: no such file or folder; expected images to classify")
        files += found
    return files


def known_among(model: FewShotClassifier, pixels: np.ndarray, options: Namespace) -> np.ndarray:
    """Of every image whether it shows one of the classes; all do where that is not asked, or was not measured."""
    if options.unknown == "on" and model.adapted_.limits:
        return model.known(pixels)
    if options.unknown == "on":
        log.info(f"every image is given a class, for --ckpt {options.ckpt} has no {FILE_NAME} beside it")
    return np.ones(len(pixels), bool)


def answer(file: Path, classes: np.ndarray, probabilities: np.ndarray, known: bool = True) -> dict:
    """What the classifier says of one file, in values that JSON keeps; `class` is the nearest where it is not known."""
    best, second = probabilities.argsort()[::-1][:2]
    return {"file": str(file), "class": str(classes[best]), "probability": float(probabilities[best]),
            "second": str(classes[second]), "second_probability": float(probabilities[second]),
            "known": bool(known),
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
    head = ["file", "class", "probability", "second", "second_probability", "known", *(f"p({name})" for name in names)]
    return [head] + [[*list(each.values())[:6], *(each["probabilities"][name] for name in names)] for each in answers]


def as_json(model: FewShotClassifier, answers: list[dict]) -> dict:
    """The answers and how they came about, in values that JSON keeps."""
    counts = {str(name): int((model.numbers_ == number).sum()) for number, name in enumerate(model.classes_)}
    return {"ckpt": str(model.ckpt), "update_step_test": model.steps_, "statistics": model.statistics,
            "support_images": counts, "images": answers}
