"""The classifier in a program of one's own: in threads and other processes, pickled and saved, and its memory."""
import gc
import io
import json
import multiprocessing
import os
import pickle
import re
import subprocess
import sys
import weakref
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from joblib import Parallel, delayed
from own_images import shapes

from mindspore_maml import FewShotClassifier, InnerLoop, Meta, Network
from mindspore_maml import classifier as classifier_module
from mindspore_maml.cli.errors import InputError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def fitted(trained_path):
    """A classifier of three classes that has seen two images of each."""
    return FewShotClassifier(trained_path).fit(*shapes(3, 2, seed=1))


def test_threads_get_the_answers_of_one_alone(fitted):
    images, _ = shapes(3, 5, seed=2)
    alone = [fitted.predict_proba([image]) for image in images]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda call: fitted.predict_proba([images[call % 15]]), range(400)))
    for call, answer in enumerate(found):
        np.testing.assert_array_equal(answer, alone[call % 15])


def test_several_classifiers_learn_in_threads(trained_path):
    tasks = [shapes(3, count, seed) for seed, count in enumerate((1, 2, 1, 2, 1, 2))]
    questions, _ = shapes(3, 2, seed=9)

    def learned(task):
        return FewShotClassifier(trained_path).fit(*task).predict_proba(questions)
    alone = list(map(learned, tasks))
    with ThreadPoolExecutor(4) as threads:
        np.testing.assert_array_equal(list(threads.map(learned, tasks)), alone)


def answers_of(model, images):
    """What a process of its own is asked to do."""
    try:
        return model.predict_proba(images)
    except RuntimeError as error:
        return str(error)


@pytest.mark.cpu_only
def test_a_fork_says_what_it_cannot_do_at_once(fitted):
    images, _ = shapes(3, 1, seed=3)
    fitted.predict_proba(images)
    receiving, sending = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=lambda: sending.send(answers_of(fitted, images)))
    child.start()
    assert receiving.poll(10)
    assert "forked after a network had run" in receiving.recv()
    child.join(10)
    assert child.exitcode == 0


def test_a_spawned_process_and_joblib_give_the_same_answers(fitted):
    images, _ = shapes(3, 1, seed=3)
    expected = fitted.predict_proba(images)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        np.testing.assert_allclose(pool.apply(answers_of, (fitted, images)), expected, atol=1e-6)
    (found,) = Parallel(n_jobs=2)([delayed(answers_of)(fitted, images)])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_pickled_classifier_needs_neither_its_folder_nor_its_checkpoint(trained_path, tmp_path, monkeypatch):
    copy = tmp_path / "here" / "maml-3_1.ckpt"
    copy.parent.mkdir()
    copy.write_bytes(Path(trained_path).read_bytes())
    monkeypatch.chdir(tmp_path)
    model = FewShotClassifier("here").fit(*shapes(3, 2, seed=1))
    images, _ = shapes(3, 2, seed=2)
    expected, content = model.predict_proba(images), pickle.dumps(model)
    monkeypatch.chdir("/")
    again = pickle.loads(content)
    assert again.fit(*shapes(3, 2, seed=1)).ckpt == str(copy.parent)
    copy.write_bytes(b"another file")
    np.testing.assert_array_equal(pickle.loads(content).predict_proba(images), expected)
    with pytest.raises(InputError, match="no readable MindSpore checkpoint"):
        pickle.loads(content).fit(*shapes(2, 1, seed=1))


@pytest.mark.parametrize("names", [("circle", "cross"), (1, 2), (True, False), (0.5, 2.0)])
def test_a_saved_classifier_is_the_same_after_loading(trained_path, tmp_path, names):
    images, labels = shapes(2, 3, seed=1)
    model = FewShotClassifier(trained_path, steps=2).fit(images, [names[label == "circle"] for label in labels])
    model.save(tmp_path / "mine.maml")
    again = FewShotClassifier.load(tmp_path / "mine.maml")
    np.testing.assert_array_equal(again.predict_proba(images), model.predict_proba(images))
    assert again.predict(images).tolist() == model.predict(images).tolist()
    assert (again.steps_, again.numbers_.tolist()) == (2, model.numbers_.tolist())


def test_a_saved_model_that_says_no_statistics_has_the_defaults(fitted, tmp_path):
    model = {name: value for name, value in fitted.adapted_.model.items() if name != "statistics"}
    replace(fitted.adapted_, model=model).save(tmp_path / "mine.maml")
    again = FewShotClassifier.load(tmp_path / "mine.maml")
    assert again.statistics == again.options().statistics == "query"


def test_what_cannot_be_saved_is_refused(trained_path, tmp_path):
    images, _ = shapes(2, 1, seed=1)
    with pytest.raises(InputError, match="call of fit first"):
        FewShotClassifier(trained_path).save(tmp_path / "mine.maml")
    with pytest.raises(InputError, match="cannot hold the labels"):
        FewShotClassifier(trained_path).fit(images, [("a", 1), ("b", 2)]).save(tmp_path / "mine.maml")
    assert list(tmp_path.iterdir()) == []


def with_entry(content, name, value):
    """A saved classifier with another array of a name; a dict changes what is said of them."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        arrays = {entry.removesuffix(".npy"): np.load(archive.open(entry)) for entry in archive.namelist()}
    if isinstance(value, dict):
        said = json.loads(arrays["said"].tobytes()) | value
        value = np.frombuffer(json.dumps(said).encode(), np.uint8)
    file = io.BytesIO()
    np.savez(file, **arrays | {name: value})
    return file.getvalue()


@pytest.mark.parametrize(("name", "value", "message"), [
    ("said", {"format": "another"}, "not of the format"),
    ("said", {"labels": ["a", "a", "b"]}, "its labels are"),
    ("said", {"labels": ["a", "b"]}, "2 labels for a network of 3 classes"),
    ("said", {"steps": -1}, "its steps are -1"),
    ("said", {"views": 0}, "its views are 0"),
    ("centres", np.zeros((3, 2), np.float32), "centres is float32"),
    ("said", {"model": {"speed": 1}}, "unknown key speed"),
    ("weight0", np.zeros((1, 2, 3), np.float32), r"weight0 is float32 \(1, 2, 3\)"),
    ("weight0", np.zeros(3, object), "weight0 is object"),
    ("numbers", np.full(6, 3, np.int32), "numbers has values from 3 to 3; expected 0 to 2"),
    ("evened", np.array([-1]), "evened has values from -1"),
    ("support", np.zeros((0, 1, 28, 28), np.uint8), "support is uint8"),
])
def test_a_saved_file_is_checked_before_it_is_believed(fitted, tmp_path, name, value, message):
    fitted.save(tmp_path / "mine.maml")
    (tmp_path / "mine.maml").write_bytes(with_entry((tmp_path / "mine.maml").read_bytes(), name, value))
    with pytest.raises(InputError, match=message):
        FewShotClassifier.load(tmp_path / "mine.maml")


def test_weights_that_are_no_numbers_and_other_files_are_refused(fitted, tmp_path):
    path = tmp_path / "mine.maml"
    fitted.save(path)
    content = path.read_bytes()
    path.write_bytes(with_entry(content, "weight0", np.full_like(fitted.adapted_.weights[0], np.nan)))
    with pytest.raises(InputError, match="no finite number"):
        FewShotClassifier.load(path)
    for other in (b"", b"PK", content[:len(content) // 2]):
        path.write_bytes(other)
        with pytest.raises(InputError, match="no classifier that can be read"):
            FewShotClassifier.load(path)
    with pytest.raises(InputError, match="no classifier that can be read"):
        FewShotClassifier.load(tmp_path)


def test_warming_up_compiles_what_fit_and_predict_need(trained_path):
    model = FewShotClassifier(trained_path).warm_up(3, 3)
    assert "adapted_" not in vars(model)
    before = classifier_module._to_learn.cache_info().misses, classifier_module._to_answer.cache_info().misses
    model.fit(*shapes(3, 3, seed=1)).predict(shapes(3, 1, seed=2)[0])
    assert before == (classifier_module._to_learn.cache_info().misses, classifier_module._to_answer.cache_info().misses)


def test_of_many_sizes_only_the_last_ones_graphs_stay(trained_path):
    """tests/stress/memory.py measures what that is worth."""
    model = FewShotClassifier(trained_path).fit(*shapes(2, 1, seed=1))
    meta, _, _ = model._trained_for(2, 2)
    graph = weakref.ref(meta.passes_for(1, 2).inner_step[False])
    del meta
    assert graph()
    for count in range(3, 3 + classifier_module.KEPT):
        model._trained_for(2, count)
    gc.collect()
    assert graph() is None
    assert classifier_module._to_answer.cache_info().maxsize == classifier_module.KEPT


def test_importing_changes_nothing_and_prints_nothing(tmp_path):
    code = ("import logging, os, sys\n"
            "before = list(sys.path), dict(os.environ), logging.root.manager.disable, logging.root.level\n"
            "import mindspore_maml\n"
            "assert 'mindspore' not in sys.modules\n"
            "from mindspore_maml import FewShotClassifier, InnerLoop, Learner, Meta, Network, OmniglotIter\n"
            "import plot\n"
            "after = list(sys.path), dict(os.environ), logging.root.manager.disable, logging.root.level\n"
            "assert before[0] == after[0] and before[2:] == after[2:], (before, after)\n"
            "assert not {name for name in sys.modules if name.split('.')[0] in ('src', 'benchmarks')}\n"
            "try:\n    import src.meta\nexcept ImportError as error:\n    print(error)\n")
    (tmp_path / "plot.py").write_text("")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
                          env={"PATH": "", "PYTHONPATH": f"{tmp_path}:{ROOT}", "GLOG_v": "3"})
    assert done.stdout == ("src is the folder of the package mindspore_maml; expected an import of that name, with "
                           "the folder above it on Python's path\n")


def test_the_page_of_the_library_does_what_it_says(tmp_path):
    page = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
    classifier, processes, training = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    shown = []
    for name, text in (("classifier", classifier + processes), ("training", training)):
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, f"{name}.py"], cwd=tmp_path, capture_output=True, text=True, check=False,
                              env=os.environ | {"PYTHONPATH": str(ROOT)})
        assert done.returncode == 0, done.stderr
        shown.append(done.stdout)
    assert re.findall(r"'(\w+)'", shown[0])[-2:] == ["upright", "level"]
    assert all(re.match(r" ?\[", line) for line in shown[0].splitlines())   # what is printed there, and no more
    assert float(re.search(r"new classes: accuracy (\S+)", shown[1])[1]) > 0.8
    assert (tmp_path / "mine.ckpt").is_file()
    assert (tmp_path / "lines.maml").is_file()


@pytest.mark.parametrize(("change", "message"), [
    (lambda x, y: (x.astype(np.float64), y), "support images are float64 .*; expected float32 .task, image, 1, 12"),
    (lambda x, y: (x[0], y), r"support images are float32 \(3, 1, 12, 12\); expected"),
    (lambda x, y: (x[..., :11], y), r"support images are float32 \(2, 3, 1, 12, 11\); expected"),
    (lambda x, y: (x, y.astype(np.int64)), r"support labels are int64 \(2, 3\); expected int32 \(2, 3\)"),
    (lambda x, y: (x, y[:, :2]), r"support labels are int32 \(2, 2\); expected int32 \(2, 3\)"),
])
def test_images_and_labels_of_other_types_are_refused_in_a_line(change, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = Network([{"layer": "flatten"}, {"layer": "linear"}], 1, 12, 3, seed=1)
    x, y = np.zeros((2, 3, 1, 12, 12), np.float32), np.tile(np.arange(3, dtype=np.int32), (2, 1))
    with pytest.raises(InputError, match=message):
        Meta(net, InnerLoop()).meta_gradient(*change(x, y), x, y)
    assert list(tmp_path.iterdir()) == []
