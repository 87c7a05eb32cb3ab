"""How drawings are told apart that were photographed in many ways: writes the table of docs/own-images.md.

    python -m benchmarks own_drawings --data_path D              test characters
    python -m benchmarks own_drawings --data_path D --of val     validation characters, by which the fit was chosen
"""
import argparse
import functools
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import write_sections
from benchmarks.drawn_tasks import (
    CKPT,
    ROOT,
    TEST,
    VALIDATION,
    accuracy,
    draw,
    drawings_of,
    fitted,
    in_processes,
    trained,
)
from benchmarks.photographs import BLACK, WHITE, Scene, any_scene, photograph
from mindspore_maml.cli.program import run_program
from mindspore_maml.data.images import read_picture

ANY = "photographed: all of this at random, in colour, on a table or not"
# What the pictures are like, by the name of their row; where two scenes stand, examples are of the first
ROWS: dict[str, tuple[Scene | str, ...]] = {
    "as Omniglot has them": (Scene(),),
    **{f"on a sheet {size:g} times as large": (Scene(sheet=size),) for size in (1.5, 2, 3, 4)},
    "the same 4 times, examples as Omniglot has them": (Scene(), Scene(sheet=4)),
    **{f"light falls off by {part:g}": (Scene(fall_off=part),) for part in (0.3, 0.6)},
    **{f"a hard shadow of {part:g}": (Scene(shadow=part),) for part in (0.15, 0.25)},
    **{f"ink at {part:g} of full": (Scene(strength=part),) for part in (0.5, 0.25, 0.15, 0.08)},
    **{f"a pen of {width:g} pixels of 105": (Scene(pen=width),) for width in (3, 7, 11, 15)},
    "a black frame of a pixel of 105": (Scene(frame=1),),
    "cut to the ink": (Scene(cut=True),),
    "cut to the ink, white on black": (Scene(cut=True, ink=WHITE, paper=BLACK),),
    "on ruled paper": (Scene(ruled=12, sheet=1.5),),
    "noise of 12 levels of 255": (Scene(noise=12),),
    "tilted, on a table": (Scene(tilt=0.06, sheet=1.5),),
    "a yellow pen": (Scene(ink=(255, 240, 80)),),
    "red on a green board": (Scene(ink=(190, 60, 60), paper=(60, 110, 70)),),
    "light ink, in 12 bits of 16": ("twelve bits",),
    "a mask of 0 and 1": ("mask",),
    ANY: ("any",),
}
CLASSES, DRAWINGS, WAYS, TASKS = 24, 5, 6, 64   # of each row: characters, drawings of each; of a task: classes


def picture_of(drawing: np.ndarray, scene: Scene | str, rng: np.random.Generator) -> Image.Image:
    """The picture of a drawing as `fit_drawing` takes it."""
    if scene == "twelve bits":
        return read_picture(Image.fromarray((4095 - 400 * drawing).astype(np.uint16)))
    if scene == "mask":
        return read_picture(drawing.astype(np.uint8))
    return photograph(drawing, scene if isinstance(scene, Scene) else any_scene(rng), rng)


def read(scene: Scene | str, drawings: np.ndarray) -> np.ndarray:
    """Drawings [class, drawing, 105, 105] photographed and fitted, [class, drawing, side, side]."""
    rng = np.random.default_rng(zlib.crc32(str(scene).encode()))
    images = fitted(picture_of(drawing, scene, rng) for drawing in drawings.reshape(-1, *drawings.shape[2:]))
    return images.reshape(*drawings.shape[:2], *images.shape[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", required=True, help="folder with Omniglot's drawings")
    parser.add_argument("--ckpt", default=str(CKPT), help="the network")
    parser.add_argument("--of", choices=("test", "val"), default="test", help="which characters")
    parser.add_argument("--page", default=str(ROOT / "docs" / "own-images.md"), help="the page that gets the table")
    options = parser.parse_args()
    drawings = drawings_of(options.data_path, TEST if options.of == "test" else VALIDATION, CLASSES, DRAWINGS)
    scenes = list(dict.fromkeys(scene for row in ROWS.values() for scene in row))
    pools = dict(zip(scenes, in_processes(functools.partial(read, drawings=drawings), scenes)))
    networks = {shots: trained(Path(options.ckpt), WAYS, shots) for shots in (1, 3)}
    lines = ["| what the pictures are like | one example | three |", "| --- | --- | --- |"]
    for name, row in ROWS.items():
        found = [accuracy(networks[shots], *draw(pools[row[0]], pools[row[-1]], WAYS, shots, 3, TASKS))
                 for shots in networks]
        lines.append(f"| {name} | " + " | ".join(f"{mean:.1f} ± {interval:.1f} %" for mean, interval in found) + " |")
        print(lines[-1], flush=True)
    if options.of == "test":
        write_sections(Path(options.page), {"own drawings": "\n".join(lines)})


if __name__ == "__main__":
    run_program(main)
