"""Names of classes as pictures show them."""
from mindspore_maml.cli.errors import one_line

LONGEST = 14   # letters


def shortened(name: object, longest: int = LONGEST) -> str:
    """A class's name as it fits beside an image; dollars stay dollars, not formulas, and what is no letter shows so."""
    text = one_line(str(name).encode("utf-8", "replace").decode("utf-8"))
    text = text if len(text) <= longest else text[:longest - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return text.replace("$", r"\$")
