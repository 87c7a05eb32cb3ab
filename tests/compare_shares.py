"""A program: what processes that share a batch find, beside what one finds alone.

    compare_shares.py DATA_PATH WORKERS [CASE ...]        (started by launch.py: on each rank)

By default it tries all of `CASES`. It stands for itself because a process that has run a graph cannot share it out any
more. The last line is "equal"; ranks then go on to what they have to refuse, the last of it for good.
"""
import sys

import numpy as np
import pytest
from mindspore import Tensor
from networks import NETWORKS

from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import TRAIN
from mindspore_maml.cli.program import run_program
from mindspore_maml.devices import cluster, device
from mindspore_maml.devices.shares import share_out
from mindspore_maml.training.agreement import check_same_on_all_ranks
from mindspore_maml.training.from_options import load_split, make_episodes, make_meta
from mindspore_maml.training.optimizer import outer_optimizer
from mindspore_maml.training.step import TrainingStep

CASES = {   # of 5 tasks, which no number of processes here divides
    "second order": ("--order", "second"),
    "first order, the tasks' sum": ("--order", "first", "--meta_loss", "sum"),
    "MAML++": ("--preset", "maml++", "--multi_step_epochs", "9", "--first_order_epochs", "0"),
}
STEPS = 50   # of a training, with steps so small that it does not enlarge rounding (docs/scaling.md)
COMMON = ("--preset", "maml", "--task_num", "5", "--n_way", "3", "--k_qry", "2", "--update_step", "2",
          "--epoch", str(STEPS), "--meta_lr", "3e-4")


def options_of(data_path, flags):
    return parse(TRAIN, "", ["--data_path", data_path, *COMMON, *flags]).but(network=NETWORKS["strided"])


def compare(case, shared, meta, batch):
    """Compare a meta-gradient before and after the weights change."""
    for _ in range(2):
        compare_gradients(case, shared, meta, batch)
        for parameter in meta.trainable_params():   # all processes must see what the optimizer does
            parameter.set_data(parameter * 1.1)


def compare_gradients(case, shared, meta, batch):
    """Loss, accuracy and the whole gradient, relative to its norm."""
    found = shared.meta_gradient(*batch)
    if not cluster.is_first():
        return
    expected = meta.meta_gradient(*batch)
    np.testing.assert_allclose(float(found[0]), float(expected[0]), rtol=1e-5, err_msg=case)
    np.testing.assert_allclose(float(found[1]), float(expected[1]), rtol=1e-6, err_msg=case)
    assert [(value.shape, value.dtype) for value in found[2]] == [(value.shape, value.dtype) for value in expected[2]]
    error = np.linalg.norm(flat(found[2]) - flat(expected[2])) / np.linalg.norm(flat(expected[2]))
    print(f"{case}: relative error {error:.1e}")
    assert error < 1e-5, case


def flat(tensors):
    return np.concatenate([tensor.asnumpy().ravel() for tensor in tensors])


def compare_evaluations(shared, meta, batch):
    """Loss, accuracy and predictions after each inner step."""
    judged = list(shared.evaluate_each_step(*batch, 2))
    if cluster.is_first():
        for found, expected in zip(judged, meta.evaluate_each_step(*batch, 2), strict=True):
            for one, other in zip(found, expected, strict=True):
                assert (one.shape, one.dtype) == (other.shape, other.dtype)
                np.testing.assert_allclose(one.asnumpy(), other.asnumpy(), rtol=1e-5)


def compare_trainings(shared, meta, episodes, options):
    """The weights after some steps, and the gradient there."""
    start = [parameter.asnumpy().copy() for parameter in meta.get_parameters()]
    ends = []
    for runner in (meta, shared) if cluster.is_first() else (shared,):   # in the end ranks have equal weights again
        for parameter, value in zip(meta.get_parameters(), start, strict=True):
            parameter.set_data(Tensor(value))
        step = TrainingStep(runner, outer_optimizer(meta.trainable_params(), options))
        for epoch, batch in enumerate(episodes, 1):
            step(batch, epoch)
        ends.append(flat(meta.trainable_params()))
    if cluster.is_first():
        print(f"weights after {STEPS} steps: {np.abs(ends[0] - ends[1]).max():.1e} apart")
        np.testing.assert_allclose(*ends, rtol=0, atol=1e-4)
    compare_gradients("where the training ended", shared, meta, batch)


def refuse_what_differs(options, images, meta):
    """Ranks that differ in an option, an image or a weight; the last one ends the program."""
    last = cluster.rank_count() - 1
    mine = cluster.rank() == last   # it is the last one that differs
    other_options, other_images = options.but(seed=options.seed + mine), images.copy()
    other_images[-1, -1] ^= mine
    with pytest.raises(InputError, match=f"^rank {last} has --seed 2, rank 0 has 1; expected the same$"):
        check_same_on_all_ranks(other_options, images, meta)
    with pytest.raises(InputError, match=r"^rank \d has a data set with the digest \w+, rank 0 has \w+; expected the"):
        check_same_on_all_ranks(options, other_images, meta)
    check_same_on_all_ranks(options, images, meta)
    weight = meta.trainable_params()[0]
    weight.set_data(weight * (1 + float(mine)))
    check_same_on_all_ranks(options, images, meta)


def main():
    data_path, workers, *cases = sys.argv[1:]
    device.set_up("CPU", threads=1)
    options = {case: options_of(data_path, CASES[case]) for case in cases or CASES}
    metas = {case: make_meta(of_case) for case, of_case in options.items()}
    shared = {case: share_out(meta, int(workers)) for case, meta in metas.items()}
    first = next(iter(metas))
    images = load_split(options[first])[0]
    episodes = make_episodes(images, options[first], STEPS)
    batch = next(iter(episodes))
    for case, meta in metas.items():
        compare(case, shared[case], meta, batch)
    if first == "second order":
        compare_evaluations(shared[first], metas[first], batch)
        compare_trainings(shared[first], metas[first], episodes, options[first])
    print("equal", flush=True)
    if cluster.rank_count() > 1:
        refuse_what_differs(options[first], images, metas[first])


if __name__ == "__main__":
    run_program(main)
