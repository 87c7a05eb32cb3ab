"""Pictures on their way between browser and server: data URLs within limits, and photos made small enough for them."""
import base64
import binascii
import io
import re
import tempfile
from pathlib import Path

from PIL import Image
from werkzeug.exceptions import BadRequest

from mindspore_maml.cli.errors import InputError
from mindspore_maml.data.images import read_picture
from mindspore_maml.demo.limits import MOST_IMAGE_BYTES, MOST_SIDE, PHOTO_SIDE

PREFIX = "data:image/png;base64,"
DATA_URL = re.compile(r"data:image/(png|jpeg);base64,")
LARGE_PNG = 30_000   # bytes; a photo has fewer as JPEG, a drawing has never so many
QUALITY = 90


def image_in(url: object, what: str) -> Image.Image:
    """The image of a data URL of a PNG or JPEG file.

    Raises
    ------
    BadRequest
        Where it is none, too large, or shows nothing; `what` names it.
    """
    kind = DATA_URL.match(url) if isinstance(url, str) else None
    if not kind:
        raise BadRequest(f"{what}: expected a text that begins with {PREFIX}")
    try:
        content = base64.b64decode(kind.string[kind.end():], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"{what}: no base64 ({error})") from error
    if len(content) > MOST_IMAGE_BYTES:
        raise BadRequest(f"{what}: {len(content)} bytes; expected at most {MOST_IMAGE_BYTES}")
    name = kind[1].upper()
    try:
        image = Image.open(io.BytesIO(content), formats=(name,))
    except Exception as error:   # Pillow's decoders raise nearly every kind on a damaged file
        raise BadRequest(f"{what}: no {name} file") from error
    if max(image.size) > MOST_SIDE:
        raise BadRequest(f"{what}: {image.width} x {image.height} pixels; expected at most {MOST_SIDE} a side")
    try:
        low, high = image.convert("L").getextrema()
    except Exception as error:
        raise BadRequest(f"{what}: a damaged {name} file") from error
    if low == high:
        raise BadRequest(f"{what}: shows a single colour; expected a drawing")
    return image


def as_url(image: Image.Image) -> str:
    """The data URL of an image, as a PNG file, or where that is large as a JPEG file."""
    content, kind = io.BytesIO(), "png"
    image.save(content, "PNG")
    if content.tell() > LARGE_PNG:
        content, kind = io.BytesIO(), "jpeg"
        image.convert("RGB").save(content, "JPEG", quality=QUALITY)
    return f"data:image/{kind};base64," + base64.b64encode(content.getvalue()).decode("ascii")


def reduced(content: bytes) -> Image.Image:
    """The picture of an uploaded file, upright, its longer side at most `PHOTO_SIDE` pixels.

    Raises
    ------
    InputError
        Where it cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(content)
        try:
            picture = read_picture(path, PHOTO_SIDE)
        except InputError as error:
            raise InputError(str(error).replace(str(path), "this file")) from error
    picture.thumbnail((PHOTO_SIDE, PHOTO_SIDE))
    return picture
