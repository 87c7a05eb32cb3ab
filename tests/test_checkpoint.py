"""Checkpoints: what goes in comes out, what does not fit is refused by name, and nothing is ever half written."""
from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest
from checkpoints import EPISODES, RUN, STORED, fresh, training_options, write
from networks import NETWORKS

from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import EVAL, TRAIN
from mindspore_maml.training import checkpoint, checkpoint_file, saving
from mindspore_maml.training.continuing import completed
from mindspore_maml.training.from_options import make_meta
from mindspore_maml.training.step import TrainingStep


def values(cell):
    return {parameter.name: parameter.asnumpy().copy() for parameter in cell.get_parameters()}


def same(first, second):
    return first.keys() == second.keys() and all((first[name] == second[name]).all() for name in first)


def test_everything_comes_back(tmp_path):
    path, meta, optimizer = write(tmp_path)
    assert path == tmp_path / "maml-3_1.ckpt"
    assert path.stat().st_mode & 0o600 == 0o600
    loaded = checkpoint.load(path)
    _, other, other_optimizer = fresh(seed=2)
    assert not same(values(other), values(meta))
    loaded.put_into(other)
    assert loaded.resume(other_optimizer) == 3
    assert same(values(other), values(meta))
    assert same(values(other_optimizer), values(optimizer))
    assert (loaded.episodes, loaded.run) == (EPISODES, RUN)
    assert str(loaded) == f"{path} (epoch 3, run {RUN}, preset maml)"
    assert {name: loaded.options[name] for name in STORED} == STORED


def test_folder_means_its_highest_epoch(tmp_path):
    for name in ("maml-9_1.ckpt", "maml-10_1.ckpt", "maml-200_2.ckpt", "other-300_1.ckpt", "maml-400_1.ckpt.txt",
                 checkpoint.BEST_NAME):
        (tmp_path / name).touch()
    assert checkpoint.find(tmp_path) == tmp_path / "maml-10_1.ckpt"


def test_a_cell_is_another_folders_network_with_options_of_its_own(tmp_path):
    (tmp_path / "network").mkdir()
    path, _, _ = write(tmp_path / "network")
    cell = tmp_path / "five shots" / checkpoint.CELL_NAME
    cell.parent.mkdir()
    cell.write_text("network: ../network\nk_spt: 5\nupdate_lr: 0.1\n")
    loaded, plain = checkpoint.load(cell.parent), checkpoint.load(path)
    assert (loaded.path.name, loaded.epoch) == (path.name, plain.epoch)
    assert loaded.options == plain.options | {"k_spt": 5, "update_lr": 0.1}
    assert same(loaded.tensors, plain.tensors)


@pytest.mark.parametrize(("text", "message"), [
    ("k_spt: 5", "expected network, a folder beside this one"),
    ("network: ../nowhere", "nowhere: no such file or folder"),
    ("network: .", "is a cell too"),
    ("network: ../network\nk_spt: 0", "k_spt"),
])
def test_a_cell_that_names_no_network_or_impossible_options_is_refused(tmp_path, text, message):
    for name in ("network", "cell"):
        (tmp_path / name).mkdir()
    write(tmp_path / "network")
    (tmp_path / "cell" / checkpoint.CELL_NAME).write_text(text)
    with pytest.raises(InputError, match=message):
        checkpoint.load(tmp_path / "cell")


def test_nothing_to_load_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no maml-<epoch>_1\.ckpt"):
        checkpoint.load(tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        checkpoint.load(tmp_path / "missing.ckpt")


@pytest.mark.parametrize(("changes", "message"), [
    ({"n_way": 4}, r"net\.7\.weight has shape \(3, 3\); expected \(4, 3\)"),
    ({"imgc": 3}, r"net\.0\.weight has shape \(3, 1, 3, 3\); expected \(3, 3, 3, 3\)"),
    ({"network": NETWORKS["strided with biases"]}, r"does not hold net\.0\.bias \(3,\)"),
])
def test_what_does_not_fit_is_refused_by_name_and_shape(tmp_path, changes, message):
    path, *_ = write(tmp_path)
    meta = make_meta(training_options(**changes))
    with pytest.raises(InputError, match=message):
        checkpoint.load(path).put_into(meta)


def test_weights_left_over_are_refused(tmp_path):
    path, *_ = write(tmp_path, network=NETWORKS["strided with biases"])
    _, meta, _ = fresh()
    with pytest.raises(InputError, match=r"holds net\.0\.bias \(3,\), net\.3\.bias \(3,\), which this network"):
        checkpoint.load(path).put_into(meta)


def test_weights_of_another_program_load(tmp_path):
    """MindSpore's own writer, half precision, weights only: they are taken, and training starts at its beginning."""
    _, meta, _ = fresh()
    path = tmp_path / "weights.ckpt"
    ms.save_checkpoint([{"name": parameter.name, "data": parameter.astype(ms.float16)}
                        for parameter in meta.get_parameters()], str(path))
    loaded = checkpoint.load(path)
    _, other, optimizer = fresh(seed=2)
    before = values(optimizer)
    loaded.put_into(other)
    assert loaded.resume(optimizer) == 0
    for name, value in values(other).items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, values(meta)[name], rtol=1e-3)
    assert values(optimizer).keys() == before.keys()
    assert (values(optimizer)["global_step"] == 0).all()


def damaged(content):
    yield from (content[:length] for length in (0, 1, 100, len(content) // 2, len(content) - 1, len(content) - 20))
    for position in (40, len(content) // 3, len(content) - 1):
        yield content[:position] + bytes([content[position] ^ 64]) + content[position + 1:]
    yield b"not a checkpoint"


def test_damaged_file_is_refused_in_one_line_of_ours(tmp_path, capfd):
    path, *_ = write(tmp_path)
    _, meta, _ = fresh()
    for content in damaged(path.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"--ckpt {path}") as refusal:
            checkpoint.load(path).put_into(meta)
        assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")


def test_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path, meta, optimizer = write(tmp_path)
    before = path.read_bytes()

    def full_disk(temporary, _values):
        temporary.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint_file, "write", full_disk)
    with pytest.raises(InputError, match=r"cannot write maml-3_1\.ckpt .*No space left"):
        saving.save(tmp_path, 3, net=meta, optimizer=optimizer, options=training_options(), episodes=EPISODES,
                        run=RUN)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


@pytest.mark.parametrize(("number", "reached"), [(np.nan, "nan"), (np.inf, "inf"), (-3e30, r"3e\+30")])
def test_weights_that_no_training_needs_are_not_written(number, reached, tmp_path):
    options, meta, optimizer = fresh()
    weight = meta.trainable_params()[0]
    weight.set_data(ms.Tensor(np.full(weight.shape, number, np.float32)))
    with pytest.raises(saving.DivergedError, match=rf"^epoch 4: net\.0\.weight has reached {reached}, .*diverged"):
        saving.save(tmp_path, 4, net=meta, optimizer=optimizer, options=options, episodes=EPISODES, run=RUN)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("keep", "left"), [(2, [10, 30]), (9, [3, 9, 10, 30]), (0, [3, 9, 10, 30])])
def test_the_newest_stay_and_the_best(keep, left, tmp_path):
    for name in ("maml-9_1.ckpt", "maml-10_1.ckpt", "maml-3_1.ckpt", "maml-30_1.ckpt", checkpoint.BEST_NAME, "x.ckpt"):
        (tmp_path / name).touch()
    saving.prune(tmp_path, keep)
    assert sorted(checkpoint.numbered(tmp_path)) == left
    assert (tmp_path / checkpoint.BEST_NAME).exists()
    assert (tmp_path / "x.ckpt").exists()


def test_a_long_meta_gradient_is_shortened_and_a_short_one_left_alone():
    gradients = (ms.Tensor(np.full((3, 4), 2, np.float32)), ms.Tensor(np.ones(5, np.float32)))   # of norm sqrt(53)
    meta = SimpleNamespace(meta_gradient=lambda epoch: (ms.Tensor(1.0), ms.Tensor(1.0), gradients))
    for norm, factor in ((1.0, 53 ** -0.5), (7.0, 7 * 53 ** -0.5), (8.0, 1), (0.0, 1)):
        taken = []
        TrainingStep(meta, taken.extend, norm)((), 1)
        for found, gradient in zip(taken, gradients, strict=True):
            np.testing.assert_allclose(found.asnumpy(), gradient.asnumpy() * factor, rtol=1e-5)


def test_flags_by_hand_win_over_a_preset_by_hand_over_the_checkpoint(tmp_path):
    path, *_ = write(tmp_path)
    preset = tmp_path / "mine.yaml"
    preset.write_text("update_lr: 0.7\nupdate_step_test: 4\n", encoding="utf-8")
    options = parse(EVAL, "", ["--data_path", "x", "--n_way", "2", "--preset", str(preset), "--update_step_test", "6"])
    options = checkpoint.load(path).completed(options, ["n_way", "update_lr", "update_step_test", "imgsz", "network"])
    assert (options.n_way, options.update_lr, options.update_step_test, options.imgsz) == (2, 0.7, 6, 12)
    assert options.network == STORED["network"]
    assert options.k_qry == 15   # not asked for: the program's own default


def test_an_option_newer_than_a_run_has_no_effect_on_it(tmp_path):
    """A run of before there was --augment is not begun to be augmented because the default preset is."""
    path, *_ = write(tmp_path)
    loaded = checkpoint.load(path)
    for name in ("augment", "ema_decay"):
        del loaded.options[name]
    options = parse(TRAIN, "", ["--data_path", "x", "--ema_decay", "0.9"])
    assert options.augment > 0
    options = completed(options, loaded)
    assert (options.augment, options.ema_decay) == (0, 0.9)


def test_stored_value_out_of_range_is_refused(tmp_path):
    path, *_ = write(tmp_path)
    loaded = checkpoint.load(path)
    loaded.options["n_way"] = 1
    with pytest.raises(InputError, match="n_way is 1; expected a whole number from 2"):
        loaded.completed(parse(EVAL, "", ["--data_path", "x"]), ["n_way"])
