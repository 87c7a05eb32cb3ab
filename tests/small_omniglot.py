"""A data set of six characters, laid out as Omniglot is."""
import zipfile

from PIL import Image

from mindspore_maml import data_preprocess
from mindspore_maml.Omniglot import TOP_FOLDERS

DRAWINGS = 3


def preprocess(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["data_preprocess.py", *map(str, arguments)])
    data_preprocess.main()


def draw(path, value, size=(20, 20), mode="L"):
    """A drawing of one grey level on white, so that its place in the array can be told."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new(mode, size, "white")
    image.paste((value,) * len(image.getbands()) if len(image.getbands()) > 1 else value, (0, 0, 6, 6))
    image.save(path)


def make_folders(root, size=(20, 20)):
    """Two alphabets and one, made in an order that is not the sorted one; levels rise in the sorted order."""
    names = [(TOP_FOLDERS[0], "Alpha"), (TOP_FOLDERS[0], "Beta"), (TOP_FOLDERS[1], "Aleph")]
    characters = [(top, alphabet, f"character{i:02}") for top, alphabet in names for i in (1, 2)]
    levels = {(character, drawing): 10 * i + drawing for i, character in enumerate(characters)
              for drawing in range(DRAWINGS)}
    for (character, drawing), level in sorted(levels.items(), reverse=True):
        draw(root.joinpath(*character, f"0001_{drawing:02}.png"), level, size)
    return len(characters)


def zip_of(folder, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*.png"):
            archive.write(file, file.relative_to(folder))


def levels_of(images):
    """The top left pixel of every drawing, as drawn."""
    return 255 - images[:, :, 0, 0, 0].astype(int)


EXPECTED_LEVELS = [[10 * i + drawing for drawing in range(DRAWINGS)] for i in range(6)]
