"""Names of classes as pictures show them."""

LONGEST = 14   # letters


def shortened(name: object, longest: int = LONGEST) -> str:
    """A class's name as it fits beside an image; dollars stay dollars, not formulas."""
    text = str(name)
    text = text if len(text) <= longest else text[:longest - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return text.replace("$", r"\$")
