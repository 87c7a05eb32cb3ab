"""Evaluate a trained MAML: fine-tune it on test tasks, and print its accuracies.

What belongs to the trained model (network, image size, ways, shots, inner loop, split of the characters) comes
from the checkpoint; flags given by hand win.
"""
import contextlib
import sys
from argparse import Namespace

import numpy as np
from tqdm import tqdm

from mindspore_maml.cli.atomic_files import refuse_unwritable, write_json
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.options import EVAL
from mindspore_maml.cli.screen import bare
from mindspore_maml.devices import cluster, device
from mindspore_maml.devices.shares import share_out
from mindspore_maml.training import protocols
from mindspore_maml.training.agreement import check_same_on_all_ranks
from mindspore_maml.training.evaluation import bracketed, by_step, evaluate_batch, summarize, summary_line
from mindspore_maml.training.from_options import load_trained, load_with_alphabets, make_episodes
from mindspore_maml.training.run_log import step_lines


def main() -> int:
    options = parse(EVAL, __doc__)
    if cluster.is_first():
        refuse_unwritable(options.json, "--json")
    workers = device.set_up_for(options)
    # With --json - standard output holds the JSON alone, for a program to read.
    with contextlib.redirect_stdout(sys.stderr if options.json == "-" else sys.stdout):
        results = evaluate(options, workers)
    if options.json and cluster.is_first():
        write_json(options.json, results)
    return 0


def evaluate(options: Namespace, workers: int = 1) -> dict:
    """Fine-tune on every test task, in `workers` processes, and print the accuracies; returns all results."""
    meta, checkpoint = load_trained(options)
    protocols.apply(options)
    runner = share_out(meta, workers)
    test_images, alphabets = load_with_alphabets(options)
    check_same_on_all_ranks(options, test_images, meta)
    episodes = make_episodes(test_images, options, options.test_batches, alphabets=alphabets)
    accuracies, losses = [], []
    for batch in tqdm(episodes, unit="batch", file=bare(sys.stderr), disable=None):   # None: a bar only on a terminal
        batch_losses, batch_accuracies = evaluate_batch(runner, batch, options.update_step_test, options.per_step)
        losses.append(batch_losses)
        accuracies.append(batch_accuracies)
        tqdm.write(bracketed(batch_accuracies[-1].mean()), file=sys.stdout)
    losses, accuracies = np.stack(losses), np.stack(accuracies)   # [batch, step], [batch, step, task]
    results = summarize(accuracies[:, -1], losses[:, -1], options)
    if options.per_step:
        results |= by_step(losses, accuracies)
        print("\n".join(step_lines("Test", results)))
    print(bracketed(results["mean"]))
    print(summary_line(results), flush=True)
    return results | {"ckpt": str(checkpoint.path), "epoch": checkpoint.epoch, "run": checkpoint.run}
