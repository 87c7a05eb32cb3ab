"""The tables of files in docs/architecture.md, each file in its own words: `python docs/file_tables.py`."""
import ast
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
TABLE = re.compile(r"(<!-- files of (\S+) -->\n).*?(<!-- end of files -->)", re.DOTALL)
PATTERNS = ("*.py", "*.yaml", "*.sh", "*.md", "*.ipynb")


def what_it_is(path: Path) -> str:
    """The first sentence of a file about itself: of its docstring, description, head comment or title."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        text = ast.get_docstring(ast.parse(text)) or ""
    elif path.suffix == ".yaml":
        text = re.findall(r"^description: (.*)", text, re.MULTILINE)[0]
    elif path.suffix == ".sh":
        text = re.findall(r"^# (?!shellcheck)(.*)", text, re.MULTILINE)[0]
    elif path.suffix == ".ipynb":
        text = "".join(json.loads(text)["cells"][0]["source"])
    first = text.lstrip("# ").split("\n\n")[0] if path.suffix == ".py" else text.lstrip("# ").splitlines()[0]
    return re.split(r"(?<=[a-z0-9)`])[.;] ", " ".join(first.split()))[0].rstrip(".")


def files_of(folder: str) -> list[Path]:
    """The files of a folder of the project ("." for its root) that have something to say of themselves."""
    found = sorted(path for pattern in PATTERNS for path in (ROOT / folder).glob(pattern))
    return [path for path in found if path.name != "__init__.py"]


def file_table(folder: str) -> str:
    """A table of the files of a folder, each with a link and what it is."""
    rows = [f"| [{path.name}]({Path('..') / path.relative_to(ROOT)}) | {what_it_is(path)} |".replace("../docs/", "")
            for path in files_of(folder)]
    return "\n".join(["| file | what it is |", "| --- | --- |", *rows])


def with_tables(text: str) -> str:
    """`text` with the table of each `<!-- files of FOLDER -->` as the files are now."""
    return TABLE.sub(lambda match: f"{match[1]}\n{file_table(match[2])}\n\n{match[3]}", text)


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
