"""The validation pass: the same tasks every time, from characters not trained on; and which epoch was the best."""
import json

import numpy as np
import pytest

from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import TRAIN
from mindspore_maml.training.from_options import hold_out
from mindspore_maml.training.run_log import FILE_NAME, VALIDATION
from mindspore_maml.training.validation import ValidationPass

IMAGES = np.random.default_rng(1).integers(0, 256, (12, 20, 1, 4, 4), np.uint8)


def options(*arguments):
    return parse(TRAIN, "", ["--data_path", "x", "--task_num", "2", "--eval_every", "3", "--eval_batches", "2",
                             *arguments])


def test_it_draws_the_same_tasks_every_time_in_the_way_of_the_evaluation():
    validation = ValidationPass(VALIDATION, IMAGES, options("--k_qry", "2", "--rotate"))
    first, second = list(validation.episodes), list(validation.episodes)
    assert len(first) == 2
    for batch, again in zip(first, second, strict=True):
        assert all((one == other).all() for one, other in zip(batch, again, strict=True))
    assert first[0][3].shape == (2, 5 * 15)
    assert not validation.episodes.rotate


def test_as_many_query_images_as_the_drawings_leave():
    assert ValidationPass(VALIDATION, IMAGES, options("--k_spt", "8")).episodes.k_qry == 12


def test_held_out_characters_are_the_last_and_no_longer_trained_on():
    left, held_out = hold_out(IMAGES, options("--val_classes", "5"))
    assert (left == IMAGES[:7]).all()
    assert (held_out == IMAGES[7:]).all()
    assert len(hold_out(IMAGES, options())[0]) == 12


@pytest.mark.parametrize("number", ["1", "4", "8", "12", "13"])
def test_too_few_characters_on_one_side_are_refused(number):
    with pytest.raises(InputError, match=f"--val_classes {number}: of 12 .*expected at least 5"):
        hold_out(IMAGES, options("--val_classes", number))


def test_the_best_is_the_highest_of_the_epochs_this_run_goes_on_from(tmp_path):
    accuracies = {3: 0.5, 6: 0.7, 9: 0.6, 12: 0.9}
    (tmp_path / FILE_NAME).write_text("".join(
        json.dumps({"step": step, "val_accuracy": accuracy}) + "\n" for step, accuracy in accuracies.items()))
    validation = ValidationPass(VALIDATION, IMAGES, options())
    for done, best, since in ((11, 0.7, 1), (12, 0.9, 0), (0, 0.0, 0)):
        validation.resume(tmp_path, done)
        assert (validation.best, validation.since_best) == (best, since)
    validation.resume(tmp_path / "empty", 11)
    improved = [validation.update_best({"val_accuracy": accuracy}) for accuracy in (0.4, 0.4, 0.3, 0.5)]
    assert improved == [True, False, False, True]
    assert not validation.update_best({"test_accuracy": 1.0})
