"""The rooms of docs/architecture.md: imports stay in their room or go down, in no circle, and take no private names."""
import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# From top to bottom. A room is a folder or some files. Those of one floor stand beside each other: columns with stairs
# of their own, which know nothing of one another.
FLOORS = (
    [["*.py", "benchmarks/*.py", "docs/*.py"], ["src/commands.py"], ["src/programs/*.py"]],
    {"pictures": [["src/pictures/*.py"]],
     "library": [["src/demo/*.py"], ["src/exporting.py"], ["src/plain_network.py"], ["src/classifier.py"],
                 ["src/adapted.py"], ["src/unknown.py", "src/labels.py"]]},
    [["src/training/*.py"]],
    {"data": [["src/OmniglotIter.py", "src/data_preprocess.py"], ["src/Omniglot.py"], ["src/data/*.py"]],
     "method": [["src/algorithms/*.py"], ["src/meta.py", "src/inner_loop.py"],
                ["src/passes.py", "src/last_layers.py"], ["src/learner.py"],
                ["src/layers/*.py", "src/crossentropy.py"], ["src/KaimingNormal.py"]],
     "devices": [["src/devices/*.py"]]},
    [["src/cli/*.py"]],
)


def rooms():
    """(floor, column, step) of every room's patterns: down is a larger floor, or a larger step in the same column."""
    for floor, columns in enumerate(FLOORS):
        for column, steps in (columns if isinstance(columns, dict) else {"": columns}).items():
            yield from (((floor, column, step), patterns) for step, patterns in enumerate(steps))


def places():
    """The room of every file, by its path."""
    return {path.relative_to(ROOT).as_posix(): room for room, patterns in rooms() for pattern in patterns
            for path in ROOT.glob(pattern)}


PLACES = places()


def may_import(above, below):
    """Whether a file in one room may import from another."""
    return below[0] > above[0] or (below[:2] == above[:2] and below[2] >= above[2])


def file_of(module):
    """The project's file that holds a module, or None."""
    path = module.replace("mindspore_maml", "src").replace(".", "/")
    return next((name for name in (f"{path}.py", f"{path}/__init__.py") if (ROOT / name).is_file()), None)


def imports(path):
    """(file, name) for every import of a project's file in `path`, wherever it stands; name None: the module itself."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((file, None) for alias in node.names if (file := file_of(alias.name)))
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import; expected the full name, as everywhere"
            for alias in node.names:
                if file := file_of(f"{node.module}.{alias.name}"):
                    yield file, None
                elif file := file_of(node.module):
                    yield file, alias.name


def test_every_file_has_one_room():
    files = {path.relative_to(ROOT).as_posix() for pattern in ("*.py", "src/**/*.py", "benchmarks/*.py", "docs/*.py")
             for path in ROOT.glob(pattern)} - {"src/__init__.py"}
    assert set(PLACES) == files   # a new file's room: FLOORS above
    assert len(PLACES) == sum(len(list(ROOT.glob(pattern))) for _, patterns in rooms() for pattern in patterns)


def test_imports_stay_in_their_room_or_go_down():
    wrong = [f"{path} imports {file}" for path, room in PLACES.items() for file, _ in imports(path)
             if file in PLACES and not may_import(room, PLACES[file])]
    assert wrong == []


def test_no_circle():
    """Files that import nothing of what is left are taken away, again and again; a circle would stay."""
    left = {path: {file for file, _ in imports(path)} for path in PLACES}
    while free := [path for path, files in left.items() if not files & set(left)]:
        for path in free:
            del left[path]
    assert sorted(left) == []


def test_no_module_takes_anothers_private_names():
    wrong = []
    for path in PLACES:
        text = (ROOT / path).read_text(encoding="utf-8")
        wrong += [f"{path}: {name} of {file}" for file, name in imports(path) if (name or "").startswith("_")]
        modules = {file.rsplit("/", 1)[-1].removesuffix(".py") for file, name in imports(path) if name is None}
        wrong += [f"{path}: {name}._..." for name in re.findall(r"\b(\w+)\._[a-z]", text) if name in modules]
    assert wrong == []


@pytest.mark.parametrize(("above", "below", "allowed"), [
    ("src/training/step.py", "src/meta.py", True), ("src/meta.py", "src/passes.py", True),
    ("src/passes.py", "src/meta.py", False), ("src/learner.py", "src/layers/network.py", True),
    ("src/layers/network.py", "src/OmniglotIter.py", False), ("src/devices/device.py", "src/meta.py", False),
    ("src/cli/options.py", "src/Omniglot.py", False), ("eval.py", "src/cli/options.py", True)])
def test_the_order_is_the_one_described(above, below, allowed):
    assert may_import(PLACES[above], PLACES[below]) == allowed
