"""Folders of PNGs, or archives of them, as one omniglot.npy: [character, drawing, imgc, imgsz, imgsz], paper 255.

--classes takes one's own images instead: a folder that holds a folder a class, in JPEG, PNG, WebP, BMP or TIFF, of
any sizes and numbers. They become classes.npz.
"""
import dataclasses
import json
import math
import os
import sys
from collections.abc import Collection
from pathlib import Path

if __name__ == "__main__":   # as `python src/data_preprocess.py`: the package's folder is on the path, not its name
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from mindspore_maml.cli.program import run_module
    run_module("mindspore_maml.data_preprocess")

import numpy as np
from PIL import Image
from tqdm import tqdm

from mindspore_maml.cli.atomic_files import filling, make_folder, replacing
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.memory import refuse_beyond_memory
from mindspore_maml.cli.messages import log
from mindspore_maml.cli.options import DATA
from mindspore_maml.cli.reading import is_file, is_folder, parse_json, read_text
from mindspore_maml.cli.run_options import Options
from mindspore_maml.data import own_classes
from mindspore_maml.data.alphabets import NOTES, Alphabets, alphabets_in
from mindspore_maml.data.archives import OFFICIAL, download, unpack
from mindspore_maml.data.class_images import Classes
from mindspore_maml.data.folders import own_folders
from mindspore_maml.data.glyphs import ALPHABET, draw_glyphs
from mindspore_maml.data.images import PHOTOGRAPHS, read_picture, sizes_of
from mindspore_maml.data.origin import fingerprint, state_of
from mindspore_maml.Omniglot import (
    ARCHIVES,
    CLASSES,
    FILE_NAME,
    FOLDERS,
    NPY,
    TOP_FOLDERS,
    Source,
    archives_in,
    data_set_with_ink_high,
    find,
    load_npy,
    search,
)

OMNIGLOT_COUNTS = (50, 1623, 32460)       # alphabets, characters, images
RANDOM_SHAPE = (1623, 20, 1, 28, 28)      # as the PyTorch tutorial's stand-in for the data


def load_images(data_path: str, imgsz: int, imgc: int) -> Classes:
    """The data set under `data_path`, building its omniglot.npy first where there is none, or its folders have changed.

    Returns
    -------
    ndarray of uint8, [character, drawing, imgc, imgsz, imgsz], or ClassImages
        Ink 255, paper 0.
    """
    try:
        source = find(data_path)
        if source.kind == CLASSES:
            return own_classes.load(source.path, imgsz, imgc)
        if source.kind == NPY:
            changed, drawn = _changed_folders(source), search(data_path, (FOLDERS, ARCHIVES))
            if drawn and sizes_in(source) not in (None, (imgsz, imgc)):   # of that size for this time alone
                log.info(f"{source.path}: of another size, so {drawn.path} is read at {imgsz} x {imgsz} x {imgc}")
                return data_set_with_ink_high(read_folders(unpacked(drawn), imgsz, imgc), drawn.path)
            if not changed:
                return load_npy(source.path, imgsz, imgc)
            log.info(f"{source.path}: built anew, since {changed.path} has changed")
            source = changed
        source = unpacked(source)
        return data_set_with_ink_high(_read_and_write(source, imgsz, imgc), source.root / FILE_NAME)
    except OSError as error:
        raise InputError(f"--data_path {data_path}: not readable ({error})") from error


def sizes_in(source: Source) -> tuple[int, int] | None:
    """Pixels a side and channels of a data set; None where it has none of its own, or is in archives."""
    if source.kind == CLASSES:
        recipe = own_classes.read_recipe(source.path)
        return recipe.imgsz, recipe.imgc
    try:
        if source.kind == FOLDERS:
            return sizes_of(drawing for character in characters_in(source) for drawing in _drawings(character)[:1])
        there = source.kind == NPY
        shape: tuple[int, ...] = np.load(source.path, mmap_mode="r", allow_pickle=False).shape if there else ()
    except Exception:   # NumPy evaluates the file's head as Python; who reads the images says what is wrong
        return None
    return (shape[3], shape[2]) if len(shape) == 5 and shape[2] in (1, 3) and shape[3] == shape[4] else None


def with_sizes(options: Options, found: tuple[int, int] | None, by_hand: Collection[str]) -> Options:
    """The options, in which images are as large as they were found where nothing given by hand says how large."""
    sizes = zip(("imgsz", "imgc"), found or ())
    return options.but(**{name: value for name, value in sizes if name not in by_hand})


def _read_and_write(source, imgsz, imgc):
    """The images of folders, as drawn; kept for the next time where that can be."""
    made_of = _fingerprint(source)   # before they are read: what changes meanwhile is noticed next time
    images = read_folders(source, imgsz, imgc)
    try:
        write(source.root / FILE_NAME, images)
        _remember(source, made_of)
    except OSError as error:
        log.info(f"{source.root / FILE_NAME}: not written ({error.strerror}); the images are read again next time")
    return images


def _remember(source, made_of):
    """Note beside omniglot.npy what it was made of."""
    notes = {"folder": os.path.relpath(source.path, source.root), "made_of": made_of,
             "array": state_of(source.root / FILE_NAME)} | _alphabets_of(source)
    with replacing(source.root / NOTES) as temporary:
        temporary.write_text(json.dumps(notes) + "\n", encoding="utf-8")


def _alphabets_of(source):
    """The alphabets in the order of the characters, and how many of them are background, in values that JSON keeps."""
    tops = [own_folders(source.path / top) for top in TOP_FOLDERS]
    return {"alphabets": [[alphabet.name, len(own_folders(alphabet))] for top in tops for alphabet in top],
            "background": len(tops[0])}


def load_alphabets(data_path: str, characters: int) -> Alphabets:
    """The alphabets of the data set under `data_path`, which has so many characters.

    Raises
    ------
    InputError
        Where it has none: one's own classes, or an array that nobody knows the alphabets of.
    """
    source = find(data_path)
    if source.kind == CLASSES:
        raise InputError(f"{source.path}: one's own classes are of no alphabets; expected Omniglot "
                         f"(--split background and --within_alphabet are about its alphabets)")
    return alphabets_in(source.root, characters)


def _changed_folders(source):
    """The folders that an omniglot.npy was made of, where they have changed since; None where not, or nobody knows."""
    path = source.root / NOTES
    if not is_file(path):
        return None
    try:
        notes = parse_json(read_text(path, str(path)), str(path))
        folders = Source(FOLDERS, source.root / notes["folder"], source.root)
        own = notes["array"] == state_of(source.path)   # not another array, put in its place
        there = own and all(is_folder(folders.path / top) for top in TOP_FOLDERS)
        return folders if there and _fingerprint(folders) != notes["made_of"] else None
    except (InputError, KeyError, TypeError):
        return None   # notes that no program of ours wrote


def _fingerprint(folders):
    return fingerprint([folders.path / top for top in TOP_FOLDERS])


def unpacked(source: Source) -> Source:
    """The source itself where it is folders; where it is archives, the folders they are unpacked to."""
    if source.kind == FOLDERS:
        return source
    folder = source.root / "processed"
    unpack(archives_in(source), folder)
    return Source(FOLDERS, folder, source.root)


def characters_in(source: Source) -> list[Path]:
    """The folder of every character: background before evaluation, sorted, whatever order the file system gives.

    Raises
    ------
    InputError
        Where a top folder holds none.
    """
    result = []
    for top in TOP_FOLDERS:
        found = [character for alphabet in own_folders(source.path / top) for character in own_folders(alphabet)]
        if not found:
            raise InputError(f"{source.path / top}: holds no <alphabet>/<character> folders; expected some")
        result += found
    return result


def read_folders(source: Source, imgsz: int, imgc: int) -> np.ndarray:
    """All drawings of a source.

    Returns
    -------
    ndarray of uint8, [character, drawing, imgc, imgsz, imgsz]
        As drawn: Omniglot's paper is 255.

    Raises
    ------
    InputError
        Naming the file or folder that differs from the first one, or cannot be read.
    """
    characters = characters_in(source)
    files = [_drawings(character) for character in characters]
    for character, drawings in zip(characters, files):
        if not drawings or len(drawings) != len(files[0]):
            raise InputError(f"{character}: holds {len(drawings)} drawings (*.png); expected some, and as many in "
                             f"every character ({characters[0]} holds {len(files[0])})")
    shape = (len(characters), len(files[0]), imgc, imgsz, imgsz)
    refuse_beyond_memory(math.prod(shape), f"{source.path}: images of {imgsz} x {imgsz} x {imgc}",
                         "see --imgsz and --imgc")
    images = np.empty(shape, np.uint8)
    size = None
    for number, drawings in enumerate(tqdm(files, unit="character", desc="reading", disable=None)):
        for drawer, path in enumerate(drawings):
            images[number, drawer], size = _read(path, imgsz, imgc, size)
    return images


def _drawings(character):
    return sorted(path for path in character.iterdir()
                  if path.suffix.lower() == ".png" and not path.name.startswith("."))


def _read(path, imgsz, imgc, size):
    """One drawing [imgc, imgsz, imgsz] and its size in the file, which must be `size` unless that is None."""
    picture = read_picture(path)
    found = picture.size
    if size and found != size:
        raise InputError(f"{path}: {found[0]} x {found[1]} pixels; expected {size[0]} x {size[1]}, as in the first one")
    pixels = picture.convert("L" if imgc == 1 else "RGB").resize((imgsz, imgsz), Image.Resampling.BICUBIC)
    return np.asarray(pixels).reshape(imgsz, imgsz, imgc).transpose(2, 0, 1), found


def write(path: Path, images: np.ndarray) -> None:
    """Write the array, whole or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, images)


def summary(source: Source, images: np.ndarray) -> str:
    """What was found, in a line; a second one where the official archives should hold something else."""
    alphabets = sum(len(own_folders(source.path / top)) for top in TOP_FOLDERS)
    counts = (alphabets, len(images), len(images) * images.shape[1])
    lines = ["{} alphabets, {} characters, {:,} images".format(*counts)]
    official = all((source.root / "raw" / name).exists() for name in OFFICIAL) and source.path.name == "processed"
    if official and counts != OMNIGLOT_COUNTS:
        lines.append("warning: Omniglot has {} alphabets, {} characters, {:,} images".format(*OMNIGLOT_COUNTS))
    return "\n".join(lines)


def make_glyphs(root: Path, seed: int) -> None:
    """Draw the glyph data into processed/, unless they are there already."""
    folder = root / "processed"
    if (folder / TOP_FOLDERS[0] / ALPHABET.format(1)).is_dir():
        print(f"{folder}: there already, so no glyphs are drawn", flush=True)
        return
    refuse_data(root, "--glyphs")
    with filling(folder) as temporary:
        draw_glyphs(temporary, seed)


def refuse_data(root: Path, flag: str) -> None:
    """Made-up data must neither replace nor hide what someone keeps there."""
    if source := search(root):
        raise InputError(f"{flag}: there is data in {source.path} already; expected a folder without")


def make_random(root: Path, seed: int) -> None:
    """Write an array of random bytes in Omniglot's shape."""
    refuse_data(root, "--random")
    path = root / FILE_NAME
    images = np.random.default_rng(seed).integers(0, 256, RANDOM_SHAPE, np.uint8)
    write(path, images)
    print(f"{path}: {images.shape} random bytes, which nothing can be learned from", flush=True)


def build(options: Options) -> None:
    """Find the folders or archives and write omniglot.npy from them; without them, check the one that is there."""
    source = search(options.data_path, (FOLDERS, ARCHIVES)) or find(options.data_path)
    options = with_sizes(options, sizes_in(source), options.given)
    if source.kind == CLASSES:
        made = own_classes.read_recipe(source.path)
        build_classes(source.path, dataclasses.replace(made, imgsz=options.imgsz, imgc=options.imgc))
        return
    if source.kind == NPY:
        load_npy(source.path, options.imgsz, options.imgc)
        print(f"{source.path}: left as it is, since there are no drawings to build it from", flush=True)
        return
    source = unpacked(source)
    made_of = _fingerprint(source)
    images = read_folders(source, options.imgsz, options.imgc)
    write(source.root / FILE_NAME, images)
    _remember(source, made_of)
    print(f"{source.root / FILE_NAME}: {images.shape}", flush=True)
    print(summary(source, images), flush=True)


def take_classes(root: Path, options: Options) -> None:
    """Read one's own images, as --classes says."""
    source = search(root)
    if source and source.kind != CLASSES:
        raise InputError(f"--classes: there is data in {source.path} already; expected a --data_path without")
    train, test = (os.path.abspath(folder) if folder else ""  # noqa: PTH100
                   for folder in (options.classes, options.test_classes))
    there = [folder for folder in (train, test) if folder and is_folder(folder)]
    options = with_sizes(options, sizes_of(own_classes.first_pictures(there)), options.given)
    build_classes(root / own_classes.FILE_NAME,
                  own_classes.Recipe(train, test, options.val_fraction, options.imgsz, options.imgc, kind_of(options)))


def kind_of(options: Options) -> str:
    """What one's own pictures are read as: as --images says; without it those in colour as photographs."""
    return options.images if "images" in options.given or options.imgc == 1 else PHOTOGRAPHS


def build_classes(path: Path, recipe: own_classes.Recipe) -> None:
    """Write classes.npz, and say what is in it."""
    classes = own_classes.build(path, recipe)
    print(f"{path}: {own_classes.describe(classes)}", flush=True)
    few = [name for name, count in zip(classes.names, classes.counts) if count < 2]
    if few:
        log.warning(f"no task has room for classes of one image: {own_classes.name_some(few)}")
    usable = [(classes.counts[part] >= 2).sum() for part in (slice(classes.n_train), slice(classes.n_train, None))]
    print(f"--n_way may be up to {usable[0]} in training and {usable[1]} in testing", flush=True)


def fetch(root: Path, url: str) -> None:
    """Download the official archives where there is no data, or the one that is missing beside the other."""
    source = search(root)
    if source is None:
        download(url, root / "raw")
    elif source.kind == ARCHIVES and len({path.name for path in archives_in(source)} & set(OFFICIAL)) == 1:
        download(url, source.path)
    else:
        print(f"{source.path}: there already, so nothing is downloaded", flush=True)


def main() -> int:
    options = parse(DATA, __doc__)
    root = Path(options.data_path)
    chosen = [name for name in ("classes", "glyphs", "random", "download") if getattr(options, name)]
    if len(chosen) > 1:
        raise InputError(f"--{' and --'.join(chosen)} exclude each other; expected at most one of them")
    if options.test_classes and not options.classes:
        raise InputError("--test_classes without --classes; expected the folder of the classes to train on too")
    if chosen:
        make_folder(root, "--data_path")
    if options.classes:
        take_classes(root, options)
        return 0
    if options.random:
        make_random(root, options.data_seed)
        return 0
    if options.glyphs:
        make_glyphs(root, options.data_seed)
    if options.download:
        fetch(root, options.url)
    build(options)
    return 0

