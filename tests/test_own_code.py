"""Classes of the user's own by `module:Class`: found beside the program or on the path, or refused in one line."""
import re
import sys

import pytest

from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.own_code import find_class


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a module of two classes, which no path names."""
    (tmp_path / "mine_of_a_test.py").write_text("class Mine(dict): ...\nclass Other: ...\nsize = 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "mine_of_a_test", raising=False)
    return tmp_path


def test_a_class_of_the_working_directory_is_found_and_its_folder_named_once(folder):
    assert find_class("mine_of_a_test:Mine", dict).__name__ == "Mine"
    find_class("mine_of_a_test:Mine", dict)
    assert sys.path.count(str(folder)) == 1 and sys.path[-1] == str(folder)


@pytest.mark.parametrize(("name", "words"), [
    ("mine_of_a_test:Theirs", "mine_of_a_test has no Theirs; expected a subclass of builtins.dict"),
    ("mine_of_a_test:Other", "mine_of_a_test has another kind of Other; expected a subclass of builtins.dict"),
    ("mine_of_a_test:size", "mine_of_a_test has another kind of size; expected a subclass of builtins.dict"),
    ("mine_of_a_test:Mine:x", "mine_of_a_test has no Mine:x; expected a subclass of builtins.dict"),
])
def test_what_is_no_such_class_is_refused(folder, name, words):
    with pytest.raises(InputError, match=f"^{re.escape(words)}$"):
        find_class(name, dict)


@pytest.mark.parametrize(("text", "error"), [
    (None, "ModuleNotFoundError: No module named 'broken_of_a_test'"), ("1 / 0", "ZeroDivisionError: division by zero"),
    ("raise ValueError('one\\ntwo')", "ValueError: one"), ("raise ValueError", "ValueError: ")])
def test_a_module_that_cannot_be_imported_is_one_line(folder, text, error):
    if text:
        (folder / "broken_of_a_test.py").write_text(text)
    words = f"module 'broken_of_a_test' cannot be imported ({error}); expected it in {folder} or on PYTHONPATH"
    with pytest.raises(InputError, match=f"^{re.escape(words)}$"):
        find_class("broken_of_a_test:Mine", dict)
