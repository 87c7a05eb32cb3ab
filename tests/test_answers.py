"""What an evaluation answered, on three tasks made by hand: rows, accuracies by group, and what is confused."""
import json

import numpy as np
import pytest

from mindspore_maml.training import answers
from mindspore_maml.training.answers import Answers, counted, found_in
from mindspore_maml.training.evaluation import bracketed, by_step, mean_and_interval, runs_line, summary_line

NAMES, ALPHABETS = ["a/1", "a/2", "b/1", "b/2"], ["a", "a", "b", "b"]
# Two labels a task: of the first the classes 2 and 0, of the second 0 and 1, of the third 2 and 0
GIVEN = Answers(np.zeros((4, 1)), NAMES, ALPHABETS, classes=np.array([[2, 0], [0, 1], [2, 0]]),
                true=np.array([[0, 1], [1, 0], [0, 0]]), found=np.array([[0, 0], [1, 0], [1, 1]]),
                probability=np.array([[0.91234, 0.8], [0.7, 0.6], [0.512345, 1.0]]))


def test_a_row_for_every_question():
    assert list(GIVEN.rows()) == [
        ["task", "question", "class", "found", "probability"],
        [1, 1, "b/1", "b/1", 0.9123], [1, 2, "a/1", "b/1", 0.8], [2, 1, "a/2", "a/2", 0.7], [2, 2, "a/1", "a/1", 0.6],
        [3, 1, "b/1", "a/1", 0.5123], [3, 2, "b/1", "a/1", 1.0]]


def test_accuracy_by_character_and_alphabet():
    assert GIVEN.accuracies(NAMES) == {"a/1": {"accuracy": 0.5, "questions": 2}, "a/2": {"accuracy": 1, "questions": 1},
                                       "b/1": {"accuracy": pytest.approx(1 / 3), "questions": 3}}
    assert GIVEN.accuracies(ALPHABETS) == {"a": {"accuracy": pytest.approx(2 / 3), "questions": 3},
                                           "b": {"accuracy": pytest.approx(1 / 3), "questions": 3}}


def test_what_is_confused_most_comes_first_with_how_often_it_could_be(monkeypatch):
    pairs = [{"class": "b/1", "found": "a/1", "times": 2, "questions": 3},
             {"class": "a/1", "found": "b/1", "times": 1, "questions": 1}]
    assert GIVEN.confused() == pairs
    assert GIVEN.pairs() == [(2, 0), (0, 2)]
    monkeypatch.setattr(answers, "MOST_PAIRS", 1)
    assert GIVEN.confused() == pairs[:1]


def test_all_of_it_in_json():
    found = json.loads(json.dumps(GIVEN.as_json()))
    assert found["answers"][0] == {"classes": ["b/1", "a/1"], "true": [0, 1], "found": [0, 0],
                                   "probability": [0.9123, 0.8]}
    assert (found["by_alphabet"], found["by_character"]) == (GIVEN.accuracies(ALPHABETS), GIVEN.accuracies(NAMES))
    assert (len(found["answers"]), found["confused"]) == (3, GIVEN.confused())
    without = Answers(GIVEN.images, NAMES, [], GIVEN.classes, GIVEN.true, GIVEN.found, GIVEN.probability)
    assert without.as_json()["by_alphabet"] == {}


def test_the_matrix_has_the_true_class_by_row():
    assert counted(np.array([0, 0, 2]), np.array([1, 1, 2]), 3).tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 1]]
    assert GIVEN.counts()[2].tolist() == [2, 0, 1, 0]


def test_the_label_found_and_its_probability():
    found, probability = found_in(np.log([[[1.0, 3.0], [4.0, 1.0]]]))
    assert found.tolist() == [[1, 0]]
    np.testing.assert_allclose(probability, [[0.75, 0.8]])


# ---- the figures of an evaluation

def test_the_interval_is_of_the_mean_over_tasks():
    assert mean_and_interval([[0.5, 1.0], [0.5, 1.0]]) == pytest.approx((0.75, 1.96 * 0.25 / 2))


def test_an_accuracy_is_printed_as_the_modelzoo_does():
    assert bracketed(0.9608333) == "[0.9608333]"


def test_losses_and_accuracies_by_step():
    found = by_step([[1.0, 2.0], [3.0, 4.0]], [[[0, 1], [1, 1]], [[0, 0], [1, 0]]], "test_")
    assert found == {"test_accuracies": [0.25, 0.75], "test_losses": [2.0, 3.0]}


def test_a_line_says_what_was_measured():
    results = {"mean": 0.5, "interval_95": 0.25, "tasks": 4, "n_way": 5, "k_spt": 1, "k_qry": 15, "rotate": False,
               "protocol": "none", "statistics": "query", "views": 1, "view_strength": 1.0, "update_step_test": 3}
    line = "accuracy 0.5000 +- 0.2500 (95 % interval): 4 tasks, 5-way 1-shot, 15 query images a class"
    assert summary_line(results) == f"{line}, 3 inner steps"
    more = {"rotate": True, "statistics": "support", "views": 8, "view_strength": 0.7, "protocol": "paper"}
    assert summary_line(results | more) == (f"{line}, classes rotated, 3 inner steps, statistics of the support "
                                            f"images, 8 views of strength 0.7, protocol paper")
    assert runs_line({"error": 0.05, "interval_95": 0.01, "errors": {"run01": 0.1, "run02": 0.0}} | results) == (
        "error 0.0500 +- 0.2500 (95 % interval): 2 runs, 5-way 1-shot, 3 inner steps, statistics of the query images")
