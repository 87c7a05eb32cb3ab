"""The READMEs: tables as the options are, commands that parse, files that exist, links that resolve, one content."""
import re
import shlex
from pathlib import Path

import pytest
import yaml

from src.cli.command_line import parse
from src.cli.option_tables import READMES, markdown_table, with_tables
from src.cli.options import DATA, EVAL, PLOT, TRAIN
from src.cli.presets import read_preset
from src.layers.description import LAYERS, describe

ROOT = Path(__file__).resolve().parent.parent
PAGES = (*READMES, *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
PROGRAMS = {"omniglot_train.py": TRAIN, "eval.py": EVAL, "src/data_preprocess.py": DATA, "plot.py": PLOT}
LAUNCHERS = {"train": (TRAIN, ["--device_id", "--epoch", "--data_path"]),
             "eval": (EVAL, ["--device_id", "--data_path", "--ckpt"])}


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text, language):
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(text):
    """What the README tells to type: the lines of its bash blocks, and inline code that starts with python or bash."""
    lines = [line for block in blocks(text, "bash") for line in block.splitlines()]
    return lines + re.findall(r"`((?:python|bash) [^`]*)`", text)


@pytest.fixture(params=READMES)
def readme(request):
    return read(request.param)


def test_tables_are_those_of_the_options(readme):
    assert with_tables(readme) == readme, "run python src/cli/option_tables.py"
    for program in (TRAIN, EVAL, DATA):
        assert readme.count(markdown_table(program)) == 1


def test_table_writer_replaces_what_is_between_the_marks():
    old = "before\n<!-- options of eval -->\n\n| gone |\n\n<!-- end of options -->\nafter\n"
    new = with_tables(old)
    assert "| gone |" not in new
    assert f"\n\n{markdown_table(EVAL)}\n\n" in new
    assert (new.splitlines()[0], new.splitlines()[-1]) == ("before", "after")
    assert with_tables(new) == new


def test_commands_are_accepted(readme):
    parsed = 0
    for command in commands(readme):
        runner, program, *arguments = shlex.split(command)
        if launcher := re.fullmatch(r"script/run_(?:standalone_)?(train|eval)_\w+\.sh", program):
            kind, names = LAUNCHERS[launcher[1]]
            arguments = [text for pair in zip(names, arguments) for text in pair] + arguments[len(names):]
        elif program in PROGRAMS:
            kind = PROGRAMS[program]
        else:
            continue
        parse(kind, "", arguments)
        parsed += 1
    assert parsed >= 12   # most of what the README is about


def test_files_it_names_exist(readme):
    """Programs of commands, and every path in code that begins with one of the project's folders."""
    named = set(re.findall(r"\b(?:src|script|config|benchmarks|tests|docs)/[\w.+-]*\w\.\w+", readme))
    named |= {shlex.split(command)[1] for command in commands(readme) if re.match(r"(python|bash) [\w/]+\.", command)}
    named |= set(re.findall(r"\brequirements[\w-]*\.txt", readme))
    assert len(named) > 12
    assert sorted(name for name in named if not (ROOT / name).is_file()) == []


def tree(text):
    """The paths of the tree of files: names at its left edge, or two spaces in below a folder."""
    block = next(block for block in blocks(text, "text") if block.startswith("omniglot_train.py"))
    folder, paths = "", set()
    for line in block.splitlines():
        names = re.match(r"( {2})?([\w./+-]+(?:, [\w./+-]+)*)(?: {2}|$)", line)
        folder = folder if names[1] else ""
        for name in names[2].split(", "):
            if name.endswith("/"):
                folder = name
            else:
                paths.add(folder + name)
    return paths


def test_the_tree_names_every_file(readme):
    patterns = ("*.py", "src/*.py", "config/*.yaml", "script/*.sh", "benchmarks/*.py", "docs/*.md",
                "examples/*.ipynb")
    files = {path.relative_to(ROOT).as_posix() for pattern in patterns for path in ROOT.glob(pattern)}
    files -= {"src/__init__.py"}
    assert tree(readme) == files


@pytest.mark.parametrize("page", PAGES)
def test_links_resolve(page):
    text = re.sub(r"`[^`\n]*`", "", read(page))
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert targets
    for target in targets:
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.is_file(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}, target


def test_own_preset_is_accepted(readme, tmp_path):
    (block,) = blocks(readme, "yaml")
    preset = tmp_path / "my.yaml"
    preset.write_text(block, encoding="utf-8")
    content = read_preset(str(preset))
    assert len(describe(content["network"], 1, 28, 5)) == len(yaml.safe_load(block)["network"])


def test_layers_and_their_properties_are_listed(readme):
    for layer, properties in LAYERS.items():
        row = re.search(rf"^\| `{layer}` \|(.*)\|$", readme, re.MULTILINE)
        assert set(re.findall(r"`(\w+)`", row[1])) - {"n_way"} == set(properties)


def test_both_languages_hold_the_same():
    """Commands, presets, figures and references: what needs no translation."""
    english, chinese = map(read, READMES)
    for language in ("bash", "yaml"):
        assert blocks(english, language) == blocks(chinese, language)
    assert sorted(commands(english)) == sorted(commands(chinese))
    assert tree(english) == tree(chinese)
    assert len(re.findall(r"^#+ ", english, re.MULTILINE)) == len(re.findall(r"^#+ ", chinese, re.MULTILINE))
    for pattern in (r"arXiv:[\d.]+", r"`--\w+", r"\d+(?:[.,]\d+)*"):   # the last: every figure
        assert set(re.findall(pattern, english)) == set(re.findall(pattern, chinese)), pattern
