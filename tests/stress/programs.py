"""What the attacks run: a training small enough to be started a hundred times, and its evaluation."""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--workers", 1, "--task_num", 2, "--k_qry", 1, "--device_target", "CPU")
COMPILED_SOON = ("--preset", Path(__file__).with_name("small.yaml"))


def training(data_path, folder, *flags):
    """The command of a training into `folder`."""
    return command("omniglot_train.py", *training_flags(data_path, folder, *flags))


def training_flags(data_path, folder, *flags):
    """Its arguments."""
    return tuple(map(str, ("--data_path", data_path, "--output_dir", folder, *SMALL, *flags)))


def command(program, *arguments):
    """A program's command line."""
    return [sys.executable, str(ROOT / program), *map(str, arguments)]
