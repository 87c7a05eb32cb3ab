"""What a GPU needs beside its card: setup_gpu.sh, the launchers that use its folder, and what is said to be missing."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_launchers import bash, make_program

from mindspore_maml.cli.errors import InputError
from mindspore_maml.devices import device, missing

CUDA = Path(os.environ.get("GPU_LIBRARIES", Path(sys.prefix) / "cuda"))   # what setup_gpu.sh makes
SYSTEMS = Path("/usr/local").glob("cuda*")
needs_plugin = pytest.mark.skipif(not missing.gpu_plugins(), reason="this MindSpore's wheel has no GPU plugin")
needs_no_system_cuda = pytest.mark.skipif(
    any(missing.plugin_for(missing.nvcc_version(home)) for home in SYSTEMS), reason="this system has a CUDA 11")
needs_no_driver = pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine has an NVIDIA driver")


def make_cuda(folder, version="11.6"):
    """A stand-in for a CUDA: its nvcc tells a version."""
    make_program(folder / "bin" / "nvcc", f"echo 'Cuda compilation tools, release {version}, V{version}.55'")
    return folder


class Driver:
    """Stands in for libcuda.so.1."""

    def __init__(self, cards=(("Some card", (8, 0)),), cuda=12020, status=0):
        self.cards, self.cuda, self.status = cards, cuda, status

    def cuInit(self, flags):  # noqa: N802 - the driver's names
        return self.status

    def cuDeviceGetCount(self, place):  # noqa: N802
        place._obj.value = len(self.cards)

    def cuDeviceGet(self, place, number):  # noqa: N802
        place._obj.value = number

    def cuDeviceGetName(self, name, size, device):  # noqa: N802
        name.value = self.cards[device][0].encode()

    def cuDeviceGetAttribute(self, place, attribute, device):  # noqa: N802
        place._obj.value = self.cards[device][1][{75: 0, 76: 1}[attribute]]

    def cuDriverGetVersion(self, place):  # noqa: N802
        place._obj.value = self.cuda


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with a driver, a card and a CUDA whose libraries are all there; a test takes some of it away."""
    driver = Driver()
    plugin = tmp_path / "plugin" / "libmindspore_gpu.so.11.6"
    plugin.parent.mkdir()
    plugin.touch()
    monkeypatch.setattr(missing, "PLUGINS", plugin.parent)
    monkeypatch.setattr(missing.ctypes, "CDLL", lambda name: driver)
    monkeypatch.setenv("CUDA_HOME", str(make_cuda(tmp_path / "cuda")))
    link(monkeypatch, tmp_path, "libcublas.so.11 => /lib/libcublas.so.11 (0x1)")
    return driver


def link(monkeypatch, tmp_path, *lines):
    """A linker that answers these lines."""
    make_program(tmp_path / "bin" / "ldd", "".join(f"echo '\t{line}'\n" for line in lines))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")


def only_reason(device_id=0):
    (reason,) = missing.reasons("GPU", device_id)
    return reason


def test_nothing_is_missing(machine):
    assert missing.reasons("GPU", 0) == []
    assert missing.find_card(0) == missing.Card("Some card", (8, 0), (12, 2))


def test_a_missing_driver_is_named(machine, monkeypatch):
    def fail(name):
        raise OSError(name)
    monkeypatch.setattr(missing.ctypes, "CDLL", fail)
    assert only_reason() == "no NVIDIA driver (libcuda.so.1)"


def test_a_missing_card_is_named(machine):
    assert only_reason(1) == "card 1 is not there: the NVIDIA driver sees 1, counted from 0"
    machine.status = 100
    assert only_reason() == "the NVIDIA driver finds no card (cuInit answers 100)"


def test_an_old_driver_and_an_old_card_are_named(machine):
    machine.cards, machine.cuda = (("Old card", (5, 2)),), 10020
    assert missing.reasons("GPU", 0) == [
        "the NVIDIA driver runs CUDA 10.2 at most; expected a driver for CUDA 11.0 or newer",
        "card 0, Old card, has compute capability 5.2; expected 6.0 or newer, which the plugin was built for"]


def test_another_version_of_cuda_is_named(machine, monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_HOME", str(make_cuda(tmp_path / "newer", "13.0")))
    assert only_reason().startswith(f"CUDA_HOME {tmp_path}/newer is CUDA 13.0; expected CUDA 11.6 or a newer 11 (")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert f"CUDA_HOME {tmp_path} holds no bin/nvcc that tells its version; expected" in only_reason()
    monkeypatch.delenv("CUDA_HOME")
    assert only_reason().startswith("CUDA_HOME is not set; expected the folder of a CUDA 11.6 or a newer 11 (")


def test_missing_libraries_are_named_once(machine, monkeypatch, tmp_path):
    link(monkeypatch, tmp_path, "libcublas.so.11 => not found", "libcudnn.so.8 => not found",
         "libcuda.so.1 => not found", "libcublas.so.11 => not found", "libc.so.6 => /lib/libc.so.6 (0x1)")
    assert only_reason().startswith("no libcublas.so.11, libcudnn.so.8 on LD_LIBRARY_PATH (")


def test_a_wheel_without_plugins_is_named(machine, monkeypatch, tmp_path):
    monkeypatch.setattr(missing, "PLUGINS", tmp_path)
    assert only_reason() == "this MindSpore has no GPU plugin; expected its wheel for Linux on x86_64"
    (ascend,) = missing.reasons("Ascend", 0)
    assert ascend.startswith("this MindSpore has no Ascend plugin")


def test_what_an_ascend_lacks_is_named(machine, monkeypatch, tmp_path):
    (tmp_path / "plugin" / missing.ASCEND_PLUGIN).touch()
    link(monkeypatch, tmp_path, "libge_runner.so => not found", "libascend_hal.so => not found")
    assert missing.reasons("Ascend", 0) == ["no Ascend driver (libascend_hal.so)",
                                            "no libge_runner.so; expected CANN, its set_env.sh sourced"]


def test_the_refusal_says_what_is_missing(machine, monkeypatch):
    monkeypatch.setattr(device, "_is_present", lambda target, device_id: False)
    with pytest.raises(InputError, match="no such device here: card 3 is not there: .*; use --device_target CPU"):
        device.set_up("GPU", 3)
    with pytest.raises(InputError, match="no such device here: what it needs is there; GLOG_v=2"):
        device.set_up("GPU", 0)


@pytest.mark.parametrize(("version", "plugin"), [
    ((11, 8), (11, 6)), ((11, 6), (11, 6)), ((11, 5), (11, 1)), ((11, 0), None), ((12, 0), None), ((10, 2), None),
    ((), None)])
def test_the_plugin_for_a_cuda_is_the_one_that_mindspore_takes(version, plugin, monkeypatch, tmp_path):
    """As MindSpore 2.10 was seen to choose for an nvcc of each of these versions."""
    monkeypatch.setattr(missing, "PLUGINS", tmp_path)
    for own in ("11.1", "11.6"):
        (tmp_path / f"libmindspore_gpu.so.{own}").touch()
    assert missing.plugin_for(version) == (missing.gpu_plugins()[plugin] if plugin else None)


@needs_plugin
def test_the_cards_are_those_that_the_installed_plugin_was_built_for():
    for plugin in missing.gpu_plugins().values():
        first = re.search(rb"sm_(\d)(\d)[ \0]", plugin.read_bytes())   # of the list that hal.get_arch_list() gives
        assert tuple(map(int, first.groups())) == missing.OLDEST_CARD


@needs_plugin
@needs_no_driver
def test_the_real_plugin_misses_the_driver_alone_beside_libraries_of_the_right_names(monkeypatch, tmp_path):
    plugin = missing.gpu_plugins()[11, 6]
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    wanted = missing.missing_libraries(plugin)
    assert {"libcuda.so.1", "libcublas.so.11", "libcudnn.so.8"} <= set(wanted)
    library = next(Path("/").glob("lib*/**/libdl.so.2"))
    for name in wanted:
        if name != "libcuda.so.1":
            shutil.copy(library, tmp_path / name)
    assert missing.missing_libraries(plugin) == ["libcuda.so.1"]


@needs_plugin
@needs_no_driver
@pytest.mark.skipif(not CUDA.is_dir(), reason="CUDA's libraries are not installed (2 GB): bash script/setup_gpu.sh, "
                    "and GPU_LIBRARIES=.venv/cuda where these tests run in another environment")
def test_with_the_libraries_of_setup_gpu_only_the_driver_is_missing():
    environment = {**os.environ, "CUDA_HOME": str(CUDA), "LD_LIBRARY_PATH": str(CUDA / "lib64"),
                   "PYTHONPATH": str(Path(__file__).parent.parent)}
    program = ("from mindspore_maml.devices import device, missing\n"
               "print(missing.missing_libraries(missing.gpu_plugins()[11, 6]), missing.reasons('GPU', 0))\n"
               "from mindspore._c_expression import MSContext\n"
               "print(MSContext.get_instance().load_plugin_error())\n")
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    ours, *mindspores = done.stdout.splitlines()
    assert ours == "['libcuda.so.1'] ['no NVIDIA driver (libcuda.so.1)']"
    assert [line for line in mindspores if "libmindspore_gpu" in line] == [
        "Load dynamic library: libmindspore_gpu.so.11.6 failed. libcuda.so.1: cannot open shared object file: "
        "No such file or directory"]


@pytest.fixture
def environment(tmp_path):
    """A virtual environment that pip has finished with, in which one library stands for CUDA's."""
    root, folder = Path(__file__).parent.parent, tmp_path / "the environment"
    make_program(folder / "bin" / "python", f"exec '{sys.executable}' \"$@\"")
    library = folder / "lib" / "python3.11" / "site-packages" / "nvidia" / "cuda_runtime" / "lib" / "libcudart.so.11.0"
    library.parent.mkdir(parents=True)
    library.write_text("a library")
    wanted = [root / "requirements.txt", root / "pyproject.toml"]
    (folder / "installed-gpu").write_text("".join(file.read_text() for file in wanted))
    return folder


@needs_no_driver
def test_setup_makes_the_folder_that_mindspore_looks_for(environment, tmp_path):
    for _ in range(2):   # a second time it changes nothing
        done = bash("setup_gpu.sh", folder=tmp_path, PYTHON=None, VENV=environment, CUDA_HOME=None)
        assert (done.returncode, done.stderr) == (0, "")
        assert sorted(path.name for path in (environment / "cuda").iterdir()) == ["bin", "lib64"]
    assert f"export CUDA_HOME={environment}/cuda LD_LIBRARY_PATH={environment}/cuda/lib64\n" in done.stdout
    assert "still missing for card 0: no NVIDIA driver (libcuda.so.1)" in done.stdout
    assert missing.nvcc_version(environment / "cuda") == (11, 6)
    versioned = environment / "cuda" / "lib64" / "libcudart.so.11.6.0"
    assert versioned.read_text() == "a library"


def test_setup_refuses(environment, tmp_path):
    done = bash("setup_gpu.sh", "some", folder=tmp_path, PYTHON=None, VENV=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: bash ")
    shutil.rmtree(environment / "lib")
    done = bash("setup_gpu.sh", folder=tmp_path, PYTHON=None, VENV=environment)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "holds no libraries of CUDA; expected what the extra [gpu] installs" in done.stderr


def launched(environment, tmp_path, **variables):
    """CUDA_HOME and LD_LIBRARY_PATH as a GPU launcher gives them to Python."""
    python = make_program(environment / "bin" / "python", 'echo "$CUDA_HOME|$LD_LIBRARY_PATH"')
    done = bash("run_standalone_train_gpu.sh", 0, 1, "data", folder=tmp_path, PYTHON=python,
                **{"CUDA_HOME": None, "LD_LIBRARY_PATH": None} | variables)
    return done.stdout.strip().split("|")


@needs_no_system_cuda
def test_gpu_launchers_use_the_folder_of_setup(environment, tmp_path):
    assert launched(environment, tmp_path) == ["", ""]
    own = make_cuda(environment / "cuda")
    assert launched(environment, tmp_path) == [str(own), f"{own}/lib64:{own}/lib64"]
    newer = make_cuda(tmp_path / "newer", "13.0")
    assert launched(environment, tmp_path, CUDA_HOME=newer, LD_LIBRARY_PATH="/a") == [
        str(own), f"/a:{own}/lib64:{own}/lib64"]


def test_gpu_launchers_prefer_a_system_cuda_that_fits(environment, tmp_path):
    make_cuda(environment / "cuda")
    system = make_cuda(tmp_path / "system", "11.1")
    assert launched(environment, tmp_path, CUDA_HOME=system) == [
        str(system), f"{system}/lib64:{environment / 'cuda'}/lib64"]


def test_without_cuda_home_no_nvcc_of_the_root_folder_is_asked():
    """Debian's nvidia-cuda-toolkit has /bin/nvcc, and no folder that CUDA_HOME could name."""
    code = "for file in common cuda; do . script/$file.sh; done; fits() { echo \"<$1>\"; false; }; use_cuda"
    asked = subprocess.run(["bash", "-c", code], cwd=Path(__file__).parent.parent, capture_output=True, text=True,
                           check=False, env={**os.environ, "CUDA_HOME": ""}).stdout.splitlines()
    assert asked[0] == "</usr/local/cuda>"


def test_other_launchers_leave_cuda_alone(environment, tmp_path):
    make_cuda(environment / "cuda")
    python = make_program(environment / "bin" / "python", 'echo "$CUDA_HOME"')
    assert bash("run_standalone_train_cpu.sh", 0, 1, "data", folder=tmp_path, PYTHON=python,
                CUDA_HOME=None).stdout == "\n"
