"""Omniglot's alphabets: which characters are of the same one, and which alphabets are the background set."""
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.reading import is_file, parse_json, read_text

NOTES = "omniglot.json"   # beside omniglot.npy: what it was made of
# Characters of each alphabet of github.com/brendenlake/omniglot, in the order of omniglot.npy
BACKGROUND = {
    "Alphabet_of_the_Magi": 20, "Anglo-Saxon_Futhorc": 29, "Arcadian": 26, "Armenian": 41,
    "Asomtavruli_(Georgian)": 40, "Balinese": 24, "Bengali": 46, "Blackfoot_(Canadian_Aboriginal_Syllabics)": 14,
    "Braille": 26, "Burmese_(Myanmar)": 34, "Cyrillic": 33, "Early_Aramaic": 22, "Futurama": 26, "Grantha": 43,
    "Greek": 24, "Gujarati": 48, "Hebrew": 22, "Inuktitut_(Canadian_Aboriginal_Syllabics)": 16,
    "Japanese_(hiragana)": 52, "Japanese_(katakana)": 47, "Korean": 40, "Latin": 26, "Malay_(Jawi_-_Arabic)": 40,
    "Mkhedruli_(Georgian)": 41, "N_Ko": 33, "Ojibwe_(Canadian_Aboriginal_Syllabics)": 14, "Sanskrit": 42,
    "Syriac_(Estrangelo)": 23, "Tagalog": 17, "Tifinagh": 55}
EVALUATION = {
    "Angelic": 20, "Atemayar_Qelisayer": 26, "Atlantean": 26, "Aurek-Besh": 26, "Avesta": 26, "Ge_ez": 26,
    "Glagolitic": 45, "Gurmukhi": 45, "Kannada": 41, "Keble": 26, "Malayalam": 47, "Manipuri": 40, "Mongolian": 30,
    "Old_Church_Slavonic_(Cyrillic)": 45, "Oriya": 46, "Sylheti": 28, "Syriac_(Serto)": 23, "Tengwar": 25,
    "Tibetan": 42, "ULOG": 26}


@dataclass(frozen=True)
class Alphabets:
    """Alphabets in the order of the characters: names, numbers of characters, and how many are the background set."""

    names: tuple[str, ...]
    counts: tuple[int, ...]
    background: int

    @property
    def of_characters(self) -> np.ndarray:
        """The number of every character's alphabet, [character]."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @property
    def background_characters(self) -> int:
        """How many characters, the first ones, are of the background set."""
        return sum(self.counts[:self.background])


OMNIGLOT = Alphabets((*BACKGROUND, *EVALUATION), (*BACKGROUND.values(), *EVALUATION.values()), len(BACKGROUND))


def alphabets_in(root: Path, characters: int) -> Alphabets:
    """The alphabets of an omniglot.npy of so many `characters`: what its notes tell, else Omniglot's if it can be that.

    Raises
    ------
    InputError
        Where neither is so.
    """
    found = _noted(root / NOTES) if is_file(root / NOTES) else None
    for alphabets in (found, OMNIGLOT):
        if alphabets and sum(alphabets.counts) == characters:
            return alphabets
    raise InputError(f"--data_path {root}: nobody knows the alphabets of its {characters} characters; expected "
                     f"Omniglot's {sum(OMNIGLOT.counts)}, or an array that data_preprocess.py builds from folders")


def _noted(path):
    try:
        notes = parse_json(read_text(path, str(path)), str(path))
        names, counts = zip(*notes["alphabets"])
        return Alphabets(tuple(map(str, names)), tuple(map(int, counts)), int(notes["background"]))
    except (InputError, KeyError, TypeError, ValueError):
        return None   # notes of before, or that no program of ours wrote
