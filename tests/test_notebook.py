"""The notebooks: each runs from start to end, what it computes makes sense, and its saved outputs are whole."""
import copy
import os
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parent.parent / "examples"
NOTEBOOK, OWN_IMAGES = EXAMPLES / "omniglot_maml.ipynb", EXAMPLES / "own_images.ipynb"
PICTURES = 4   # support and query of a task, the curve, accuracy after every inner step


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook):
    """What its cells printed."""
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert all(output.get("name", "stdout") == "stdout" and output.output_type != "error" for output in outputs)
    return "".join(output.text for output in outputs if output.output_type == "stream")


def pictures(notebook):
    return sum("image/png" in output.get("data", {}) for cell in code_cells(notebook) for output in cell.outputs)


def accuracies(text, name):
    """The accuracies after 0, 1, ... inner steps on the line that begins with `name`."""
    return np.array(re.search(rf"^{name}: *\[(.*)\]$", text, re.MULTILINE)[1].split(), float)


def check_outputs(notebook):
    text = texts(notebook)
    assert pictures(notebook) == PICTURES
    before, after = accuracies(text, "untrained"), accuracies(text, "trained")
    assert len(before) == len(after) == 6                              # 0 to 5 inner steps
    assert after[0] == pytest.approx(0.2, abs=0.1)                     # without a step it guesses
    assert after[-1] > max(before[-1], after[0] + 0.2)


def check_own_images(notebook):
    text = texts(notebook)
    assert pictures(notebook) == 2   # the shapes, and some answers
    assert int(re.search(r"^50 new drawings, (\d+)% right$", text, re.MULTILINE)[1]) > 60
    assert float(re.search(r"one by one: (\S+)$", text, re.MULTILINE)[1]) < 1e-5
    assert "12 classes (9 to train on, 3 to test on), 12 images each, 28 x 28 x 1" in text
    assert float(re.search(r"^accuracy (\S+) ", text, re.MULTILINE)[1]) > 1 / 3
    assert re.search(r"^shapes_net.mindir and shapes_net.json: 12 classes, ", text, re.MULTILINE)
    assert int(re.search(r"^(\d+) of 12 new drawings, one of each class, are told right$", text, re.MULTILINE)[1]) > 6


def executed(notebook):
    """It run from start to end on one core: its small networks gain nothing by more."""
    folder, cores = {"metadata": {"path": str(EXAMPLES)}}, os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        return NotebookClient(copy.deepcopy(notebook), timeout=300, kernel_name="python3", resources=folder).execute()
    finally:
        os.sched_setaffinity(0, cores)


def saved(path):
    return nbformat.read(path, as_version=4)


def test_it_runs(data_path, monkeypatch):
    monkeypatch.setenv("NOTEBOOK_DATA", str(data_path))
    monkeypatch.setenv("NOTEBOOK_EPOCHS", "20")
    check_outputs(executed(saved(NOTEBOOK)))


def test_the_one_on_own_images_runs(monkeypatch):
    monkeypatch.setenv("NOTEBOOK_EPOCHS", "20")
    check_own_images(executed(saved(OWN_IMAGES)))


@pytest.mark.parametrize(("path", "check"), [(NOTEBOOK, check_outputs), (OWN_IMAGES, check_own_images)])
def test_saved_outputs_are_those_of_one_run(path, check):
    notebook = saved(path)
    nbformat.validate(notebook)
    assert [cell.execution_count for cell in code_cells(notebook)] == list(range(1, len(code_cells(notebook)) + 1))
    check(notebook)
    assert not re.search(r"(?<![\w.])/\w+/", texts(notebook))                  # nobody's folders
