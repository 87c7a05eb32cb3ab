"""The option tables of docs/options.md, written between its marker lines: `python docs/option_tables.py`."""
import re
from pathlib import Path

from mindspore_maml.cli.atomic_files import replacing
from mindspore_maml.cli.command_line import starting_values
from mindspore_maml.cli.options import REQUIRED, options_of

PAGE = Path(__file__).resolve().parent / "options.md"
TABLE = re.compile(r"(<!-- options of (\w+) -->\n).*?(<!-- end of options -->)", re.DOTALL)


def markdown_table(program: str) -> str:
    """A table of the options of `program`, with the values that a run without flags has."""
    options = options_of(program)
    defaults = starting_values(program, options, {})
    lines = ["| flag | default | meaning |", "| --- | --- | --- |"]
    for option in options:
        default = defaults[option.name]
        shown = "required" if default is REQUIRED else f"`{default}`" if default not in ("", []) else ""
        also = f"; or {option.also[1]}" if option.also else ""
        choices = f" ({', '.join(map(str, option.choices))}{also})" if option.choices else ""
        lines.append(f"| `--{option.name}` | {shown} | {option.help}{choices} |")
    return "\n".join(lines)


def with_tables(text: str) -> str:
    """`text` with the table of each `<!-- options of PROGRAM -->` as the options are now."""
    return TABLE.sub(lambda match: f"{match[1]}\n{markdown_table(match[2])}\n\n{match[3]}", text)


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    with replacing(PAGE) as temporary:
        temporary.write_text(with_tables(text), encoding="utf-8")


if __name__ == "__main__":
    main()
