"""What the user got wrong: an error whose text is one clear line."""
import reprlib

LONGEST_LINE = 2000   # characters of an error's line
_short = reprlib.Repr()
_short.maxlevel, _short.maxstring, _short.maxother, _short.maxlong = 3, 60, 60, 40


class InputError(ValueError):
    """Bad input; its text names the flag or file, what was found and what was expected."""

    def __str__(self) -> str:
        return one_line(super().__str__())


def one_line(text: str) -> str:
    """`text` as one line of bounded length: line breaks and control characters escaped."""
    escaped = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return escaped if len(escaped) <= LONGEST_LINE else escaped[:LONGEST_LINE] + " ..."


def shown(value: object) -> str:
    """`value`, of any type, depth and length, as a short text for a message."""
    try:
        return _short.repr(value)
    except ValueError:   # Python does not write whole numbers of more than 4300 digits
        return f"a {type(value).__name__} too long to show"
