"""None of these: how well unknown characters are told from learned ones, and how far probabilities can be trusted.

    python -m benchmarks unknown --data_path D --write      limits from validation characters, beside the checkpoint
    python -m benchmarks unknown --data_path D              by these limits, test characters: a table of own-images.md
"""
import argparse
import functools
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from benchmarks.common import write_sections
from benchmarks.drawn_tasks import (
    CKPT,
    ROOT,
    TEST,
    answers,
    draw,
    drawings_of,
    fitted,
    in_processes,
)
from benchmarks.photographs import any_scene, photograph
from mindspore_maml.cli.atomic_files import write_json
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.program import run_program
from mindspore_maml.data.alphabets import OMNIGLOT
from mindspore_maml.data.views import views_by_default
from mindspore_maml.OmniglotIter import OMNIGLOT_TRAIN_CLASSES
from mindspore_maml.training import checkpoint
from mindspore_maml.unknown import FILE_NAME, KEYS, centres, familiarity, limits_of

MEASURED = ((2, 1), (5, 1), (20, 1), (2, 5), (5, 5), (20, 5))   # classes, examples: limits are interpolated between
SHOWN = ((5, 1), (5, 5))
UNSEEN_BY = ROOT / "checkpoints" / "background"   # a network of the published one's recipe that has never seen
UNSEEN = slice(OMNIGLOT.background_characters, OMNIGLOT_TRAIN_CLASSES)   # these characters, of which the limits are
CLASSES, DRAWINGS, QUERY = 80, 11, 6   # of the characters, of a task's classes
KNOWN = {True: 1200, False: 3600}     # images of learned classes, for the limits and for the table
MOST_TASKS = 120
SHEETS = 100
KEPT, BINS = 0.02, 15   # of known images that may be called unknown: less than one wants of other characters
TEMPERATURES = np.geomspace(0.1, 20, 107)


def read(drawings: np.ndarray) -> np.ndarray:
    """Drawings [drawing, 105, 105] as the network takes them."""
    return fitted(Image.fromarray(np.where(drawing, 0, 255).astype(np.uint8)) for drawing in drawings)


def blank_sheet(seed: int) -> np.ndarray:
    """A photograph without a drawing as the network takes it, blank where it is refused: paper, or one in two noise."""
    rng = np.random.default_rng(seed)
    if seed % 2:
        return fitted([Image.fromarray(rng.normal(128, rng.uniform(5, 60), (120, 120)).clip(0, 255).astype(np.uint8))])
    return fitted([photograph(np.zeros((105, 105), bool), any_scene(rng), rng)])


def measured(ckpt: Path, images: np.ndarray, n_way: int, k_spt: int, known: int,
             sheets: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Log-probabilities of known images [image, class], the numbers of their classes, and the familiarity of these, of
    as many images of other classes, and of `sheets` in each task."""
    tasks = min(-(-known // (n_way * QUERY)), MOST_TASKS)
    support, query = draw(images, images, 2 * n_way, k_spt, QUERY, tasks)
    support, half = support[:, :n_way], n_way * QUERY
    own = support.reshape(tasks, -1, *support.shape[3:])
    asked = [query.reshape(tasks, 2 * half, *query.shape[3:]), own]
    if sheets is not None:
        asked.append(np.broadcast_to(sheets, (tasks, *sheets.shape)))
    found, features = answers(ckpt, support, np.concatenate(asked, axis=1), views_by_default(n_way * k_spt))
    numbers = np.repeat(np.arange(n_way), k_spt)
    behind = 2 * half + len(numbers)
    scores = np.stack([familiarity(each, centres(each[2 * half:behind], numbers)) for each in features])
    parts = np.split(scores, [half, 2 * half, behind], axis=1)
    return (found[:, :half].reshape(-1, n_way), np.tile(np.repeat(np.arange(n_way), QUERY), tasks),
            [parts[0].ravel(), parts[1].ravel(), parts[3].ravel()])


def calibration_error(of_known: np.ndarray, right: np.ndarray, temperature: float) -> float:
    """The mean difference between probability and accuracy over bins of probability (Naeini et al., 2015)."""
    best = softmax(of_known / temperature, axis=1).max(axis=1)
    bins = np.minimum((best * BINS).astype(int), BINS - 1)
    return float(sum(abs(best[bins == each].sum() - right[bins == each].sum()) for each in range(BINS)) / len(best))


def unlikeliness(of_known: np.ndarray, numbers: np.ndarray, temperature: float) -> float:
    """The negative log-likelihood of the right classes, which the best temperature makes least (Guo et al., 2017).

    With a little for what is far from 1, which decides where no answer is wrong.
    """
    found = softmax(of_known / temperature, axis=1)[np.arange(len(numbers)), numbers]
    return float(-np.log(found + 1e-12).sum() + np.log(temperature) ** 2 / 2)


def write(ckpt: Path, unseen_by: Path, images: np.ndarray) -> None:
    """Put the limits beside a checkpoint, as they are with a network like it that has not seen the characters."""
    points = []
    for ways, shots in MEASURED:
        of_known, numbers, scores = measured(unseen_by, images, ways, shots, KNOWN[True])
        temperature = min(TEMPERATURES, key=functools.partial(unlikeliness, of_known, numbers))
        points.append(dict(zip(KEYS, (ways, shots, round(float(np.quantile(scores[0], KEPT)), 4),
                                      round(float(temperature), 3)))))
        print(points[-1], flush=True)
    write_json(checkpoint.find(ckpt).parent / FILE_NAME, points)


def table(ckpt: Path, images: np.ndarray, sheets: np.ndarray) -> str:
    """How well the limits do on other characters, and on sheets without any."""
    lines = ["| examples of each of 5 classes | AUROC | known kept | unknown accepted | blank and noise refused | "
             "calibration error, before |", "| --- | --- | --- | --- | --- | --- |"]
    drawn = sheets[sheets.any(axis=(1, 2))]   # the others are refused before the network is asked
    for ways, shots in SHOWN:
        of_known, numbers, scores = measured(ckpt, images, ways, shots, KNOWN[False], drawn)
        limits = limits_of(checkpoint.find(ckpt), ways, shots)
        if limits is None:
            raise InputError(f"--ckpt {ckpt}: no {FILE_NAME} beside it; expected one, which --write writes")
        area = roc_auc_score(np.repeat([1, 0], len(scores[0])), np.concatenate(scores[:2]))
        kept, accepted, taken = (100 * (each >= limits.threshold).mean() if each.size else 0 for each in scores)
        right = of_known.argmax(axis=1) == numbers
        after, before = (calibration_error(of_known, right, each) for each in (limits.temperature, 1))
        lines.append(f"| {shots} | {area:.3f} | {kept:.1f} % | {accepted:.1f} % | "
                     f"{100 - taken * len(drawn) / len(sheets):.1f} % | {after:.4f}, {before:.4f} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", required=True, help="folder with Omniglot's drawings")
    parser.add_argument("--ckpt", default=str(CKPT), help="the network")
    parser.add_argument("--write", action="store_true", help="measure on validation characters, and keep the limits")
    parser.add_argument("--unseen_by", default=str(UNSEEN_BY), help="with --write: a network like it that has not seen "
                        "the characters to train on beyond the background alphabets")
    options = parser.parse_args()
    images = np.stack(in_processes(read, drawings_of(options.data_path, UNSEEN if options.write else TEST, CLASSES,
                                                     DRAWINGS)))
    if options.write:
        write(Path(options.ckpt), Path(options.unseen_by), images)
    else:
        sheets = np.concatenate(in_processes(blank_sheet, range(SHEETS)))
        write_sections(ROOT / "docs" / "own-images.md",
                       {"none of these": table(Path(options.ckpt), images, sheets)})


if __name__ == "__main__":
    run_program(main)
