"""Draw trainings together: their accuracies over the epochs, and over the inner steps where those were measured.

Each RUN is the --output_dir of a training. Accuracies by inner step come from --per_step in training, and from the
files in RUN that eval.py --per_step --json wrote.
"""
from mindspore_maml.cli.atomic_files import result_file
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import one_line
from mindspore_maml.cli.options import PLOT
from mindspore_maml.pictures.curves import draw_runs, read_runs
from mindspore_maml.pictures.files import checked_path


def main() -> int:
    options = parse(PLOT, __doc__)
    checked_path(options.out, "--out")
    runs = read_runs(options.operands)
    with result_file(options.out, "--out") as path:
        draw_runs(runs, path)
    print(one_line(options.out))
    return 0
