"""The notebook: it runs from start to end, what it computes makes sense, and its saved outputs are whole."""
import copy
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "examples" / "omniglot_maml.ipynb"
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


@pytest.fixture(scope="module")
def saved():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_runs(saved, data_path, monkeypatch):
    monkeypatch.setenv("NOTEBOOK_DATA", str(data_path))
    monkeypatch.setenv("NOTEBOOK_EPOCHS", "40")
    folder = {"metadata": {"path": str(NOTEBOOK.parent)}}
    check_outputs(NotebookClient(copy.deepcopy(saved), timeout=300, kernel_name="python3", resources=folder).execute())


def test_saved_outputs_are_those_of_one_run(saved):
    nbformat.validate(saved)
    assert [cell.execution_count for cell in code_cells(saved)] == list(range(1, len(code_cells(saved)) + 1))
    check_outputs(saved)
    assert not re.search(r"(?<![\w.])/\w+/", texts(saved))                  # nobody's folders
