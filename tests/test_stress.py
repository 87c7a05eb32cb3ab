"""The attacks of tests/stress, for a moment each: kills and reports change nothing, and memory stays flat."""
import numpy as np
import pytest

from src.training.checkpoint import load
from tests.stress import kills, memory
from tests.stress.programs import training

EPOCHS = 30


@pytest.fixture(scope="module")
def trained(data_path, tmp_path_factory):
    """A training watched in its memory: its folder, and the samples."""
    folder = tmp_path_factory.mktemp("memory") / "out"
    return folder, memory.of_training(data_path, folder, 200)


def test_memory_stays_flat(trained, data_path):
    folder, samples = trained
    assert len(samples) == 100
    assert memory.growth(samples) < 0.03
    samples = memory.of_evaluation(data_path, folder, 20)
    assert len(samples) == 21   # the last line is the mean
    assert memory.growth(samples) < 0.03


def test_growth_is_seen():
    assert memory.growth(np.linspace(100, 110, 100)) == pytest.approx(0.077, abs=0.01)
    assert memory.growth(np.array([50.0] * 10 + [100.0] * 90)) == 0


def test_a_killed_run_goes_on_and_ends_bit_for_bit_the_same(data_path, tmp_path):
    _, compared = kills.attack(data_path, tmp_path, kills=2, epochs=EPOCHS)
    assert compared == 1


def test_what_is_reported_saved_and_measured_on_the_way_changes_nothing(data_path, tmp_path):
    settings = {"plain": ("--log_every", 10), "busy": ("--log_every", 1, "--save_every", 3, "--eval_every", 4,
                                                      "--eval_batches", 1, "--per_step", "--keep", 1)}
    for name, flags in settings.items():
        assert not kills.run(training(data_path, tmp_path / name, "--epoch", 10, *flags))
    plain, busy = (load(tmp_path / name) for name in settings)
    for name, value in plain.tensors.items():
        np.testing.assert_array_equal(busy.tensors[name].asnumpy(), value.asnumpy(), err_msg=name)
