"""The documentation: generated tables, commands that parse, names and links that exist, both languages alike."""
import importlib.util
import itertools
import re
import shlex
from pathlib import Path

import pytest
import yaml

from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.options import DATA, DEMO, EVAL, EXPORT, PLOT, PREDICT, TRAIN
from mindspore_maml.cli.presets import PRESET_FOLDER, read_preset
from mindspore_maml.layers.description import describe
from mindspore_maml.layers.registry import KINDS

ROOT = Path(__file__).resolve().parent.parent
READMES = ("README.md", "README_CN.md")
PAGES = (*READMES, "CONTRIBUTING.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
LONGEST_README, LONGEST_PAGE = 180, 250   # lines
PROGRAMS = {"omniglot_train.py": TRAIN, "eval.py": EVAL, "src/data_preprocess.py": DATA, "plot.py": PLOT,
            "predict.py": PREDICT, "export.py": EXPORT, "demo.py": DEMO}
COMMANDS = {"maml-train": TRAIN, "maml-eval": EVAL, "maml-data": DATA, "maml-plot": PLOT, "maml-predict": PREDICT,
            "maml-export": EXPORT, "maml-demo": DEMO}
LAUNCHERS = {"train": (TRAIN, ["--device_id", "--epoch", "--data_path"]),   # or a number of devices, a number too
             "eval": (EVAL, ["--device_id", "--data_path", "--ckpt"])}
FILE = r"(?:src|script|config|benchmarks|tests|docs|examples)/[\w./+-]*\w\.\w+"


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text, language):
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(text):
    """What a page tells to type: the lines of its bash blocks, and inline code that starts with python or bash."""
    lines = [line for block in blocks(text, "bash") for line in block.splitlines()]
    return lines + re.findall(r"`((?:python|bash) [^`]*)`", text)


def option_tables():
    """The program docs/option_tables.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("option_tables", ROOT / "docs" / "option_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- tables written by programs

def test_tables_of_options_are_those_of_the_options():
    tables, text = option_tables(), read("docs/options.md")
    assert tables.with_tables(text) == text, "run python docs/option_tables.py"
    for program in PROGRAMS.values():
        assert text.count(tables.markdown_table(program)) == 1


def test_the_table_writer_replaces_what_is_between_its_marks():
    tables = option_tables()
    new = tables.with_tables("before\n<!-- options of eval -->\n\n| gone |\n\n<!-- end of options -->\nafter\n")
    assert "| gone |" not in new
    assert new.count("\n| ") > 5
    assert (new.splitlines()[0], new.splitlines()[-1]) == ("before", "after")
    assert tables.with_tables(new) == new


# ---- what a reader types

@pytest.mark.parametrize("page", PAGES)
def test_commands_are_accepted(page):
    parsed = 0
    for command in commands(read(page)):
        words = shlex.split(command, comments=True)
        _, program, *arguments = itertools.dropwhile(lambda word: "=" in word, words)
        if launcher := re.fullmatch(r"script/run_(?:standalone_|distribute_)?(train|eval)_\w+\.sh", program):
            kind, names = LAUNCHERS[launcher[1]]
            arguments = [text for pair in zip(names, arguments) for text in pair] + arguments[len(names):]
        elif program in PROGRAMS:
            kind = PROGRAMS[program]
        elif words[0] in COMMANDS:
            kind, arguments = COMMANDS[words[0]], words[1:]
        else:
            continue
        if {"...", "--list_presets"} & set(arguments):
            continue
        parse(kind, "", arguments)
        parsed += 1
    assert parsed >= 12 or page not in READMES   # most of what a README is about


@pytest.mark.parametrize("page", PAGES)
def test_python_imports_what_there_is(page):
    for block in blocks(read(page), "python"):
        compile(block, page, "exec")
        for line in re.findall(r"^from mindspore_maml\S* import .*", block, re.MULTILINE):
            exec(line, {})


def test_own_presets_are_accepted(tmp_path, monkeypatch):
    text = read("docs/extending.md")
    (layer,) = [block for block in blocks(text, "python") if "class Swish(Layer)" in block]
    (tmp_path / "swish.py").write_text(layer, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    for block in blocks(text, "yaml"):
        preset = tmp_path / "my.yaml"
        preset.write_text(block, encoding="utf-8")
        content = read_preset(str(preset))
        assert len(describe(content["network"], 1, 28, 5)) == len(yaml.safe_load(block)["network"])


# ---- what the pages name

@pytest.mark.parametrize("page", PAGES)
def test_files_it_names_exist(page):
    """Programs of commands, and every path that begins with one of the project's folders."""
    if page.endswith("-journal.md"):
        return   # its names are those of the time
    text = read(page)
    named = set(re.findall(rf"(?<![\w/]){FILE}", text)) | set(re.findall(r"\brequirements[\w-]*\.txt", text))
    named |= {shlex.split(command, comments=True)[1] for command in commands(text)
              if re.match(r"(python|bash) [\w/]+\.", command)}
    assert sorted(name for name in named if not (ROOT / name).is_file()) == []


@pytest.mark.parametrize("page", ["docs/maml.md", "docs/extending.md"])
def test_names_beside_a_file_are_in_it(page):
    """`Name` in `file`, `Name` (`file`) and the like."""
    pairs = re.findall(rf"`([A-Za-z_.]+)`(?:s?,? (?:in|of) |\s*\()`({FILE})`", read(page).replace("\n", " "))
    assert len(pairs) > 2
    for name, file in pairs:
        for part in name.split("."):
            assert re.search(rf"\b{part}\b", read(file)) or part in Path(file).stem, (name, file)


@pytest.mark.parametrize("page", PAGES)
def test_links_resolve(page):
    text = re.sub(r"`[^`\n]*`", "", re.sub(r"\[`[^`\n]*`\]", "[]", read(page)))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.is_file(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}, target


def test_every_page_is_linked_from_the_readme_or_one_behind_it():
    seen, new = set(), {"README.md"}
    while new:
        page = new.pop()
        seen.add(page)
        targets = re.findall(r"\]\(([^)#\s]+\.md)", read(page))
        near = {((ROOT / page).parent / target).resolve() for target in targets if "://" not in target}
        new |= {path.relative_to(ROOT).as_posix() for path in near} - seen
    assert set(PAGES) <= seen


def test_layers_and_their_properties_are_listed():
    text = read("docs/extending.md")
    for layer, kind in KINDS.items():
        row = re.search(rf"^\| `{layer}` \|(.*)\|$", text, re.MULTILINE)
        assert row, f"add a row for {layer} to the table of layers in docs/extending.md"
        assert set(re.findall(r"`(\w+)`", row[1])) - {"n_way"} == set(kind.properties)


@pytest.mark.parametrize("page", READMES)
def test_readmes_are_short_and_name_every_preset(page):
    text = read(page)
    assert len(text.splitlines()) <= LONGEST_README
    missing = [path.stem for path in PRESET_FOLDER.glob("*.yaml") if f"`{path.stem}`" not in text]
    assert missing == [], f"name each preset of config/ under Presets, in {' and '.join(READMES)}"


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_short(page):
    assert len(read(page).splitlines()) <= LONGEST_PAGE


def test_both_languages_hold_the_same():
    """Commands, presets, numbers and links: what needs no translation."""
    english, chinese = map(read, READMES)
    for language in ("bash", "python"):
        assert blocks(english, language) == blocks(chinese, language)
    assert sorted(commands(english)) == sorted(commands(chinese))
    assert len(re.findall(r"^#+ ", english, re.MULTILINE)) == len(re.findall(r"^#+ ", chinese, re.MULTILINE))
    for pattern in (r"`--\w+", r"\d+(?:[.,]\d+)*", r"\]\(((?:docs|examples)/[^)]*)\)", r"^\| `[\w+-]+`"):
        found = [set(re.findall(pattern, text, re.MULTILINE)) for text in (english, chinese)]
        assert found[0] == found[1], pattern


def test_the_picture_of_the_rooms_names_them_all():
    picture = read("docs/rooms.svg")
    rooms = [f"src/{path.parent.name}" for path in ROOT.glob("src/*/__init__.py")]
    files = [path.name for path in ROOT.glob("src/*.py") if path.name != "__init__.py"]
    assert [name for name in rooms + files if name not in picture] == []
