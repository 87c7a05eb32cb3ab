"""A program: what processes that share a batch find, beside what one finds alone; its last line is "equal".

    compare_shares.py DATA_PATH WORKERS            (started by msrun: on each rank)

It stands for itself because a process that has run a graph cannot share it out any more.
"""
import sys

import numpy as np
from networks import NETWORKS

from src.cli.command_line import parse
from src.cli.options import TRAIN
from src.devices import cluster, device, ranks
from src.devices.shares import share_out
from src.training.from_options import load_split, make_episodes, make_meta

CASES = {   # of 5 tasks, which no number of processes here divides
    "second order": ("--order", "second"),
    "first order, the tasks' sum": ("--order", "first", "--meta_loss", "sum"),
    "MAML++": ("--preset", "maml++", "--multi_step_epochs", "9", "--first_order_epochs", "0"),
}
COMMON = ("--task_num", "5", "--n_way", "3", "--k_qry", "2", "--update_step", "2")


def options_of(data_path, flags):
    options = parse(TRAIN, "", ["--data_path", data_path, *COMMON, *flags])
    options.network = NETWORKS["strided"]
    return options


def compare(case, shared, meta, batch):
    """Compare a meta-gradient before and after the weights change, and the evaluation after each inner step."""
    for _ in range(2):
        found = shared.meta_gradient(*batch)
        if cluster.is_first():
            compare_gradients(case, found, meta.meta_gradient(*batch))
        for parameter in meta.trainable_params():   # all processes must see what the optimizer does
            parameter.set_data(parameter * 1.1)
    judged = list(shared.evaluate_each_step(*batch, 2))
    if cluster.is_first():
        for found, expected in zip(judged, meta.evaluate_each_step(*batch, 2), strict=True):
            for one, other in zip(found, expected, strict=True):
                assert (one.shape, one.dtype) == (other.shape, other.dtype)
                np.testing.assert_allclose(one.asnumpy(), other.asnumpy(), rtol=1e-5, err_msg=case)


def compare_gradients(case, found, expected):
    """Loss, accuracy and the whole gradient, relative to its norm."""
    np.testing.assert_allclose(float(found[0]), float(expected[0]), rtol=1e-5, err_msg=case)
    np.testing.assert_allclose(float(found[1]), float(expected[1]), rtol=1e-6, err_msg=case)
    assert [(value.shape, value.dtype) for value in found[2]] == [(value.shape, value.dtype) for value in expected[2]]
    found, expected = (np.concatenate([value.asnumpy().ravel() for value in results[2]])
                       for results in (found, expected))
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    print(f"{case}: relative error {error:.1e}")
    assert error < 1e-5, case


def main(data_path, workers):
    device.set_up("CPU", threads=1)
    options = {case: options_of(data_path, flags) for case, flags in CASES.items()}
    metas = {case: make_meta(of_case) for case, of_case in options.items()}
    shared = {case: share_out(meta, int(workers)) for case, meta in metas.items()}
    some = options["second order"]
    batch = next(iter(make_episodes(load_split(some)[0], some, 1)))
    for case, meta in metas.items():
        compare(case, shared[case], meta, batch)
    if cluster.rank_count() > 1:
        ranks.check_agreement({})   # none ends before the others
    print("equal", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
