"""The picture of a task: what it shows of a known one."""
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from mindspore_maml.data.class_images import ClassImages
from mindspore_maml.pictures.confusion import draw_confusion
from mindspore_maml.pictures.curves import save_figure
from mindspore_maml.pictures.fonts import families_for
from mindspore_maml.pictures.task import RIGHT, WRONG, draw_task
from mindspore_maml.training.answers import Answers

N_WAY, K_SPT, K_QRY = 3, 1, 2


def is_picture(path):
    return path.read_bytes()[:4] == b"\x89PNG"


@pytest.fixture
def task():
    """Support and query of one task, shuffled; every image's brightness names it. One query image is taken wrong."""
    sets, first = [], 0
    for k in (K_SPT, K_QRY):
        labels = np.random.default_rng(k).permutation(np.repeat(np.arange(N_WAY), k))
        brightness = (first + np.arange(len(labels))) / 10
        sets.append([np.broadcast_to(brightness[:, None, None, None], (len(labels), 1, 4, 4)), labels, labels.copy()])
        first += len(labels)
    sets[1][2][1] = (sets[1][1][1] + 1) % N_WAY
    return sets


@pytest.mark.parametrize("imgc", [1, 3])
def test_a_task_shows_every_image_in_its_row_with_its_prediction(imgc, task, tmp_path):
    task = [(np.repeat(images, imgc, axis=1), *rest) for images, *rest in task]
    axes = draw_task(*task, tmp_path / "task.png").axes[0]
    assert is_picture(tmp_path / "task.png")
    images, labels, predictions = (np.concatenate(parts) for parts in zip(*task, strict=True))
    rows = [image.get_extent()[3] for image in axes.images]
    assert [np.unique(rows).searchsorted(row) for row in rows] == list(labels)
    np.testing.assert_allclose([np.mean(image.get_array()) for image in axes.images], images.mean(axis=(1, 2, 3)))
    for image, frame, label, prediction in zip(axes.images, axes.patches, labels, predictions, strict=True):
        left, right, bottom, top = image.get_extent()
        assert frame.get_bbox().bounds == pytest.approx((left, top, right - left, bottom - top))
        (caption,) = (text for text in axes.texts
                      if left < text.get_position()[0] < right and 0 <= top - text.get_position()[1] < 0.1)
        colour = RIGHT if label == prediction else WRONG
        assert frame.get_edgecolor() == to_rgba(colour)
        assert caption.get_color() == colour
        assert caption.get_text().split() == [str(prediction), *(["\N{MULTIPLICATION X}"] if colour is WRONG else [])]
    assert [text.get_text() for text in axes.texts if "right" in text.get_text()] == ["query: 5 of 6 right"]


def test_support_stands_left_of_query(task, tmp_path):
    axes = draw_task(*task, tmp_path / "task.png").axes[0]
    left = [image.get_extent()[0] for image in axes.images]
    assert max(left[:N_WAY * K_SPT]) + 1 < min(left[N_WAY * K_SPT:])


def test_classes_are_called_by_their_names(task, tmp_path):
    names = ["cat", "a very long name indeed", "5 $"]
    texts = [text.get_text() for text in draw_task(*task, tmp_path / "task.png", names).axes[0].texts]
    assert {"cat", "a very long n\N{HORIZONTAL ELLIPSIS}", r"5 \$"} < set(texts)   # beside the rows
    assert texts.count("cat") == 1 + K_SPT + K_QRY - (task[1][1][1] == 0)
    assert texts.count("cat \N{MULTIPLICATION X}") == (task[1][2][1] == 0)
    assert not any("class" in text for text in texts)


def test_names_in_any_letters_get_a_font_that_has_them(tmp_path):
    private = "\ue000"   # a letter that the usual font lacks, and one of matplotlib's own has
    figure = Figure()
    text, plain = (figure.text(0.5, y, "name") for y in (0.3, 0.6))
    save_figure(figure, tmp_path / "plain.png")
    assert text.get_fontfamily() == families_for("name") == ["sans-serif"]
    text.set_text(f"name {private}")
    save_figure(figure, tmp_path / "private.png")
    usual, other = text.get_fontfamily()
    assert (usual, plain.get_fontfamily()) == ("sans-serif", [usual, other])
    assert ord(private) in get_font(findfont(other)).get_charmap()
    assert families_for("\uffff") == ["sans-serif"]   # which no font has


def answers_about(images):
    """Two tasks of classes 0, 1 and 1, 2 with two questions each; 1 is twice taken for 2, and 0 once for 1."""
    return Answers(images, ["A/a", "A/$b", "B/c"], ["A", "A", "B"], np.array([[0, 1], [2, 1]]),
                   np.array([[0, 1], [1, 1]]), np.array([[1, 1], [0, 0]]), np.full((2, 2), 0.75))


def test_answers_by_character_alphabet_and_pair():
    answers = answers_about(np.zeros((3, 5, 1, 4, 4), np.uint8))
    assert list(answers.rows())[:3] == [["task", "question", "class", "found", "probability"],
                                        [1, 1, "A/a", "A/$b", 0.75], [1, 2, "A/$b", "A/$b", 0.75]]
    found = answers.as_json()
    assert found["by_character"] == {"A/$b": {"accuracy": 1 / 3, "questions": 3},
                                     "A/a": {"accuracy": 0, "questions": 1}}
    assert found["by_alphabet"] == {"A": {"accuracy": 0.25, "questions": 4}}
    assert found["confused"] == [{"class": "A/$b", "found": "B/c", "times": 2, "questions": 2},
                                 {"class": "A/a", "found": "A/$b", "times": 1, "questions": 1}]
    assert found["answers"][1] == {"classes": ["B/c", "A/$b"], "true": [1, 1], "found": [0, 0],
                                   "probability": [0.75, 0.75]}


def test_the_pairs_confused_most_stand_with_their_drawings(tmp_path):
    images = np.arange(3, dtype=np.uint8)[:, None, None, None, None] * np.ones((3, 5, 1, 4, 4), np.uint8)
    axes = draw_confusion(answers_about(images), tmp_path / "pairs.png").axes[0]
    assert [255 - image.get_array()[0, 0, 0] for image in axes.images] == [1] * 4 + [2] * 4 + [0] * 4 + [1] * 4
    assert [text.get_text() for text in axes.texts] == [r"A/\$b", "B/c: 2 of 2", "A/a", r"A/\$b: 1 of 1"]
    assert is_picture(tmp_path / "pairs.png")


def test_the_confusion_of_ones_own_classes_is_a_matrix(tmp_path):
    own = ClassImages(np.zeros((3, 3, 4, 4), np.uint8), [1, 1, 1], ["a", "b", "c"], 0)
    axes = draw_confusion(answers_about(own), tmp_path / "matrix.png").axes[0]
    assert {(text.get_position(), text.get_text()) for text in axes.texts} == {
        ((1, 0), "1"), ((1, 1), "1"), ((2, 1), "2")}
