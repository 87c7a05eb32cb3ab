"""The READMEs' tables of options, written from src/options.py between marker lines: `python src/option_tables.py`."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))   # for `python src/option_tables.py`

from src.files import replacing  # noqa: E402
from src.options import markdown_table  # noqa: E402

READMES = ("README.md", "README_CN.md")
TABLE = re.compile(r"(<!-- options of (\w+) -->\n).*?(<!-- end of options -->)", re.DOTALL)


def with_tables(text):
    """`text` with the table of each `<!-- options of PROGRAM -->` as the options are now."""
    return TABLE.sub(lambda match: f"{match[1]}\n{markdown_table(match[2])}\n\n{match[3]}", text)


def main():
    for name in READMES:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        with replacing(path) as temporary:
            temporary.write_text(with_tables(text), encoding="utf-8")


if __name__ == "__main__":
    main()
