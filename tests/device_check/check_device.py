"""Whether a device is fit for training: one page, from its driver to its time a step (script/check_device.sh).

Every part runs in processes of its own, so that one that dies takes nothing with it, and stands in a line of the page.
"""
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import ROOT, machine
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import one_line
from mindspore_maml.cli.options import BY_NAME, TRAIN, Option
from mindspore_maml.cli.presets import read_preset
from mindspore_maml.cli.program import run_program
from mindspore_maml.data.glyphs import draw_glyphs
from mindspore_maml.devices import missing

LIMIT = 1e-3        # relative, of gradients and steps: a wrong result differs by far more
ONE_LIMIT = 1e-4    # of one operation: float32 differs by far less, and numbers of fewer bits by more
ALPHABETS = {"n_background": 3, "n_evaluation": 1}   # of glyphs to train on
PUBLISHED = "the ModelZoo's README: 530 on a GPU, 155 on an Ascend"
OF_NETWORKS = Option("networks", "strided,pooled", "small networks whose gradients to compare, separated by commas; as"
                     " those of the presets maml and notebook", choices=("strided", "pooled"), several=True)
OPTIONS = (
    Option("device_target", "CPU", "what to check", choices=("CPU", "GPU", "Ascend")),
    BY_NAME["device_id"],
    Option("task_num", BY_NAME["task_num"].default_for(TRAIN), "tasks in a batch", int, low=1, high=4096),
    Option("steps", 20, "meta-steps to compare with the CPU's; as many again are taken to time them", int, low=1),
    Option("presets", "maml,modelzoo", "presets to train with, separated by commas",
           choices=tuple(sorted(path.stem for path in (ROOT / "config").glob("*.yaml"))), several=True),
    OF_NETWORKS,
)


class UnfitError(Exception):
    """A part of the check failed; the text says what."""


def main() -> int:
    """Print the page; the status is 0 where the device is fit."""
    options = parse("check", __doc__, extra=OPTIONS)
    print(f"check of {options.device_target} {options.device_id}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, part in PARTS.items():
            try:
                print(f"{name:12}", end="", flush=True)
                print(f"\n{'':12}".join(part(options, Path(folder))), flush=True)
            except UnfitError as error:
                print(f"failed\nnot fit for training: {name}: {error}")
                return 1
    print("fit for training")
    return 0


def versions(options: Any, folder: Path) -> list[str]:
    """Software, and the machine."""
    here = machine("mindspore", "numpy")
    return [f"mindspore {here['mindspore']}, numpy {here['numpy']}, Python {here['python']}, {platform.platform()}",
            f"{here['processor']}, {here['cores']} cores"]


def device(options: Any, folder: Path) -> list[str]:
    """Driver, libraries and card."""
    if options.device_target == "CPU":
        return ["the CPU"]
    if lacking := missing.reasons(options.device_target, options.device_id):
        raise UnfitError("; ".join(lacking))
    if options.device_target == "Ascend":
        return ["driver and CANN are there"]
    card = missing.find_card(options.device_id)
    return [f"{card.name}, compute capability {missing.dotted(card.capability)}, driver for CUDA "
            f"{missing.dotted(card.cuda)}, CUDA_HOME {os.environ.get('CUDA_HOME')}"]


def operations(options: Any, folder: Path) -> list[str]:
    """Every operation alone against NumPy."""
    errors = json.loads(_run("operations", _where(options)))
    wrong = {name: error for name, error in errors.items() if not _is_close(error, ONE_LIMIT)}
    if wrong:
        raise UnfitError(f"{len(wrong)} of {len(errors)}: " + "; ".join(
            f"{name} {f'differs by {error:.1e}' if isinstance(error, float) else error}"
            for name, error in wrong.items()))
    worst = max(errors, key=lambda name: errors[name])
    return [f"{len(errors)}, each alone as NumPy has it: within {errors[worst]:.1e} ({worst})"]


def gradients(options: Any, folder: Path) -> list[str]:
    """Meta-gradients against the reference."""
    errors = json.loads(_run("reference_gradients", [*_where(options), "--networks", options.networks]))
    text = ", ".join(f"{order} order within {error:.1e}" for order, error in errors.items())
    if not all(map(_is_close, errors.values())):
        raise UnfitError(f"{text} of the reference in double precision; expected {LIMIT:g}")
    return [f"{text} of the reference in double precision"]


def training(options: Any, folder: Path) -> list[str]:
    """The first steps of a training against the CPU's; time and memory."""
    draw_glyphs(folder / "data", seed=1, **ALPHABETS)
    return [line for preset in options.presets.split(",") for line in _train(preset, options, folder)]


def _train(preset, options, folder):
    """Every step starts from the CPU's weights: left to themselves, steps enlarge rounding (docs/devices.md)."""
    path = folder / "path.npz"
    expected = _first_steps(preset, options, folder, path, "--device_target", "CPU", "--workers", 1)
    found = _first_steps(preset, options, folder, folder / "found.npz", *_where(options), "--path", path,
                         "--repeats", options.steps)
    differences = {name: max(map(_relative, found[name], expected[name])) for name in ("loss", "gradient")}
    text = ", ".join(f"{name} within {difference:.1e}" for name, difference in differences.items())
    if not all(map(_is_close, differences.values())):
        raise UnfitError(f"{preset}: {options.steps} steps, {text} of the CPU's; expected {LIMIT:g}")
    return [f"{preset} ({read_preset(preset)['description']}), {options.task_num} tasks:",
            f"  {options.steps} steps as on the CPU: {text}",
            f"  first step {found['first_s']:.1f} s, then {found['median_ms']:.0f} ms a step ({PUBLISHED}), "
            f"{found['peak_mb']:.0f} MiB at most"]


def _first_steps(preset, options, folder, out, *flags):
    _run("first_steps", ["--preset", preset, "--data_path", folder / "data", "--task_num", options.task_num,
                         "--epoch", 2 * options.steps, "--compare", options.steps, "--out", out, *flags])
    with np.load(out) as figures:
        return dict(figures)


def _where(options):
    return ["--device_target", options.device_target, "--device_id", options.device_id]


def _run(module, flags):
    """What a program of this folder prints last; raises `UnfitError` with its own last words where it fails."""
    done = subprocess.run([sys.executable, "-m", f"tests.device_check.{module}", *map(str, flags)], cwd=ROOT,
                          env={"GLOG_v": "3", **os.environ}, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()
        how = f"killed by {signal.Signals(-done.returncode).name}" if done.returncode < 0 \
            else f"exit status {done.returncode}"
        print(f"\n{done.stderr}", file=sys.stderr, flush=True)
        raise UnfitError(f"tests/device_check/{module}.py, {how}: {one_line(words[-1]) if words else 'without a word'}")
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


def _relative(found, expected):
    """The length of the difference, in units of the expected vector's; for one number that is its relative error."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def _is_close(error, limit=LIMIT):
    return isinstance(error, float) and error <= limit   # a text or no number is not


PARTS: dict[str, Callable[[Any, Path], list[str]]] = {
    part.__name__: part for part in (versions, device, operations, gradients, training)}


if __name__ == "__main__":
    run_program(main)
