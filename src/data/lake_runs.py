"""Lake's one-shot classification runs (Lake et al., 2015): 20 times 20 questions within an alphabet, as published."""
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.reading import is_file, is_folder, read_text
from mindspore_maml.data.archives import unpack_one
from mindspore_maml.data.images import read_picture

LABELS = "class_labels.txt"   # in each run: lines such as "run01/test/item01.png run01/training/class08.png"


@dataclass(frozen=True)
class Runs:
    """Runs of as many classes and questions each.

    Attributes
    ----------
    names : tuple of str
    examples, questions : list of list of Image
        One drawing of each class, and the drawings to classify, of each run, as they were read.
    answers : ndarray of int32, [run, question]
        The questions' classes.
    """

    names: tuple[str, ...]
    examples: list[list[Image.Image]]
    questions: list[list[Image.Image]]
    answers: np.ndarray

    @property
    def n_way(self) -> int:
        """Classes of a run."""
        return len(self.examples[0])

    def images(self, imgsz: int, imgc: int) -> tuple[np.ndarray, np.ndarray]:
        """Examples and questions, uint8 [run, image, imgc, imgsz, imgsz] each, ink 255 and paper 0."""
        examples, questions = (np.stack([[_seen(picture, imgsz, imgc) for picture in run] for run in runs])
                               for runs in (self.examples, self.questions))
        return examples, questions


def read_runs(path: str | Path) -> Runs:
    """The runs in a folder, or in an archive like the published all_runs.zip.

    Raises
    ------
    InputError
        Where there are none, one is not as it should be, or they differ in the number of classes or questions.
    """
    path = Path(path)
    if is_folder(path):
        return _read_folder(path, f"--runs {path}")
    if not is_file(path):
        raise InputError(f"--runs {path}: no such file or folder; expected all_runs.zip, or a folder of its runs")
    with tempfile.TemporaryDirectory() as folder:
        unpack_one(path, Path(folder))
        return _read_folder(Path(folder), f"--runs {path}")


def _read_folder(folder, origin):
    found = sorted(labels.parent for labels in folder.glob(f"*/{LABELS}"))
    if not found:
        raise InputError(f"{origin}: holds no folder with a {LABELS}; expected run01, run02, ...")
    examples, questions, answers = zip(*(_read_run(run, f"{origin}: {run.name}") for run in found))
    for number, run in enumerate(found):
        size, first = [(len(examples[i]), len(questions[i])) for i in (number, 0)]
        if size != first:
            raise InputError(f"{origin}: {run.name} has {size[0]} classes and {size[1]} questions; expected {first[0]} "
                             f"and {first[1]}, as in {found[0].name}")
    return Runs(tuple(run.name for run in found), list(examples), list(questions), np.array(answers, np.int32))


def _read_run(run, origin):
    """The examples, the questions, and the numbers of their examples."""
    pairs = [_pair(line, f"{origin}/{LABELS}") for line in read_text(run / LABELS, f"{origin}/{LABELS}").splitlines()]
    classes = sorted({answer for _, answer in pairs})
    if len(classes) < 2:
        raise InputError(f"{origin}/{LABELS}: names {len(classes)} classes; expected at least 2")
    examples, questions = ([_read(run.parent / name, f"{origin}/{LABELS}: {name}") for name in names]
                           for names in (classes, [question for question, _ in pairs]))
    return examples, questions, [classes.index(answer) for _, answer in pairs]


def _pair(line, origin):
    """The two paths of a line, both inside the folder of the runs."""
    names = line.split()
    paths = [PurePosixPath(name) for name in names]
    if len(names) != 2 or any(path.is_absolute() or ".." in path.parts for path in paths):
        raise InputError(f"{origin}: a line is {line!r}; expected two files, such as run01/test/item01.png "
                         f"run01/training/class08.png")
    return names


def _read(path, origin):
    if not is_file(path):
        raise InputError(f"{origin}: no such file; expected a drawing")
    return read_picture(path)


def _seen(picture, imgsz, imgc):
    """A drawing as data_preprocess.py makes it of Omniglot's: [imgc, imgsz, imgsz], ink 255."""
    pixels = picture.convert("L" if imgc == 1 else "RGB").resize((imgsz, imgsz), Image.Resampling.BICUBIC)
    return 255 - np.asarray(pixels).reshape(imgsz, imgsz, imgc).transpose(2, 0, 1)
