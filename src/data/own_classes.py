"""One's own images: a folder a class, read into classes.npz, which remembers the folders and follows their changes."""
import collections
import hashlib
import itertools
import json
import math
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mindspore_maml.cli.atomic_files import replacing
from mindspore_maml.cli.errors import InputError, shown
from mindspore_maml.cli.memory import refuse_beyond_memory
from mindspore_maml.cli.messages import log
from mindspore_maml.cli.reading import is_folder, open_regular, parse_json
from mindspore_maml.data.class_images import ClassImages
from mindspore_maml.data.folders import is_own, own_folders
from mindspore_maml.data.images import DRAWINGS, PHOTOGRAPHS, is_picture, read_images
from mindspore_maml.data.origin import fingerprint

FILE_NAME = "classes.npz"
LARGEST_NOTES = 10_000_000   # bytes
MOST_NAMED = 10              # classes named in a message; more are counted


@dataclass(frozen=True)
class Recipe:
    """What the data are made from and how.

    Attributes
    ----------
    folder : str
        Holds a folder a class.
    test_folder : str
        Holds those to test on; empty: a part of `folder`'s is.
    val_fraction : float
        That part, without a `test_folder`.
    imgsz, imgc : int
        Size and channels of the images made.
    kind : str
        What the pictures show: drawings or photographs, as `read_image` takes it.
    """

    folder: str
    test_folder: str
    val_fraction: float
    imgsz: int
    imgc: int
    kind: str = DRAWINGS

    @property
    def are_there(self) -> bool:
        """Whether the folders can be read anew: a path from wherever the program runs would be that of other ones."""
        return Path(self.folder).is_absolute() and all(
            folder.is_absolute() and is_folder(folder) for folder in self.folders)

    @property
    def folders(self) -> list[Path]:
        """The one or two folders there are."""
        return [Path(folder) for folder in (self.folder, self.test_folder) if folder]


def read_classes(recipe: Recipe) -> ClassImages:
    """The images of all classes, those to train on first, each part sorted by name.

    Raises
    ------
    InputError
        Where there are too few classes, or none of the images of one part can be read.
    """
    train, test = _divide(recipe)
    say_repeated([*train.values(), *test.values()])
    images, counts, read = _read_folders([*train.items(), *test.items()], recipe)
    n_train = sum(number < len(train) for number, _ in read)
    if not 0 < n_train < len(read):
        raise InputError(f"--classes {recipe.folder}: {n_train} classes to train on and {len(read) - n_train} to test "
                         f"on hold images; expected at least one of each")
    return ClassImages(images, counts, [name for _, name in read], n_train, kind=recipe.kind)


def read_to_test(folder: str | Path, imgsz: int, imgc: int, kind: str = DRAWINGS) -> ClassImages:
    """The images of all classes in a folder, sorted by name, none of them to train on.

    Raises
    ------
    InputError
        Where none can be read.
    """
    recipe = Recipe(str(folder), "", 1.0, imgsz, imgc, kind)
    files = class_pictures(folder)
    say_repeated(files.values())
    images, counts, read = _read_folders(files.items(), recipe)
    if not read:
        raise InputError(f"--classes {folder}: holds no class with an image that can be read; expected some")
    return ClassImages(images, counts, [name for _, name in read], n_train=0, kind=kind)


def _read_folders(files, recipe):
    """The images of all classes, one after the other; how many each has; and those that have some, numbers and names.

    `files` are the names of all classes and the pictures of each.
    """
    refuse_beyond_memory(recipe.imgc * recipe.imgsz ** 2 * sum(len(paths) for _, paths in files),
                         f"--classes {recipe.folder}: its images", "see --imgsz and --imgc")
    images, counts, read = [np.empty((0, recipe.imgc, recipe.imgsz, recipe.imgsz), np.uint8)], [], []
    for number, (name, paths) in enumerate(tqdm(files, unit="class", desc="reading", disable=None)):
        found, _ = read_images(paths, recipe.imgsz, recipe.imgc, recipe.kind, skip_damaged=True)
        if len(found):
            images.append(found)
            counts.append(len(found))
            read.append((number, name))
        else:
            log.warning(f"{name}: holds no image that can be read; this class is left out")
    return np.concatenate(images), counts, read


def class_folders(folder: str | Path, flag: str = "--classes") -> list[Path]:
    """The folders of the classes in a folder, sorted by name.

    Raises
    ------
    InputError
        Where there are none.
    """
    if not is_folder(folder):
        raise InputError(f"{flag} {folder}: no such folder; expected one that holds a folder of images a class")
    try:
        found = own_folders(Path(folder))
    except OSError as error:
        raise InputError(f"{flag} {folder}: not readable ({error.strerror})") from error
    if not found:
        raise InputError(f"{flag} {folder}: holds no folders; expected a folder of images for each class")
    return found


def class_pictures(folder: str | Path, flag: str = "--classes") -> dict[str, list[Path]]:
    """The pictures of each class in a folder, the classes sorted by name; names that read alike are one class.

    Raises
    ------
    InputError
        Where there are no folders in it.
    """
    found: dict[str, list[Path]] = {}
    for one in class_folders(folder, flag):
        found.setdefault(unicodedata.normalize("NFC", one.name), []).extend(pictures_in(one))
    return dict(sorted(found.items()))


def first_pictures(folders: Iterable[str]) -> Iterator[Path]:
    """A picture of each class, without a word on what else there is."""
    for one in (one for folder in folders for one in own_folders(Path(folder))):
        yield from itertools.islice(filter(is_picture, sorted(one.iterdir())), 1)


def _divide(recipe):
    """The pictures of the classes to train on, and of those to test on, by the classes' names."""
    train = class_pictures(recipe.folder)
    if recipe.test_folder:
        test = class_pictures(recipe.test_folder, "--test_classes")
        if both := sorted(train.keys() & test.keys()):
            log.warning(f"--test_classes {recipe.test_folder}: {name_some(both)} also in --classes {recipe.folder}: "
                        f"tested on what it was trained on")
        return train, test
    if len(train) < 2:
        raise InputError(f"--classes {recipe.folder}: holds one class; expected at least 2, one of them to test on")
    n_test = min(max(1, round(recipe.val_fraction * len(train))), len(train) - 1)
    # By a fingerprint of the name: in no order that means something, and a class added moves hardly any other.
    order = sorted(train, key=lambda name: hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest())
    return ({name: train[name] for name in sorted(order[n_test:])},
            {name: train[name] for name in sorted(order[:n_test])})


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder, by their names; sorted. What else is in it is named, but for a system's own files.

    Raises
    ------
    InputError
        Where it cannot be read.
    """
    try:
        entries = sorted(path for path in folder.iterdir() if is_own(path.name))
        pictures = [path for path in entries if is_picture(path) and not path.is_dir()]
    except OSError as error:
        raise InputError(f"{folder}: not readable ({error.strerror}); expected a folder of images") from error
    if left := [path.name for path in entries if path not in set(pictures)]:
        log.warning(f"{folder}: {len(left)} left out, no pictures that are read here: {name_some(left)}")
    return pictures


def say_repeated(groups: Iterable[Sequence[Path]], others: Sequence[Path] = ()) -> None:
    """Name files that hold the same picture: in one class, in two, or among `others` too.

    Parameters
    ----------
    groups : iterable of sequence of Path
        The files of each class.
    others : sequence of Path
        Files that are asked about.
    """
    seen: dict[tuple, tuple[int, Path]] = {}
    pairs: dict[str, list[str]] = {"a class": [], "two classes": [], "examples and questions": []}
    by_group = [(number, path) for number, paths in enumerate(groups) for path in paths]
    sizes = collections.Counter(_size(path) for path in (*(path for _, path in by_group), *others))
    for number, path in (*by_group, *((-1, path) for path in others)):
        if sizes[_size(path)] < 2 or not (content := _content(path)):
            continue
        first, there = seen.setdefault(content, (number, path))
        if there != path and (number >= 0 or first >= 0):
            place = "a class" if first == number else "examples and questions" if number < 0 else "two classes"
            pairs[place].append(f"{there} and {path}")
    for place, found in pairs.items():
        if found:
            log.warning(f"the same picture twice in {place}: {name_some(found)}")


def _size(path):
    try:
        return path.stat().st_size
    except OSError:   # who reads the images says what is wrong
        return -1


def _content(path):
    try:
        with open_regular(path) as file:
            return hashlib.sha256(file.read()).digest()
    except OSError:
        return None


def build(path: Path, recipe: Recipe) -> ClassImages:
    """Read the folders and write what they hold to the file `path`, whole or not at all.

    Raises
    ------
    InputError
        As `read_classes` does.
    OSError
        Where the file cannot be written.
    """
    made_of = fingerprint(recipe.folders) if recipe.are_there else ""   # before they are read
    classes = read_classes(recipe)
    notes = {"recipe": asdict(recipe), "made_of": made_of, "counts": classes.counts.tolist(),
             "names": [name.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for name in classes.names],
             "n_train": classes.n_train}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, images=classes.images, notes=np.frombuffer(json.dumps(notes).encode("utf-8"), np.uint8))
    return classes


def describe(classes: ClassImages) -> str:
    """How many classes and images there are, in a line."""
    low, high = classes.counts.min(), classes.counts.max()
    return (f"{len(classes)} classes ({classes.n_train} to train on, {len(classes) - classes.n_train} to test on), "
            f"{low if low == high else f'{low} to {high}'} images each, "
            f"{classes.images.shape[2]} x {classes.images.shape[3]} x {classes.images.shape[1]}")


def load(path: Path, imgsz: int, imgc: int) -> ClassImages:
    """What a file of `build` holds; built anew, and said so, where the folders have changed since.

    Raises
    ------
    InputError
        Where the file is damaged, or holds images of another size.
    """
    recipe, made_of, classes = _read(path)
    there = recipe.are_there
    if (recipe.imgsz, recipe.imgc) != (imgsz, imgc) and there:
        log.info(f"{path}: of another size, so {recipe.folder} is read at {imgsz} x {imgsz} x {imgc}")
        return read_classes(replace(recipe, imgsz=imgsz, imgc=imgc))
    if (recipe.imgsz, recipe.imgc) != (imgsz, imgc):
        raise InputError(f"{path}: holds images of {recipe.imgsz} x {recipe.imgsz} pixels and {recipe.imgc} channels; "
                         f"expected {imgsz} x {imgsz} and {imgc} (--imgsz, --imgc; with these, data_preprocess.py "
                         f"builds it anew)")
    if not there:
        log.info(f"{path}: used as it is, since {shown(recipe.folder)} is no longer there")
    elif fingerprint(recipe.folders) != made_of:
        log.info(f"{path}: built anew, since {' or '.join(map(str, recipe.folders))} has changed")
        try:
            classes = build(path, recipe)
        except OSError as error:
            log.info(f"{path}: not written ({error.strerror}); the images are read again next time")
            classes = read_classes(recipe)
    log.info(f"{path}: {describe(classes)}")
    return classes


def read_recipe(path: Path) -> Recipe:
    """How a file of `build` was made."""
    return _read(path)[0]


def _read(path):
    """The recipe, the fingerprint and the classes in a file."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):   # a little, made much
                raise InputError(f"{path}: its arrays are compressed; expected a file that data_preprocess.py "
                                 f"--classes writes")
            if archive.getinfo("notes.npy").file_size > LARGEST_NOTES:
                raise InputError(f"{path}: its notes are too long")
            refuse_beyond_memory(archive.getinfo("images.npy").file_size, f"{path}: its images", "see data_preprocess")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                images, notes = arrays["images"], arrays["notes"].tobytes().decode()
    except InputError:
        raise
    except Exception as error:   # zip, NumPy and the head of an array, which is evaluated as Python
        raise InputError(f"{path}: not readable ({error}); expected a file that data_preprocess.py --classes "
                         f"writes") from error
    notes = _of_today(parse_json(notes, str(path)))
    if not _is_whole(notes, images):
        raise InputError(f"{path}: its notes do not fit its images; expected a file that data_preprocess.py --classes "
                         f"writes")
    return (Recipe(**notes["recipe"]), notes["made_of"],
            ClassImages(images, notes["counts"], notes["names"], notes["n_train"], kind=notes["recipe"]["kind"]))


def _of_today(notes):
    """The notes of a file that was made before drawings were fitted: what it was made of counts as changed."""
    recipe = notes.get("recipe") if isinstance(notes, dict) else None
    if not isinstance(recipe, dict) or "kind" in recipe:
        return notes
    return notes | {"made_of": "", "recipe": recipe | {"kind": DRAWINGS if recipe.get("imgc") == 1 else PHOTOGRAPHS}}


def _is_whole(notes, images):
    """Whether the notes of a file have the types they need and fit the images in it."""
    kinds = {"recipe": dict, "made_of": str, "counts": list, "names": list, "n_train": int}
    if not isinstance(notes, dict) or any(type(notes.get(name)) is not kind for name, kind in kinds.items()):
        return False
    recipe, counts, names = notes["recipe"], notes["counts"], notes["names"]
    if set(recipe) != {field.name for field in fields(Recipe)} or any(
            type(recipe[field.name]) is not field.type for field in fields(Recipe)):
        return False
    sizes = (recipe["imgc"], recipe["imgsz"], recipe["imgsz"])
    return (all(type(count) is int and count > 0 for count in counts) and all(isinstance(name, str) for name in names)
            and len(counts) == len(names) and 0 < notes["n_train"] < len(counts) and images.dtype == np.uint8
            and images.shape == (sum(counts), *sizes) and math.prod(sizes) > 0)


def name_some(names: list[str]) -> str:
    """Names for a message: all of a few, or the first ones and how many more."""
    listed = ", ".join(names[:MOST_NAMED])
    return listed if len(names) <= MOST_NAMED else f"{listed} and {len(names) - MOST_NAMED} more"
