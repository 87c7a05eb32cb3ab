"""Alphabets: which characters are of the same one, the background set, and tasks within an alphabet."""
import json

import numpy as np
import pytest
from small_omniglot import make_folders, preprocess
from test_episodes import episodes, marked_images, marks

from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import EVAL, TRAIN
from mindspore_maml.data.alphabets import OMNIGLOT, alphabets_in
from mindspore_maml.data.class_images import ClassImages
from mindspore_maml.data_preprocess import load_alphabets
from mindspore_maml.training.from_options import load_for_training, load_split, load_to_test, names_of

ALPHABETS = np.array([0] * 5 + [1] * 2 + [2] * 5)


def test_omniglot_has_964_background_characters():
    assert (len(OMNIGLOT.counts), sum(OMNIGLOT.counts), OMNIGLOT.background_characters) == (50, 1623, 964)
    numbers = OMNIGLOT.of_characters
    assert [OMNIGLOT.names[numbers[place]] for place in (0, 963, 964, 1622)] == [
        "Alphabet_of_the_Magi", "Tifinagh", "Angelic", "ULOG"]


def test_preprocessing_notes_the_alphabets(tmp_path, monkeypatch):
    make_folders(tmp_path)
    preprocess(monkeypatch, "--data_path", tmp_path, "--imgsz", 10)
    found = load_alphabets(str(tmp_path), 6)
    assert (found.names, found.counts, found.background_characters) == (("Alpha", "Beta", "Aleph"), (2, 2, 2), 4)


def test_data_prepared_before_alphabets_were_noted_are_omniglots_if_they_can_be(tmp_path):
    (tmp_path / "omniglot.json").write_text(json.dumps({"folder": "x"}), encoding="utf-8")
    assert alphabets_in(tmp_path, 1623) == OMNIGLOT
    with pytest.raises(InputError, match="alphabets of its 1600 characters; expected Omniglot's 1623"):
        alphabets_in(tmp_path, 1600)


def options_for(program, folder, *more):
    return parse(program, "", ["--data_path", str(folder), "--imgsz", "10", "--n_way", "2", "--k_qry", "1",
                               *map(str, more)])


@pytest.fixture
def small(tmp_path, monkeypatch):
    make_folders(tmp_path)
    preprocess(monkeypatch, "--data_path", tmp_path, "--imgsz", 10)
    return tmp_path


def test_background_split_trains_on_the_background_alphabets(small):
    options = options_for(TRAIN, small, "--split", "background")
    train, test, options = load_split(options)
    assert (len(train), len(test), options.n_train_classes) == (4, 2, 4)
    with pytest.raises(InputError, match="--n_train_classes 3 with --split background, which has 4"):
        load_split(options_for(TRAIN, small, "--split", "background", "--n_train_classes", 3))


def test_alphabets_stay_beside_their_characters(small):
    options = options_for(TRAIN, small, "--split", "background", "--within_alphabet", 0.5, "--val_classes", 2,
                          "--eval_every", 1)
    (train, alphabets), (held_out, others, total), _ = load_for_training(options)
    assert (alphabets.tolist(), others.tolist(), len(train), len(held_out)) == ([0, 0], [1, 1], 2, 2)
    shuffled = options_for(EVAL, small, "--split", "shuffled", "--within_alphabet", 1, "--n_train_classes", 2)
    images, alphabets, total, shuffled = load_to_test(shuffled)
    levels = 255 - images[:, 0, 0, 0, 0].astype(int)   # 10 for each character before
    assert alphabets.tolist() == (levels // 20).tolist()
    every = [(f"{name}/character0{number}", name) for name in ("Alpha", "Beta", "Aleph") for number in (1, 2)]
    assert list(zip(*names_of(images, total, shuffled))) == [every[number] for number in levels // 10]
    sorted_ones = options_for(EVAL, small, "--n_train_classes", 4, "--val_classes", 2)
    held_out, _, total, sorted_ones = load_to_test(sorted_ones)
    assert names_of(held_out, total, sorted_ones)[0] == [name for name, _ in every[2:4]]
    (small / "omniglot.json").unlink()
    assert names_of(held_out, total, sorted_ones) == (["character 2", "character 3"], [])


def test_evaluation_can_be_on_characters_held_out_of_training(small):
    held_out, *_ = load_to_test(options_for(EVAL, small, "--split", "background", "--val_classes", 2))
    assert (255 - held_out[:, 0, 0, 0, 0].astype(int)).tolist() == [20, 30]


@pytest.mark.parametrize(("n_way", "fewest"), [(2, 2), (5, 2)])
def test_classes_are_of_one_alphabet_filled_up_from_others(n_way, fewest):
    found = episodes(n_way=n_way, k_spt=1, k_qry=1, task_num=200, alphabets=ALPHABETS, within_alphabet=1.0)
    own = ALPHABETS[found.classes(0)]                                           # [task, way]
    most = np.array([np.bincount(task).max() for task in own])
    assert most.min() >= fewest
    assert all(len(set(task)) == n_way for task in found.classes(0))
    of_small = (own == 1).sum(axis=1) == 2
    assert (most[~of_small] == n_way).all()
    labels = np.nonzero(own[of_small] == 1)[1]
    assert set(labels) == set(range(n_way))   # filled up or not, a class has any label


def test_some_tasks_are_within_an_alphabet():
    found = episodes(n_way=5, k_spt=1, k_qry=1, task_num=1000, alphabets=ALPHABETS[[0] * 6 + [7] * 6],
                     within_alphabet=0.3)
    alone = np.mean([len(set(task)) == 1 for task in found.alphabets[found.classes(0)]])
    assert 0.25 < alone < 0.4   # of others, one in 66 is so by chance


def test_nothing_changes_where_alphabets_do_not_matter():
    plain, told = episodes(), episodes(alphabets=ALPHABETS)
    assert np.array_equal(plain.classes(1), told.classes(1))


def test_same_drawer_for_all_classes():
    x_spt, _, x_qry, _ = next(iter(episodes(marked_images(), k_spt=1, k_qry=2, same_drawer=True)))
    support, query = marks(x_spt)[1], marks(x_qry)[1]                           # [task, image]
    assert all(len(set(task)) == 1 for task in support)
    assert all(len(set(task)) == 2 for task in query)
    assert not any(set(a) & set(b) for a, b in zip(support, query))
    assert len(set(support[:, 0])) > 3


def test_the_same_drawers_are_those_that_all_classes_have():
    """Where classes have different numbers of images, none is taken for the next class's."""
    images, counts = marked_images(drawings=9), [7, 5, 9, 6] * 3
    uneven = ClassImages(np.concatenate([of_class[:count] for of_class, count in zip(images, counts)]), counts,
                         list(map(str, counts)), n_train=6)
    found = episodes(uneven, n_way=5, k_spt=1, k_qry=2, task_num=50, same_drawer=True)
    x_spt, _, x_qry, _ = next(iter(found))
    for x, drawers in ((x_spt, 1), (x_qry, 2)):
        classes, drawings, _ = marks(x)                                            # [task, image] each
        assert all(set(task) == set(of_task) for task, of_task in zip(classes, found.classes(0)))
        assert all(len(set(task)) == drawers for task in drawings)
