"""The kernel table of one meta-step: which operations it spends its time in, as MindSpore's profiler counts them."""
import contextlib
import csv
import io
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import mindspore as ms

from mindspore_maml.cli.atomic_files import as_csv, replacing
from mindspore_maml.cli.errors import InputError
from mindspore_maml.devices.device import silenced

FILE_NAME = "kernels.csv"
WARM_UP = 20   # steps; MindSpore tries thread counts in the first 15 or so
COLUMNS = ("kernel", "calls", "milliseconds", "share")


def profile_step(step: Callable[[], object], folder: Path) -> list[tuple[str, int, float, float]]:
    """Run `step()` to warm up, once more under the profiler, and write `kernels.csv` into `folder`.

    Returns
    -------
    list of tuple
        (kernel, calls, milliseconds, share of the whole), the dearest first.
    """
    for _ in range(WARM_UP):
        step()
    raw = Path(tempfile.mkdtemp(prefix=".profile-", dir=folder))
    try:
        with silenced(), contextlib.redirect_stdout(io.StringIO()):
            profiler = ms.Profiler(output_path=str(raw), start_profile=False)
            profiler.start()
            step()
            profiler.stop()
            profiler.analyse()
        rows = _read_kernels(raw)
    finally:
        shutil.rmtree(raw, ignore_errors=True)
    with replacing(Path(folder) / FILE_NAME) as temporary:
        temporary.write_bytes(as_csv([COLUMNS, *rows]))
    return rows


def _read_kernels(raw):
    """MindSpore names the file after the device; its columns are the same for all."""
    files = sorted(raw.rglob("*op_type_info*.csv"))
    if not files:
        raise InputError("--profile: MindSpore wrote no kernel table on this device; expected one, as on the CPU")
    with files[-1].open(encoding="utf-8", newline="") as file:
        kernels = [(row["op_type"], int(row["type_occurrences"]), float(row["total_compute_time"]))
                   for row in csv.DictReader(file)]
    total = sum(milliseconds for _, _, milliseconds in kernels)
    kernels.sort(key=lambda kernel: -kernel[2])
    return [(name, calls, round(milliseconds, 3), round(milliseconds / total, 4))
            for name, calls, milliseconds in kernels]
