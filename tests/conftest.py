"""Shared by all tests: the device, and real Omniglot where OMNIGLOT_PATH names it."""
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from src.devices import device

device.set_up("CPU")
for name in ("suite", "long"):   # long: --hypothesis-profile=long, see test_any_input.py
    settings.register_profile(name, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("suite")


@pytest.fixture(scope="session")
def data_path(tmp_path_factory):
    """A prepared data folder: real Omniglot where OMNIGLOT_PATH names it, the built-in glyphs otherwise."""
    folder = tmp_path_factory.mktemp("data")
    glyphs = ["--glyphs"]
    if real := os.environ.get("OMNIGLOT_PATH"):
        (folder / "raw").symlink_to(Path(real).resolve() / "raw")   # what is unpacked stays in our own folder
        glyphs = []
    program = Path(__file__).parent.parent / "src" / "data_preprocess.py"
    subprocess.run([sys.executable, str(program), "--data_path", str(folder), *glyphs], check=True,
                   stdout=subprocess.DEVNULL)
    return folder
