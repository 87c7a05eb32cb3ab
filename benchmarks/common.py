"""What benchmarks share: programs run in processes of their own, the machine, and tables written into pages.

A page has its table between `<!-- name -->` and `<!-- end of name -->`.
"""
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from mindspore_maml.cli.atomic_files import replacing
from mindspore_maml.cli.command_line import as_arguments
from mindspore_maml.cli.errors import InputError

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
HERE = {"PYTHONPATH": str(ROOT), "GLOG_v": "3"}   # where a program finds its imports; MindSpore: errors only


def run_to_end(program: str, flags: dict, shown: bool = False) -> None:
    """Run a program of the project, by its path in it, to its end; its lines are shown or not, its errors always.

    Raises
    ------
    InputError
        Where its exit status is not 0.
    """
    arguments = as_arguments(flags)
    done = subprocess.run([sys.executable, str(ROOT / program), *arguments], check=False,
                          env=os.environ | HERE,
                          stdout=None if shown else subprocess.DEVNULL)
    if done.returncode:
        raise InputError(f"{program} {' '.join(arguments)}: it ended with {done.returncode}; expected 0")


def machine(*packages: str) -> dict:
    """What the figures were measured on, with the versions of `packages`."""
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return {"processor": model, "cores": len(os.sched_getaffinity(0)), "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in packages}}


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
