"""The data set on disk: where it is found, and omniglot.npy in all the forms programs have written it."""
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.memory import refuse_beyond_memory
from mindspore_maml.cli.messages import log
from mindspore_maml.cli.reading import is_file, is_folder, open_regular
from mindspore_maml.data import own_classes
from mindspore_maml.data.archives import OFFICIAL, TOP_FOLDERS

FILE_NAME = "omniglot.npy"
NPY, CLASSES, FOLDERS, ARCHIVES = "npy", "classes", "folders", "archives"
MIDDLE_GREY = 127.5
SAMPLED = 16   # characters that are looked at first


@dataclass(frozen=True)
class Source:
    """Data that was found: its kind, where, and the folder omniglot.npy belongs to.

    The kind is `NPY`, `CLASSES`, `FOLDERS` or `ARCHIVES`; `path` is the file, the parent of the two top folders, or
    the folder of the archives.
    """

    kind: str
    path: Path
    root: Path


def find(data_path: str | Path, kinds: Sequence[str] = (NPY, CLASSES, FOLDERS, ARCHIVES)) -> Source:
    """The first data found under `data_path`, or in `omniglot/` under it.

    Raises
    ------
    InputError
        Where there is none; it lists where it looked and what to do.
    """
    root = Path(data_path)
    if not is_folder(root):
        raise InputError(f"--data_path {root}: no such folder; expected one with Omniglot in it "
                         f"(python src/data_preprocess.py --download fetches it, --glyphs draws a substitute)")
    if source := search(root, kinds):
        return source
    looked = _places(root, kinds)
    for source in looked:
        if source.kind == FOLDERS and any((source.path / top).is_dir() for top in TOP_FOLDERS):
            present, absent = sorted(TOP_FOLDERS, key=lambda top: not (source.path / top).is_dir())
            raise InputError(f"--data_path {root}: {source.path / present} is there without {absent} beside it; "
                             f"expected both")
    raise InputError(f"--data_path {root}: no data found; looked for {', '.join(map(_describe, looked))}; "
                     f"add --download or --glyphs to python src/data_preprocess.py, or copy Omniglot there")


def search(data_path: str | Path, kinds: Sequence[str] = (NPY, CLASSES, FOLDERS, ARCHIVES)) -> Source | None:
    """What `find` finds, or None."""
    return next(filter(_is_there, _places(Path(data_path), kinds)), None)


def _places(root, kinds):
    """Where data may be, the first choice first."""
    return [source for folder in (root, root / "omniglot") for source in (
        Source(NPY, folder / FILE_NAME, folder), Source(CLASSES, folder / own_classes.FILE_NAME, folder),
        Source(FOLDERS, folder / "processed", folder), Source(FOLDERS, folder, folder),
        Source(ARCHIVES, folder / "raw", folder)) if source.kind in kinds]


def _is_there(source):
    if source.kind == FOLDERS:
        return all(is_folder(source.path / top) for top in TOP_FOLDERS)
    return is_file(source.path) if source.kind in (NPY, CLASSES) else bool(archives_in(source))


def _describe(source):
    return {NPY: f"{source.path}", CLASSES: f"{source.path}", FOLDERS: f"{source.path}/{{{','.join(TOP_FOLDERS)}}}",
            ARCHIVES: f"{source.path}/*.zip"}[source.kind]


def archives_in(source: Source) -> list[Path]:
    """The archives of a source of that kind, sorted; of both official ones and others beside them, the official."""
    try:
        found = sorted(source.path.glob("*.zip"))
    except OSError:   # no folder can have this name
        return []
    found = [path for path in found if not path.name.startswith(".")]   # no half downloads
    official = [path for path in found if path.name in OFFICIAL]
    return official if len(official) == len(OFFICIAL) else found


def load_npy(path: Path, imgsz: int, imgc: int) -> np.ndarray:
    """Read an omniglot.npy of this program or another.

    Parameters
    ----------
    path : Path
        uint8 from 0 to 255 or float from 0 to 1; [class, drawing, c, h, w], [class, drawing, h, w] or
        [class, drawing, h, w, c]; paper light or dark.
    imgsz, imgc : int
        The size and channels it must have.

    Returns
    -------
    ndarray of uint8, [class, drawing, imgc, imgsz, imgsz]
        Ink 255, paper 0.

    Raises
    ------
    InputError
        Where it is damaged, holds something else, or images of another size.
    """
    try:
        with open_regular(path) as file:
            stored = _open(path, file)
            shape = _shape(path, stored, imgsz, imgc)
            refuse_beyond_memory(math.prod(shape), f"{path}: {len(stored)} characters", "expected an array that fits")
            sampled = np.unique(np.linspace(0, len(stored) - 1, SAMPLED, dtype=int))
            _refuse_blank(path, _classes(path, file, stored, sampled))   # before all of a long file is read
            images = _as_bytes(path, stored.dtype, _classes(path, file, stored, range(len(stored))), shape)
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror}); expected an array of numbers") from error
    _refuse_blank(path, images)
    return data_set_with_ink_high(images, path)


def _open(path, file):
    """The array in a file, of which no number is looked at yet: other programs' are eight times as large as ours."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")   # a file of Python 2 is read like any other
            images = np.load(f"/proc/self/fd/{file.fileno()}", mmap_mode="r", allow_pickle=False)   # no pickle: it runs
    except Exception as error:   # NumPy evaluates the file's head as Python, so nearly every kind may come
        reason = str(error).split("\n", maxsplit=1)[0]
        raise InputError(f"{path}: not readable ({reason}); expected an array of numbers, as data_preprocess.py "
                         f"writes it") from error
    if not isinstance(images, np.ndarray):
        images.close()
        raise InputError(f"{path}: an archive of arrays; expected a single array")
    return images


def _shape(path, stored, imgsz, imgc):
    """(classes, drawings, channels, height, width) of a stored array."""
    if stored.ndim not in (4, 5) or stored.size == 0:
        raise InputError(f"{path}: an array of shape {stored.shape}; expected (classes, drawings, channels, height, "
                         f"width)")
    shape = (len(stored), *_channels_first(stored[0]).shape)
    if shape[2:] != (imgc, imgsz, imgsz):
        channels, height, width = shape[2:]
        raise InputError(f"{path}: holds images of {height} x {width} pixels and {channels} channels; expected "
                         f"{imgsz} x {imgsz} and {imgc} (--imgsz, --imgc; with these, data_preprocess.py "
                         f"builds it anew from the drawings)")
    return shape


def _channels_first(drawings):
    """[drawing, h, w], [drawing, h, w, c] or [drawing, c, h, w] -> [drawing, c, h, w]."""
    if drawings.ndim == 3:
        return drawings[:, None]
    return np.moveaxis(drawings, 3, 1) if drawings.shape[1] not in (1, 3) and drawings.shape[3] in (1, 3) else drawings


def _classes(path, file, stored, numbers):
    """Classes of a stored array [drawing, c, h, w], one at a time.

    They are read, and not looked at where the file is mapped: were it cut off meanwhile, that would end the program.
    """
    size = stored.nbytes // len(stored)
    if not stored.flags.c_contiguous:   # class by class they lie all over the file
        refuse_beyond_memory(stored.nbytes, f"{path}: {len(stored)} characters", "expected an array that fits")
        file.seek(0)
        stored = np.load(file, allow_pickle=False)
    for number in numbers:
        drawings = stored[number]
        if isinstance(stored, np.memmap):
            file.seek(stored.offset + int(number) * size)
            content = file.read(size)
            if len(content) < size:
                raise InputError(f"{path}: cut off while it was read; expected a file that nobody writes to")
            drawings = np.frombuffer(content, stored.dtype).reshape(stored.shape[1:])
        yield _channels_first(drawings)


def _refuse_blank(path, classes):
    first = None
    for drawings in classes:
        first = drawings.flat[0] if first is None else first
        if not drawings.min() == drawings.max() == first:
            return
    raise InputError(f"{path}: all its numbers are the same; expected ink on paper")


def _as_bytes(path, kind, classes, shape):
    """The images in uint8, made class by class: no more memory is taken than for these."""
    if kind != np.uint8 and not np.issubdtype(kind, np.floating):
        raise InputError(f"{path}: numbers of type {kind}; expected uint8 (0 to 255) or float (0 to 1)")
    images = np.empty(shape, np.uint8)
    for number, drawings in enumerate(classes):
        if kind == np.uint8:
            images[number] = drawings
            continue
        low, high = drawings.min(), drawings.max()
        if not (low >= 0 and high <= 1):   # also where one is not a number
            raise InputError(f"{path}: numbers from {low:g} to {high:g}; expected 0 to 1 in an array of floats")
        images[number] = np.rint(drawings * 255)
    if kind == np.uint8 and images.max() == 1:   # it would be read as all but blank paper
        raise InputError(f"{path}: uint8 numbers of 0 and 1 alone; expected 0 to 255, or float from 0 to 1")
    return images


def _median(images):
    """The median of uint8 numbers, without a copy of them."""
    up_to = np.cumsum(sum(np.bincount(drawings.ravel(), minlength=256) for drawings in images))
    middle = [(images.size - 1) // 2, images.size // 2]   # the places of the two in the middle, or twice of the one
    return np.searchsorted(up_to, middle, side="right").mean()


def data_set_with_ink_high(images: np.ndarray, origin: str | Path) -> np.ndarray:
    """uint8 images, in place, with ink 255 and paper 0; says in a line what it took for paper.

    Most of a drawing is paper, so the median tells; exactly in the middle it counts as light.
    """
    is_light = _median(images) >= MIDDLE_GREY
    classes, drawings, channels, height, width = images.shape
    log.info(f"{origin}: {classes} characters x {drawings} drawings, {height} x {width} x {channels}, "
             f"{'light' if is_light else 'dark'} paper")
    return np.subtract(255, images, out=images) if is_light else images
