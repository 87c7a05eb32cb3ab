"""Images as a user may have them: six classes of drawn shapes, of any size, and files of them in mixed formats."""
import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("circle", "cross", "stripes", "triangle 三角", "dots", "a line")
SUFFIXES = (".png", ".jpg", ".webp", ".bmp", ".tif", ".JPEG")


def shape(name, draws, dark_paper=False):
    """A Pillow image, 40 to 90 pixels a side, of a class; where and how large the shape is comes from `draws`."""
    width, height = draws.integers(40, 91, 2).tolist()
    ink, paper = ("white", "black") if dark_paper else ("black", "white")
    image = Image.new("RGB", (width, height), paper)
    draw, line = ImageDraw.Draw(image), max(2, min(width, height) // 14)
    left, top, right, bottom = (draws.uniform(*part) * length for part, length in zip(
        ((0.1, 0.2), (0.1, 0.2), (0.8, 0.9), (0.8, 0.9)), (width, height, width, height)))
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    if name == CLASSES[0]:
        draw.ellipse((left, top, right, bottom), outline=ink, width=line)
    elif name == CLASSES[1]:
        draw.line((left, middle_y, right, middle_y), ink, line)
        draw.line((middle_x, top, middle_x, bottom), ink, line)
    elif name == CLASSES[2]:
        for y in np.linspace(top, bottom, 4):
            draw.line((left, y, right, y), ink, line)
    elif name == CLASSES[3]:
        draw.line((left, bottom, right, bottom, middle_x, top, left, bottom), ink, line)
    elif name == CLASSES[4]:
        for x in (left, middle_x, right):
            draw.ellipse((x - line, middle_y - line, x + line, middle_y + line), fill=ink)
    else:
        draw.line((left, top, right, bottom), ink, line)
    return image


def shapes(ways, count, seed):
    """`count` images of each of the first `ways` classes, and their classes; every third on dark paper."""
    draws = np.random.default_rng(seed)
    names = [name for name in CLASSES[:ways] for _ in range(count)]
    return [shape(name, draws, dark_paper=number % 3 == 2) for number, name in enumerate(names)], names


def write_folders(folder, ways, seed):
    """A folder a class under `folder`: of the first class one image, of each other one more, in mixed formats."""
    draws = np.random.default_rng(seed)
    for number, name in enumerate(CLASSES[:ways]):
        (folder / name).mkdir(parents=True)
        for drawing in range(number + 1):
            path = folder / name / f"{name} {drawing}{SUFFIXES[(number + drawing) % len(SUFFIXES)]}"
            shape(name, draws, dark_paper=drawing % 3 == 2).save(path)
