"""How far comparing pixels gets on the test tasks: each query image takes the class of the nearest support image."""

import numpy as np

from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.options import EVAL
from mindspore_maml.cli.program import run_program
from mindspore_maml.training import protocols
from mindspore_maml.training.evaluation import summarize, summary_line
from mindspore_maml.training.from_options import load_split, make_episodes


def nearest_labels(x_spt: np.ndarray, y_spt: np.ndarray, x_qry: np.ndarray) -> np.ndarray:
    """The label of the support image nearest to every query image, by squared distance: [task, query image]."""
    support, query = (x.reshape(*x.shape[:2], -1) for x in (x_spt, x_qry))        # [task, image, pixels]
    distance = (support ** 2).sum(-1)[:, None] - 2 * query @ support.transpose(0, 2, 1)   # less what is constant
    return np.take_along_axis(y_spt, distance.argmin(-1), axis=1)


def main() -> None:
    options = parse(EVAL, __doc__)
    options = protocols.applied(options).but(update_step_test=0)   # nothing is adapted
    _, test_images = load_split(options)
    accuracies = [(nearest_labels(x_spt, y_spt, x_qry) == y_qry).mean(-1)
                  for x_spt, y_spt, x_qry, y_qry in make_episodes(test_images, options, options.test_batches)]
    print(summary_line(summarize(np.stack(accuracies), [0.0], options)))


if __name__ == "__main__":
    run_program(main)
