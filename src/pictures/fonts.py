"""Fonts for names in any script: beside the usual one those installed here that have the letters it lacks."""
import contextlib
from collections.abc import Iterable

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

BOXES = "Last Resort"   # a font of matplotlib's that has a box for every letter
REGULAR = ("400", "normal", "regular")   # weights


def families_for(letters: Iterable[str]) -> list[str]:
    """The families of fonts for a text with these letters, the usual one first; letters that no font has are left."""
    usual = font_manager.FontProperties()
    families, lacking = list(usual.get_family()), set(letters) - _letters_of(font_manager.findfont(usual)) - {"\n"}
    for font in _installed() if lacking else ():
        if lacking and not font.name.startswith(BOXES) and (found := lacking & _letters_of(font.fname)):
            families.append(font.name)
            lacking -= found
    return list(dict.fromkeys(families))


def _installed():
    """All fonts there are, upright and regular ones first; also those installed since matplotlib last looked."""
    fonts = font_manager.fontManager
    for path in set(font_manager.findSystemFonts()) - {font.fname for font in fonts.ttflist}:
        with contextlib.suppress(Exception):   # a damaged file is no font
            fonts.addfont(path)
    return sorted(fonts.ttflist, key=lambda font: (font.style != "normal", str(font.weight) not in REGULAR, font.name))


def _letters_of(path):
    with contextlib.suppress(OSError, RuntimeError):   # removed since matplotlib looked, or damaged
        return set(map(chr, font_manager.get_font(path).get_charmap()))
    return set()


def use_fonts_that_have_all(figure: Figure) -> None:
    """Let every text of a figure fall back on the fonts that it takes."""
    texts = figure.findobj(Text)
    families = families_for("".join(text.get_text() for text in texts))
    if len(families) > 1:
        for text in texts:
            text.set_fontfamily(families)
