"""The controlled runs: that every change is a training, and the table and picture made of their results."""
import argparse

import numpy as np
import pytest

from benchmarks import controlled
from benchmarks.controlled import CHANGES, Change
from mindspore_maml.cli.command_line import as_arguments, parse
from mindspore_maml.cli.options import TRAIN
from mindspore_maml.cli.presets import as_yaml, read_preset
from mindspore_maml.layers.network import Network
from tests.stress.programs import COMPILED_SOON


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_a_training_that_differs_from_the_recipe(change, tmp_path):
    recipe, changed = (controlled.changed_preset(one) for one in (CHANGES["recipe"], change))
    preset = tmp_path / "preset.yaml"
    preset.write_text(as_yaml(argparse.Namespace(**changed)))
    options = parse(TRAIN, "", ["--data_path", "x", "--preset", str(preset), *as_arguments(change.flags)])
    assert change.epochs * options.task_num == controlled.EPOCHS * controlled.TASKS
    assert Network(options.network, 1, 28, 20, 1).parameters
    differs = any(recipe.get(name) != value for name, value in (changed | change.flags).items())
    assert differs == (change.name != "recipe")


def test_turned_characters_are_classes_and_those_held_out_stay_as_they_are():
    images = np.random.default_rng(1).integers(0, 256, (1203, 2, 1, 4, 4), np.uint8)
    turned = controlled.turned(images)
    assert len(turned) == 4 * 1036 + 164 + 3
    assert np.array_equal(turned[-167:], images[-167:])
    assert np.array_equal(turned[1036 + 5], np.rot90(images[5], axes=(-2, -1)))


def results():
    def run(*accuracies, minutes):
        return {"minutes": minutes, "curve": {str(epoch): {"mean": mean} for epoch, mean in enumerate(accuracies)}}
    return {"recipe": {"1": run(0.5, 0.7, 0.8, minutes=2), "2": run(0.6, 0.7, 0.9, minutes=4)},
            "gamma": {"1": run(0.1, 0.2, 0.3, minutes=1)}, "machine": {}}


def test_the_table_has_means_over_seeds_and_only_what_was_run():
    assert controlled.table(results()).splitlines()[2:] == [
        "| the recipe | 55.0 | 70.0 | 85.0 | 80.0, 90.0 | 3.0 |",
        "| gamma in every normalisation | 10.0 | 20.0 | 30.0 | 30.0 | 1.0 |"]


def test_the_picture_is_drawn(tmp_path):
    controlled.draw(results(), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_change_is_trained_and_judged(data_path, tmp_path, monkeypatch):
    monkeypatch.setattr(controlled, "EPOCHS", 4)
    monkeypatch.setattr(controlled, "BATCHES", 1)
    monkeypatch.setattr(controlled, "TRAINED", 300)   # of the glyphs too
    monkeypatch.setattr(controlled, "changed_preset", lambda change: read_preset(COMPILED_SOON[1]))
    small = Change("small", "", "", {"n_way": 2, "k_qry": 1, "task_num": 2, "update_step_test": 1})
    found = controlled.run(small, 1, tmp_path, str(data_path))
    assert list(found["curve"]) == ["2", "4", "8"]
    assert all(0 <= judged["mean"] <= 1 for judged in found["curve"].values())
    assert found["minutes"] > 0
