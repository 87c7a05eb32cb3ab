"""Pages of the documentation whose tables programs write, between `<!-- name -->` and `<!-- end of name -->`."""
import re
from collections.abc import Mapping
from pathlib import Path

from mindspore_maml.cli.atomic_files import replacing


def write_text(path: Path, text: str) -> None:
    """Put `text` in a file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_sections(page: Path, sections: Mapping[str, str]) -> None:
    """Put each text in place of the section of that name, if the page has one."""
    text = page.read_text(encoding="utf-8")
    for section, content in sections.items():
        text = with_section(text, section, content)
    write_text(page, text)


def with_section(text: str, section: str, content: str) -> str:
    """`text` with `content` between the marks of a section, where it has them."""
    return re.sub(f"(<!-- {section} -->\n).*?(<!-- end of {section} -->)",
                  lambda match: f"{match[1]}\n{content}\n\n{match[2]}", text, flags=re.DOTALL)
