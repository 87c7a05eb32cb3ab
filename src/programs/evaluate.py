"""Evaluate a trained MAML: fine-tune it on test tasks, and print its accuracies.

What belongs to the trained model (network, image size, ways, shots, inner loop, split of the characters) comes
from the checkpoint; flags given by hand win.
"""
import contextlib
import functools
import sys
from collections.abc import Callable, Iterable

import numpy as np
from tqdm import tqdm

from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import EVAL
from mindspore_maml.cli.run_options import Options
from mindspore_maml.cli.screen import bare, has_bar
from mindspore_maml.data.lake_runs import Runs, read_runs
from mindspore_maml.data.views import labels_of_views, views_by_default, views_of
from mindspore_maml.devices import cluster, device
from mindspore_maml.devices.batch_share import Shared
from mindspore_maml.devices.shares import share_out
from mindspore_maml.OmniglotIter import Batch, to_values
from mindspore_maml.pictures.confusion import draw_confusion
from mindspore_maml.pictures.files import refuse_unwritable_results, write_results
from mindspore_maml.training import protocols
from mindspore_maml.training.agreement import check_same_on_all_ranks
from mindspore_maml.training.answers import Answers, found_in
from mindspore_maml.training.checkpoint import Checkpoint
from mindspore_maml.training.evaluation import (
    bracketed,
    by_step,
    evaluate_batch,
    evaluate_views,
    runs_line,
    summarize,
    summarize_runs,
    summary_line,
)
from mindspore_maml.training.from_options import load_to_test, load_trained, make_episodes, names_of
from mindspore_maml.training.run_log import step_lines

VIEWS = 1   # beside the seed and the batch's number, so that the views' draws are none of the episodes'


def main() -> int:
    options = parse(EVAL, __doc__)
    if options.runs:   # each run is a batch of its own
        options = options.but(task_num=1, k_spt=1, given=options.given | {"k_spt", "task_num"})
    if cluster.is_first():
        refuse_unwritable_results(options, "confusion")
    workers = device.set_up_for(options)
    # With --json - standard output holds the JSON alone, for a program to read.
    with contextlib.redirect_stdout(sys.stderr if options.json == "-" else sys.stdout):
        results, answers = evaluate(options, workers)
    if cluster.is_first():
        write_results(options, results | answers.as_json(), answers.rows(),
                      ("confusion", functools.partial(draw_confusion, answers)))
    return 0


def evaluate(options: Options, workers: int = 1) -> tuple[dict, Answers]:
    """Fine-tune on every test task, in `workers` processes, and print the accuracies; returns results and answers."""
    if options.views != 1 and options.per_step:
        raise InputError(f"--per_step with --views {options.views}; expected one of the two")
    if options.runs:
        return evaluate_runs(options, workers)
    meta, checkpoint, options = load_trained(options)
    options = protocols.applied(options.but(views=options.views or views_by_default(options.n_way * options.k_spt)))
    runner = share_out(meta, workers)
    test_images, alphabets, characters, options = load_to_test(options)
    check_same_on_all_ranks(options, test_images, meta)
    episodes = make_episodes(test_images, options, options.test_batches, alphabets=alphabets)
    losses, accuracies, answered = judged(runner, episodes, options, lambda accuracy: accuracy)
    results = summarize(accuracies[:, -1], losses[:, -1], options)
    if options.per_step:
        results |= by_step(losses, accuracies)
        print("\n".join(step_lines("Test", results)))
    print(bracketed(results["mean"]))
    print(summary_line(results), flush=True)
    classes = np.concatenate([episodes.classes(number) for number in range(options.test_batches)])
    names = names_of(test_images, characters, options)
    return results | origin_of(checkpoint), Answers(test_images, *names, classes, *answered)


def evaluate_runs(options: Options, workers: int) -> tuple[dict, Answers]:
    """Answer the questions of Lake's runs, and print each run's error and their mean; returns results and answers."""
    runs = read_runs(options.runs)
    options = options.but(n_way=runs.n_way, views=options.views or views_by_default(runs.n_way),
                          given=options.given | {"n_way"})
    meta, checkpoint, options = load_trained(options)
    batches = batches_of(runs, options)
    losses, accuracies, answered = judged(share_out(meta, workers), batches, options, lambda accuracy: 1 - accuracy)
    results = summarize_runs(runs.names, accuracies[:, -1, 0], losses[:, -1], options)
    print(bracketed(results["error"]))
    print(runs_line(results), flush=True)
    images, _ = runs.images(options.imgsz, options.imgc)   # [run, class, imgc, imgsz, imgsz], one of each class
    names = [f"{run}/class{number + 1:02}" for run in runs.names for number in range(runs.n_way)]
    classes = np.arange(len(names)).reshape(-1, runs.n_way)
    answers = Answers(images.reshape(-1, 1, *images.shape[2:]), names, [], classes, *answered)
    return results | origin_of(checkpoint), answers


def batches_of(runs: Runs, options: Options) -> list[Batch]:
    """Each run as a batch of one task, as `OmniglotIter` yields them."""
    x_spt, x_qry = (to_values(images, options.ink, options.paper)
                    for images in runs.images(options.imgsz, options.imgc))
    y_spt = np.arange(runs.n_way, dtype=np.int32)[None]   # [task, image]
    return [(x_spt[i:i + 1], y_spt, x_qry[i:i + 1], runs.answers[i:i + 1]) for i in range(len(runs.names))]


def judged(runner: Shared, batches: Iterable[Batch], options: Options,
           shown: Callable[[float], float]) -> tuple[np.ndarray, np.ndarray, tuple]:
    """Losses [batch, step], accuracies [batch, step, task], and what was answered; prints a line for each batch.

    The lines have what is `shown` of the accuracy. Answers are the true labels, those found, and the probabilities
    given to these, [task, question] each, after the last step.
    """
    accuracies, losses, answered = [], [], []
    for number, batch in enumerate(tqdm(batches, unit="batch", file=bare(sys.stderr), disable=not has_bar())):
        if options.views > 1:
            of_batch = evaluate_views(runner, seen_anew(batch, number, options), options.update_step_test)
        else:
            of_batch = evaluate_batch(runner, batch, options.update_step_test, options.per_step)
        losses.append(of_batch[0])
        accuracies.append(of_batch[1])
        answered.append((batch[3], *found_in(of_batch[2])))
        tqdm.write(bracketed(shown(accuracies[-1][-1].mean())), file=sys.stdout)
    return np.stack(losses), np.stack(accuracies), tuple(map(np.concatenate, zip(*answered)))


def seen_anew(batch: Batch, number: int, options: Options) -> Batch:
    """A batch with the views of its images, drawn from the seed and the batch's number alone."""
    rng = np.random.default_rng([options.seed, number, VIEWS])
    x_spt, y_spt, x_qry, y_qry = batch
    x_spt, x_qry = (views_of(images, options.views, options.view_strength, rng, options.paper)
                    for images in (x_spt, x_qry))
    return x_spt, labels_of_views(y_spt, options.views), x_qry, y_qry


def origin_of(checkpoint: Checkpoint) -> dict:
    """What the results say of the network."""
    return {"ckpt": str(checkpoint.path), "epoch": checkpoint.epoch, "run": checkpoint.run}
