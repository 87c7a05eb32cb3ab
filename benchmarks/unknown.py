"""None of these: how well unknown characters are told from learned ones, and how far probabilities can be trusted.

    python -m benchmarks unknown --data_path D --write      limits from validation characters, beside the checkpoint
    python -m benchmarks unknown --data_path D              by these limits, test characters: a table of own-images.md
"""
import argparse
import functools
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.drawn_tasks import (
    CKPT,
    ROOT,
    TEST,
    VALIDATION,
    draw,
    drawings_of,
    fitted,
    in_processes,
    logits,
    trained,
)
from benchmarks.pages import write_sections
from mindspore_maml.classifier import softmax
from mindspore_maml.cli.atomic_files import write_json
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.program import run_program
from mindspore_maml.training import checkpoint
from mindspore_maml.unknown import FILE_NAME, KEYS, centres, familiarity, limits_of

MEASURED = ((2, 1), (5, 1), (20, 1), (2, 5), (5, 5), (20, 5))   # classes, examples: limits are interpolated between
SHOWN = ((5, 1), (5, 5))
CLASSES, DRAWINGS, TASKS, QUERY = 60, 9, 96, 3   # of the characters, of a task's classes
KEPT, BINS = 0.05, 15
TEMPERATURES = np.geomspace(0.5, 4, 43)


def read(drawings: np.ndarray) -> np.ndarray:
    """Drawings [drawing, 105, 105] as the network takes them."""
    from PIL import Image  # noqa: PLC0415 - in a process of its own
    return fitted(Image.fromarray(np.where(drawing, 0, 255).astype(np.uint8)) for drawing in drawings)


def measured(ckpt: Path, images: np.ndarray, n_way: int, k_spt: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of known images [image, class], whether the best class is right, and the familiarity [2, image] of these
    and of as many images of other classes."""
    support, query = draw(images, images, 2 * n_way, k_spt, QUERY, TASKS)
    tasks, known = len(query), n_way * QUERY
    support, query = support[:, :n_way], query.reshape(tasks, 2 * known, *query.shape[3:])
    numbers = np.repeat(np.arange(n_way), k_spt)
    own = support.reshape(tasks, -1, *support.shape[3:])
    found = logits(trained(ckpt, n_way, k_spt), support, np.concatenate([query, own], axis=1)).astype(np.float64)
    scores = np.stack([familiarity(each[:2 * known], centres(each[2 * known:], numbers)) for each in found])
    of_known = found[:, :known].reshape(-1, n_way)
    right = of_known.argmax(axis=1) == np.tile(np.repeat(np.arange(n_way), QUERY), tasks)
    return of_known, right, np.stack([scores[:, :known].ravel(), scores[:, known:].ravel()])


def calibration_error(of_known: np.ndarray, right: np.ndarray, temperature: float) -> float:
    """The mean difference between probability and accuracy over bins of probability (Naeini et al., 2015)."""
    best = softmax(of_known / temperature).max(axis=1)
    bins = np.minimum((best * BINS).astype(int), BINS - 1)
    return float(sum(abs(best[bins == each].sum() - right[bins == each].sum()) for each in range(BINS)) / len(best))


def negative_log_likelihood(of_known: np.ndarray, temperature: float) -> float:
    """Of the right classes, which are in turn: what the temperature makes least (Guo et al., 2017)."""
    ways = of_known.shape[1]
    numbers = np.resize(np.repeat(np.arange(ways), QUERY), len(of_known))
    return float(-np.log(softmax(of_known / temperature)[np.arange(len(numbers)), numbers] + 1e-12).mean())


def write(ckpt: Path, images: np.ndarray) -> None:
    """Put the limits beside a checkpoint."""
    points = []
    for ways, shots in MEASURED:
        of_known, _, scores = measured(ckpt, images, ways, shots)
        temperature = min(TEMPERATURES, key=functools.partial(negative_log_likelihood, of_known))
        points.append(dict(zip(KEYS, (ways, shots, round(float(np.quantile(scores[0], KEPT)), 4),
                                      round(float(temperature), 3)))))
        print(points[-1], flush=True)
    write_json(checkpoint.find(ckpt).parent / FILE_NAME, points)


def table(ckpt: Path, images: np.ndarray) -> str:
    """How well the limits do on other characters."""
    lines = ["| examples of each of 5 classes | AUROC | known kept | unknown accepted | calibration error, before |",
             "| --- | --- | --- | --- | --- |"]
    for ways, shots in SHOWN:
        of_known, right, scores = measured(ckpt, images, ways, shots)
        limits = limits_of(checkpoint.find(ckpt), ways, shots)
        if limits is None:
            raise InputError(f"--ckpt {ckpt}: no {FILE_NAME} beside it; expected one, which --write writes")
        area = roc_auc_score(np.repeat([1, 0], scores.shape[1]), scores.ravel())
        kept, accepted = (100 * (each >= limits.threshold).mean() for each in scores)
        after, before = (calibration_error(of_known, right, each) for each in (limits.temperature, 1))
        lines.append(f"| {shots} | {area:.3f} | {kept:.1f} % | {accepted:.1f} % | {after:.4f}, {before:.4f} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", required=True, help="folder with Omniglot's drawings")
    parser.add_argument("--ckpt", default=str(CKPT), help="the network")
    parser.add_argument("--write", action="store_true", help="measure on validation characters, and keep the limits")
    options = parser.parse_args()
    drawings = drawings_of(options.data_path, VALIDATION if options.write else TEST, CLASSES, DRAWINGS)
    images = np.stack(in_processes(read, drawings))
    if options.write:
        write(Path(options.ckpt), images)
    else:
        write_sections(ROOT / "docs" / "own-images.md", {"none of these": table(Path(options.ckpt), images)})


if __name__ == "__main__":
    run_program(main)
