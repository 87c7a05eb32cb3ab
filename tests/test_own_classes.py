"""One's own images: read in all formats and numbers, followed as they change, drawn unevenly, trained on."""
import os
import shutil
import unicodedata

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mindspore_maml import data_preprocess
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import EVAL, TRAIN
from mindspore_maml.data import own_classes
from mindspore_maml.data.class_images import ClassImages, counts_of
from mindspore_maml.data_preprocess import load_images
from mindspore_maml.OmniglotIter import OmniglotIter
from mindspore_maml.programs import evaluate, train
from mindspore_maml.training.from_options import load_split, make_episodes
from tests.small_omniglot import make_folders

SUFFIXES = ("jpg", "png", "webp", "bmp", "tiff")
NUMBERS = {"ba na na": 7, "文字": 4, "apple": 9, "Zebra": 3, "kiwi": 2, "pear": 8, "one": 1, "fig": 5}


def draw(path, angle, number):
    """A line of the class's angle: sizes, formats, and which of ink and paper is dark differ."""
    size = (40 + 8 * number, 40 + 5 * angle)
    ink, paper = (0, 255) if number % 2 else (240, 10)
    image = Image.new("RGB", size, (paper,) * 3)
    x, y = 0.35 * np.cos(angle * 0.4), 0.35 * np.sin(angle * 0.4)
    ImageDraw.Draw(image).line([(size[0] * (0.5 - x), size[1] * (0.5 - y)), (size[0] * (0.5 + x), size[1] * (0.5 + y))],
                               fill=(ink,) * 3, width=6)
    image.save(path.with_suffix("." + SUFFIXES[number % len(SUFFIXES)]))


@pytest.fixture
def folder(tmp_path):
    """A folder a class, and what lies about in such folders."""
    for angle, (name, count) in enumerate(NUMBERS.items()):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for number in range(count):
            draw(tmp_path / "mine" / name / f"photo {number}", angle, number)
    (tmp_path / "mine" / "apple" / "notes.txt").write_text("no image")
    (tmp_path / "mine" / "apple" / "broken.jpg").write_bytes(b"no image either")
    (tmp_path / "mine" / "empty").mkdir()
    (tmp_path / "mine" / ".thumbnails").mkdir()
    return tmp_path / "mine"


def preprocess(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["data_preprocess.py", *map(str, arguments)])
    return data_preprocess.main()


@pytest.fixture
def data(folder, tmp_path, monkeypatch, capsys):
    preprocess(monkeypatch, "--data_path", tmp_path / "data", "--classes", folder)
    return tmp_path / "data"


def by_name(classes):
    return {name: classes.images[first:first + count] for name, first, count
            in zip(classes.names, classes.first, classes.counts, strict=True)}


def test_classes_are_read_and_said(data, folder, capsys):
    printed = capsys.readouterr().out
    assert "broken.jpg: not readable" in printed
    assert "empty: holds no image that can be read; this class is left out" in printed
    assert "8 classes (6 to train on, 2 to test on), 1 to 9 images each, 28 x 28 x 1" in printed
    assert "no task has room for classes of one image: one" in printed
    classes = load_images(data, 28, 1)
    assert dict(zip(classes.names, classes.counts, strict=True)) == NUMBERS
    for images in by_name(classes).values():   # ink is high whatever it was
        assert (np.median(images, axis=(1, 2, 3)) < 40).all()
        assert (images.max(axis=(1, 2, 3)) > 150).all()


def test_the_same_folder_gives_the_same_classes_to_test_on(data, folder, tmp_path, monkeypatch):
    before = load_images(data, 28, 1)
    preprocess(monkeypatch, "--data_path", tmp_path / "again", "--classes", folder)
    assert (tmp_path / "again" / "classes.npz").exists()
    after = load_images(tmp_path / "again", 28, 1)
    assert (after.names, after.n_train) == (before.names, before.n_train)
    assert np.array_equal(after.images, before.images)


def test_a_second_folder_says_which_classes_test(folder, tmp_path, monkeypatch):
    for name in ("kiwi", "pear"):
        (tmp_path / "others").mkdir(exist_ok=True)
        shutil.move(folder / name, tmp_path / "others" / name)
    preprocess(monkeypatch, "--data_path", tmp_path / "data", "--classes", folder,
               "--test_classes", tmp_path / "others", "--imgsz", 20, "--imgc", 3)
    classes = load_images(tmp_path / "data", 20, 3)
    assert classes.names[classes.n_train:] == ("kiwi", "pear")
    assert classes.images.shape[1:] == (3, 20, 20)


@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_a_fraction_says_how_many_classes_test(folder, tmp_path, monkeypatch, part):
    shutil.rmtree(folder / "empty")
    preprocess(monkeypatch, "--data_path", tmp_path / "data", "--classes", folder, "--val_fraction", part)
    classes = load_images(tmp_path / "data", 28, 1)
    assert len(classes) - classes.n_train == {0.0: 1, 0.5: 4, 1.0: 7}[part]


def add_class(folder):
    (folder / "new").mkdir()
    draw(folder / "new" / "one", 3, 1)


def touch(folder):
    (path,) = folder.glob("kiwi/photo 0.*")
    os.utime(path, ns=(1, 1))


CHANGES = {"a class more": add_class, "a file less": lambda folder: next(folder.glob("kiwi/*0.*")).unlink(),
           "a file written again": touch, "a class less": lambda folder: shutil.rmtree(folder / "pear")}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_folder_is_noticed(data, folder, capsys, change):
    load_images(data, 28, 1)
    assert "built anew" not in capsys.readouterr().out
    CHANGES[change](folder)
    classes = load_images(data, 28, 1)
    assert f"built anew, since {folder} has changed" in capsys.readouterr().out
    assert ("new" in classes.names) == (change == "a class more")
    assert ("pear" in classes.names) == (change != "a class less")
    load_images(data, 28, 1)
    assert "built anew" not in capsys.readouterr().out


def test_without_the_folder_the_data_stay(data, folder, capsys):
    shutil.rmtree(folder)
    assert len(load_images(data, 28, 1)) == len(NUMBERS)
    assert "no longer there" in capsys.readouterr().out


def test_a_changed_folder_of_drawings_is_noticed(tmp_path, capsys):
    make_folders(tmp_path / "processed")
    before = load_images(tmp_path, 10, 1)
    alphabet = tmp_path / "processed" / "images_background" / "Alpha"
    shutil.copytree(alphabet / "character01", alphabet / "character03")
    after = load_images(tmp_path, 10, 1)
    assert f"built anew, since {tmp_path / 'processed'} has changed" in capsys.readouterr().out
    assert len(after) == len(before) + 1
    np.save(tmp_path / "omniglot.npy", before)   # somebody's own array is left alone
    shutil.rmtree(alphabet / "character03")
    assert np.array_equal(load_images(tmp_path, 10, 1), before)
    assert "built anew" not in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "words"), [
    (["--classes", "nowhere"], "--classes .*nowhere: no such folder"),
    (["--classes", "mine/apple"], "--classes .*apple: holds no folders; expected a folder of images for each class"),
    (["--classes", "mine", "--glyphs"], "--classes and --glyphs exclude each other"),
    (["--test_classes", "mine"], "--test_classes without --classes"),
    (["--classes", "single"], "holds one class; expected at least 2"),
    (["--classes", "mine", "--test_classes", "nowhere"], "--test_classes .*nowhere: no such folder"),
    (["--classes", "bad"], "0 classes to train on and 0 to test on hold images"),
])
def test_what_cannot_be_is_refused(folder, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "single" / "it").mkdir(parents=True)
    for name in ("a", "b"):
        (tmp_path / "bad" / name).mkdir(parents=True)
        os.mkfifo(tmp_path / "bad" / name / "pipe.png")
    with pytest.raises(InputError, match=words):
        preprocess(monkeypatch, "--data_path", "data", *arguments)
    assert not (tmp_path / "data" / "classes.npz").exists()


def test_other_data_are_left_alone(folder, tmp_path, monkeypatch):
    np.save(tmp_path / "omniglot.npy", np.eye(8, dtype=np.uint8) * np.full((4, 3, 1, 1, 1), 255, np.uint8))
    with pytest.raises(InputError, match="there is data in .*omniglot.npy already"):
        preprocess(monkeypatch, "--data_path", tmp_path, "--classes", folder)


def test_a_damaged_file_is_refused(data):
    whole = (data / "classes.npz").read_bytes()
    for bit in range(0, 8 * len(whole), 4001):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        (data / "classes.npz").write_bytes(changed)
        try:
            classes = own_classes.load(data / "classes.npz", 28, 1)
        except InputError as error:
            assert "classes.npz" in str(error)
        else:
            assert len(classes) == len(NUMBERS)
    (data / "classes.npz").write_bytes(whole)
    (data.parent / "mine").rename(data.parent / "elsewhere")   # else they are read anew at that size
    with pytest.raises(InputError, match="expected 32 x 32 and 1"):
        load_images(data, 32, 1)


def uneven(counts):
    """Images whose first pixel is their class, the second their number in it."""
    images = np.zeros((sum(counts), 1, 4, 4), np.uint8)
    images[:, 0, 0, 0] = np.repeat(np.arange(len(counts)), counts)
    images[:, 0, 0, 1] = np.concatenate([np.arange(count) for count in counts])
    return ClassImages(images, counts, list("abcdefgh")[:len(counts)], len(counts))


def test_each_class_is_drawn_from_what_it_has():
    counts = [3, 40, 5, 4]
    seen = [set() for _ in counts]
    for x_spt, y_spt, x_qry, y_qry in OmniglotIter(uneven(counts), n_way=3, k_spt=1, k_qry=2, task_num=50, batches=8,
                                                   seed=1):
        assert (x_spt.shape, x_qry.shape) == ((50, 3, 1, 4, 4), (50, 6, 1, 4, 4))
        pixels = np.rint(np.concatenate([x_spt, x_qry], axis=1)[:, :, 0, 0, :2] * 255).astype(int)   # class, number
        labels = np.concatenate([y_spt, y_qry], axis=1)
        for task in range(50):
            drawn = [tuple(image) for image in pixels[task]]
            assert len(set(drawn)) == len(drawn)
            assert len({(label, image[0]) for label, image in zip(labels[task], drawn, strict=True)}) == 3
            for kind, number in drawn:
                seen[kind].add(number)
    assert [len(numbers) for numbers in seen] == counts   # every image of every class, and no other


def test_even_classes_are_drawn_as_an_array_is():
    classes = uneven([6] * 5)
    array = classes.images.reshape(5, 6, 1, 4, 4)
    sizes = {"n_way": 3, "k_spt": 1, "k_qry": 2, "task_num": 4, "batches": 2, "seed": 1, "rotate": True}
    for batch, other in zip(OmniglotIter(classes, **sizes), OmniglotIter(array, **sizes), strict=True):
        assert all(map(np.array_equal, batch, other))


def test_parts_of_classes_keep_their_images():
    classes = uneven([2, 3, 4, 5])[np.array([3, 0])][:1]
    (images,) = by_name(classes).values()
    assert classes.names == ("d",)
    assert images[:, 0, 0, 0].tolist() == [3] * 5


def test_query_images_shrink_to_what_there_is_and_a_line_says_so(data, capsys):
    options = parse(TRAIN, "", ["--data_path", str(data), "--n_way", "2"])
    train, test, options = load_split(options)
    printed = capsys.readouterr().out
    assert "left out, for --k_spt 1 and a query image need 2 images: one" in printed
    assert "k_qry 3 -> 1: the smallest class has 2 images, 1 of which are support images" in printed
    assert options.k_qry == 1
    assert sorted([*train.names, *test.names]) == sorted(set(NUMBERS) - {"one"})
    assert counts_of(train).sum() + counts_of(test).sum() == sum(NUMBERS.values()) - 1
    next(iter(make_episodes(train, options, 1)))
    options = parse(EVAL, "", ["--data_path", str(data), "--n_way", "2", "--k_qry", "9"])
    with pytest.raises(InputError, match="--k_spt 1 and --k_qry 9 need 10 drawings"):   # given by hand
        make_episodes(load_split(options)[1], options, 1)
    with pytest.raises(InputError, match="--k_spt 9: no class has more images than that"):
        load_split(parse(EVAL, "", ["--data_path", str(data), "--k_spt", "9"]))
    with pytest.raises(InputError, match="there are 2 classes .*--val_fraction or --test_classes"):
        make_episodes(test, parse(EVAL, "", ["--data_path", str(data), "--n_way", "3"]), 1)


def test_a_network_trains_on_ones_own_images(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text("network: [{layer: conv2d, filters: 8, stride: 2, padding: 1}, {layer: bn}, "
                                        "{layer: relu}, {layer: reduce_mean}, {layer: linear}]")
    common = ["--data_path", data, "--device_target", "CPU", "--workers", "1", "--task_num", "4"]
    for program, arguments in (
            (train, ["--preset", "tiny.yaml", "--n_way", "2", "--epoch", "2"]),
            (evaluate, ["--ckpt", "ckpt_outputs", "--test_batches", "2"])):
        monkeypatch.setattr("sys.argv", [program.__name__, *map(str, [*common, *arguments])])
        status, printed = program.main(), capsys.readouterr()
        assert (status or 0, printed.err) == (0, "")
        assert "left out, for --k_spt 1 and a query image need 2 images: one" in printed.out
    assert "8 tasks, 2-way 1-shot, 1 query images a class" in printed.out


def test_what_is_left_out_is_named_and_a_systems_own_files_are_not(folder, capsys):
    for name in ("@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", "System Volume Information"):
        (folder / name).mkdir()
        (folder / "apple" / name).mkdir()
    (folder / "apple" / "old").mkdir()
    (folder / "apple" / "it.heic").write_bytes(b"\0\0\0 ftypheic")
    found = own_classes.class_pictures(folder)
    assert list(found) == sorted([*NUMBERS, "empty"])
    assert f"{folder / 'apple'}: 3 left out, no pictures that are read here: it.heic, notes.txt, old" \
        in capsys.readouterr().out


def test_small_squares_of_one_size_stay_as_they_are_where_no_flag_says_otherwise(tmp_path, monkeypatch, capsys):
    for number, name in enumerate("abcd"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for place in range(2):
            image = Image.new("RGB", (40, 40), (200, 30 * number, 10))
            image.paste((10, 10, 200), (place, 4, 20, 20))
            image.save(tmp_path / "mine" / name / f"{place}.png")
    for flags, sizes in ((("--classes", tmp_path / "mine"), "40 x 40 x 3"), ((), "40 x 40 x 3"),
                         (("--imgsz", 20), "20 x 20 x 3"), (("--imgsz", 28, "--imgc", 1), "28 x 28 x 1")):
        preprocess(monkeypatch, "--data_path", tmp_path / "data", *flags)
        assert f"2 images each, {sizes}" in capsys.readouterr().out


def test_names_that_read_alike_are_one_class(tmp_path):
    for number, form in enumerate(("NFC", "NFD")):
        folder = tmp_path / unicodedata.normalize(form, "caf\u00e9")
        folder.mkdir(parents=True)
        draw(folder / f"{number}", 2, number)
    (tmp_path / "other").mkdir()
    assert {name: len(files) for name, files in own_classes.class_pictures(tmp_path).items()} \
        == {"caf\u00e9": 2, "other": 0}


def test_a_picture_twice_is_named(folder, capsys):
    files = own_classes.class_pictures(folder)
    for place, target in (("a class", folder / "fig"), ("two classes", folder / "kiwi")):
        shutil.copy(files["fig"][0], target / f"copy{files['fig'][0].suffix}")
        own_classes.say_repeated(own_classes.class_pictures(folder).values())
        assert f"the same picture twice in {place}: " in capsys.readouterr().out
        (target / f"copy{files['fig'][0].suffix}").unlink()
    own_classes.say_repeated(files.values(), [files["fig"][0]])
    assert "twice" not in capsys.readouterr().out   # the file itself
    shutil.copy(files["fig"][0], folder / "asked.jpg")
    own_classes.say_repeated(files.values(), [folder / "asked.jpg"])
    assert "the same picture twice in examples and questions: " in capsys.readouterr().out
