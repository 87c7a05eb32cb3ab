"""Shared by all tests: the device, which MAML_DEVICE names, and real Omniglot where OMNIGLOT_PATH names it."""
import fcntl
import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault("GLOG_v", "3")   # before anything imports MindSpore: errors only

from checkpoints import write
from hypothesis import HealthCheck, settings
from networks import STRIDED

from mindspore_maml.cli.messages import show_messages
from mindspore_maml.devices import device

gc.freeze()   # what is imported stays: no need to look through it again
gc.set_threshold(20_000, 50, 50)
show_messages()   # as the programs do, whose `main` many tests call
BESIDE = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))   # processes that run tests at the same time
DEVICE = device.set_up(os.environ.get("MAML_DEVICE", "CPU"), int(os.environ.get("MAML_DEVICE_ID", "0")),
                       threads=max(1, len(os.sched_getaffinity(0)) // BESIDE))
for name in ("suite", "long"):   # long: --hypothesis-profile=long, see test_any_input.py
    settings.register_profile(name, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("suite")


# Several processes take whole files each; those of minutes come first, so that none is left at last
LONG = ("test_gradients", "test_ranks", "test_training", "test_launchers", "test_stress", "test_notebook",
        "test_results", "test_export", "test_package", "test_library", "test_devices_operations", "test_devices_check",
        "test_algorithms", "test_layers", "test_modelzoo", "test_demo_page", "test_pretraining", "test_classifier")


def pytest_collection_modifyitems(items):
    """Put the long files first, and skip on other devices what is marked `cpu_only`."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))
    for item in items:
        if item.get_closest_marker("cpu_only") and DEVICE != "CPU":
            item.add_marker(pytest.mark.skip(reason=f"for the CPU only, and MAML_DEVICE is {DEVICE}"))


@pytest.fixture(autouse=True, scope="session")
def _hangups_are_heard():
    """The tests may run under nohup, and what it ignores would be inherited by the programs that they start."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def data_path(tmp_path_factory):
    """A prepared data folder: real Omniglot where OMNIGLOT_PATH names it, the built-in glyphs otherwise."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base   # one folder for all processes of the tests
    folder = base / "data"
    with (base / "data.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "omniglot.npy").exists():
            _prepare(folder)
    return folder


def _prepare(folder):
    folder.mkdir(exist_ok=True)
    glyphs = ["--glyphs"]
    if real := os.environ.get("OMNIGLOT_PATH"):
        (folder / "raw").symlink_to(Path(real).resolve() / "raw")   # what is unpacked stays in our own folder
        glyphs = []
    program = Path(__file__).parent.parent / "src" / "data_preprocess.py"
    with (folder / "printed.txt").open("w") as printed:
        subprocess.run([sys.executable, str(program), "--data_path", str(folder), *glyphs], check=True, stdout=printed)


@pytest.fixture(scope="session")
def trained_path(tmp_path_factory):
    """A checkpoint of a small network for 28 x 28 images and three classes: fresh weights, which adapting is enough
    for where classes are as easy to tell as those of own_images.py."""
    blocks = [[{**STRIDED, "filters": 48}, {"layer": "bn", "eps": 1e-3}, {"layer": "relu"}]] * 3
    layers = [*sum(blocks, []), {"layer": "flatten"}, {"layer": "linear", "init_scale": 0.03}]
    path, *_ = write(tmp_path_factory.mktemp("trained"), imgsz=28, network=layers, update_lr=0.1, update_step_test=12)
    return path
