"""What a GPU or an Ascend lacks for MindSpore to see it: driver, card, version or library, by name.

MindSpore itself says only that there is no such device. A GPU plugin lies in its wheel; it is loaded where `CUDA_HOME`
names a folder whose `bin/nvcc --version` answers with a version that a plugin is for, and where the linker finds the
libraries that the plugin was linked with.
"""
import ctypes
import importlib.metadata
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

PLUGINS = Path(str(importlib.metadata.distribution("mindspore").locate_file("mindspore"))) / "lib" / "plugin"
DRIVER = {"GPU": "libcuda.so.1", "Ascend": "libascend_hal.so"}
ASCEND_PLUGIN = "libmindspore_ascend.so.2"
OLDEST_CARD = (6, 0)    # compute capability; the plugin holds machine code for 6.0 to 8.9, and for later cards PTX 8.6
OLDEST_CUDA = (11, 0)   # that a driver must know to run any CUDA 11
SETUP = "bash script/setup_gpu.sh installs what is needed, and the launchers whose name ends in _gpu.sh use it"
_VERSION_MAJOR, _VERSION_MINOR = 75, 76   # of the driver's CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_...


@dataclass(frozen=True)
class Card:
    """A GPU as its driver describes it: name, compute capability, and the newest CUDA that the driver runs."""

    name: str
    capability: tuple[int, int]
    cuda: tuple[int, int]


class NoCardError(Exception):
    """The driver is missing, or sees no such card; the text says which."""


def reasons(target: str, device_id: int) -> list[str]:
    """What is missing for a device of the kind `target`, in the order to mend it; empty if nothing known is."""
    return _of_gpu(device_id) if target == "GPU" else _of_ascend()


def _of_gpu(device_id):
    plugins = gpu_plugins()
    if not plugins:
        return ["this MindSpore has no GPU plugin; expected its wheel for Linux on x86_64"]
    return _of_card(device_id) + _of_cuda(plugins)


def _of_card(device_id):
    try:
        card = find_card(device_id)
    except NoCardError as error:
        return [str(error)]
    found = []
    if card.cuda < OLDEST_CUDA:
        found.append(f"the NVIDIA driver runs CUDA {dotted(card.cuda)} at most; expected a driver for CUDA "
                     f"{dotted(OLDEST_CUDA)} or newer")
    if card.capability < OLDEST_CARD:
        found.append(f"card {device_id}, {card.name}, has compute capability {dotted(card.capability)}; expected "
                     f"{dotted(OLDEST_CARD)} or newer, which the plugin was built for")
    return found


def _of_cuda(plugins):
    oldest, home = min(plugins), os.environ.get("CUDA_HOME")
    expected = f"CUDA {dotted(oldest)} or a newer {oldest[0]} ({SETUP})"
    if not home:
        return [f"CUDA_HOME is not set; expected the folder of a {expected}"]
    version = nvcc_version(home)
    plugin = plugin_for(version)
    if not plugin:
        answer = f"is CUDA {dotted(version)}" if version else "holds no bin/nvcc that tells its version"
        return [f"CUDA_HOME {home} {answer}; expected {expected}"]
    lost = [name for name in missing_libraries(plugin) if name != DRIVER["GPU"]]
    return [f"no {', '.join(lost)} on LD_LIBRARY_PATH ({SETUP})"] if lost else []


def _of_ascend():
    plugin = PLUGINS / ASCEND_PLUGIN
    if not plugin.is_file():
        return ["this MindSpore has no Ascend plugin; expected its wheel for Linux"]
    lost = missing_libraries(plugin)
    driver = [f"no Ascend driver ({DRIVER['Ascend']})"] if DRIVER["Ascend"] in lost else []
    others = [name for name in lost if name != DRIVER["Ascend"]]
    return driver + ([f"no {', '.join(others)}; expected CANN, its set_env.sh sourced"] if others else [])


def gpu_plugins() -> dict[tuple[int, ...], Path]:
    """The GPU plugins in MindSpore's wheel by the version of CUDA that each was built with."""
    start = "libmindspore_gpu.so."
    return {_version(file.name.removeprefix(start)): file for file in PLUGINS.glob(f"{start}*")}


def plugin_for(version: tuple[int, ...]) -> Path | None:
    """The plugin that MindSpore loads where CUDA is of `version`: the newest of that major version that is no newer."""
    fitting = {own: plugin for own, plugin in gpu_plugins().items() if own[:1] == version[:1] and own <= version}
    return fitting[max(fitting)] if fitting else None


def nvcc_version(home: str | Path) -> tuple[int, ...]:
    """What `home`/bin/nvcc says is its release, such as (11, 6); empty where it says none."""
    try:
        answer = subprocess.run([str(Path(home) / "bin" / "nvcc"), "--version"], capture_output=True, text=True,
                                check=False, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"release (\d+\.\d+)", answer)
    return _version(found[1]) if found else ()


def _version(text):
    return tuple(map(int, text.split(".")))


def missing_libraries(library: Path) -> list[str]:
    """The libraries that `library` was linked with, or those were, and that the linker does not find."""
    try:
        lines = subprocess.run(["ldd", str(library)], capture_output=True, text=True, check=False).stdout
    except OSError:   # a system without it: MindSpore's own words must do
        return []
    return list(dict.fromkeys(re.findall(r"^\s*(\S+) => not found", lines, re.MULTILINE)))


def find_card(device_id: int) -> Card:
    """A GPU, asked of its driver.

    Raises
    ------
    NoCardError
        Where there is no driver, or it sees no such card.
    """
    try:
        driver = ctypes.CDLL(DRIVER["GPU"])
    except OSError:
        raise NoCardError(f"no NVIDIA driver ({DRIVER['GPU']})") from None
    if status := driver.cuInit(0):
        raise NoCardError(f"the NVIDIA driver finds no card (cuInit answers {status})")
    count = _number(driver.cuDeviceGetCount)
    if device_id >= count:
        raise NoCardError(f"card {device_id} is not there: the NVIDIA driver sees {count}, counted from 0")
    device, name = _number(driver.cuDeviceGet, device_id), ctypes.create_string_buffer(256)
    driver.cuDeviceGetName(name, len(name), device)
    capability = [_number(driver.cuDeviceGetAttribute, part, device) for part in (_VERSION_MAJOR, _VERSION_MINOR)]
    cuda = _number(driver.cuDriverGetVersion)   # 11060 for 11.6
    return Card(name.value.decode(), tuple(capability), (cuda // 1000, cuda % 1000 // 10))


def _number(function, *arguments):
    """What a function of the driver writes to the place that is its first argument."""
    place = ctypes.c_int()
    function(ctypes.byref(place), *arguments)
    return place.value


def dotted(version: tuple[int, ...]) -> str:
    """(11, 6) -> "11.6"."""
    return ".".join(map(str, version))


if __name__ == "__main__":
    lacking = reasons("GPU", 0)
    print(f"still missing for card 0: {'; '.join(lacking)}" if lacking else f"card 0 is {find_card(0).name}")
