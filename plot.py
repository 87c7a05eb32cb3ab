"""Draw trainings together: their accuracies over the epochs, and over the inner steps where those were measured.

Each RUN is the --output_dir of a training. Accuracies by inner step come from --per_step in training, and from the
files in RUN that eval.py --per_step --json wrote.
"""
from pathlib import Path

from src.cli.atomic_files import make_folder
from src.cli.command_line import parse
from src.cli.errors import InputError, run_program
from src.cli.options import PLOT
from src.pictures.curves import draw_runs, read_runs

FORMATS = (".png", ".jpg", ".pdf", ".svg")


def main():
    options = parse(PLOT, __doc__)
    runs = read_runs(options.operands)
    path = Path(options.out)
    if path.suffix not in FORMATS:
        raise InputError(f"--out {path}: no such kind of picture; expected a name that ends in {', '.join(FORMATS)}")
    make_folder(path.parent, "--out")
    try:
        draw_runs(runs, path)
    except OSError as error:
        raise InputError(f"--out {path}: cannot write this file ({error.strerror})") from error
    print(path)
    return 0


if __name__ == "__main__":
    run_program(main)
