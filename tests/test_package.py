"""What pip installs: one package of one name that works outside the checkout, with its commands and types."""
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OWN = """from mindspore_maml import FewShotClassifier
model: FewShotClassifier = FewShotClassifier().fit(["a.png", "b.png"], ["a", "b"])
reveal_type(model.predict(["c.png"]))
"""
FITS = """import sys
import numpy as np
from mindspore_maml import FewShotClassifier
images = np.full((4, 105, 105), 255, np.uint8)
images[::2, 20:80, 50:56] = images[1::2, 50:56, 20:80] = 0
model = FewShotClassifier().fit(images, ["upright", "flat"] * 2)
print(*model.predict(images), sys.modules["mindspore_maml"].__file__)
"""


def run(*arguments, folder, **variables):
    """A program's standard output; what it says goes into the assertion where it fails."""
    done = subprocess.run(list(map(str, arguments)), cwd=folder, capture_output=True, text=True, check=False,
                          env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that the sdist of this checkout builds; building leaves no file that git would see."""
    folder = tmp_path_factory.mktemp("wheel")
    before = run("git", "status", "--porcelain", folder=ROOT) if (ROOT / ".git").exists() else None
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, folder=folder)
    assert before is None or run("git", "status", "--porcelain", folder=ROOT) == before
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of an environment's programs: the wheel alone, and the packages that it needs, by a path to them."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, folder=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    run(sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "--no-deps", "--no-index", wheel,
        folder=folder)
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n" + "\n".join(
        path for path in sys.path if path.endswith("site-packages")))
    return folder / "bin"


def test_the_wheel_holds_one_name_and_all_its_files(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in names} == {"mindspore_maml"}
    files = {path.relative_to(ROOT / "src") for path in (ROOT / "src").rglob("*")
             if path.is_file() and "__pycache__" not in path.parts}
    files |= {Path("config") / path.name for path in (ROOT / "config").iterdir()}
    held = {Path(name).relative_to("mindspore_maml") for name in names}
    assert files - held == set()
    assert {path.parts[0] for path in held - files} == {"published"}
    assert any(path.match("published/*.ckpt") for path in held)


def test_it_fits_and_predicts_in_an_empty_folder_beside_a_foreign_src(installed, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "__init__.py").write_text("raise RuntimeError('another project')")
    *found, file = run(installed / "python", "-c", FITS, folder=tmp_path).split()
    assert found == ["upright", "flat"] * 2
    assert Path(file).is_relative_to(installed.parent)


def test_the_commands_draw_train_evaluate_and_plot(installed, tmp_path):
    shown = run(installed / "maml-data", "--data_path", "data", "--glyphs", folder=tmp_path)
    assert "450 characters" in shown
    run(installed / "maml-train", "--data_path", "data", "--preset", "maml", "--epoch", 2, "--task_num", 2,
        "--order", "first", "--workers", 1, folder=tmp_path)
    shown = run(installed / "maml-eval", "--data_path", "data", "--ckpt", "ckpt_outputs", "--test_batches", 1,
                "--task_num", 4, "--workers", 1, folder=tmp_path)
    assert "accuracy 0." in shown
    run(installed / "maml-plot", "ckpt_outputs", folder=tmp_path)
    assert (tmp_path / "accuracies.png").is_file()
    commands = {path.name for path in installed.glob("maml-*")}
    assert commands == {f"maml-{name}" for name in ("train", "eval", "predict", "export", "plot", "demo", "data")}


def test_a_program_of_ones_own_is_checked_by_the_packages_types(installed, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    shown = run(sys.executable, "-m", "mypy", "--python-executable", installed / "python", "--ignore-missing-imports",
                "own.py", folder=tmp_path)
    assert 'Revealed type is "numpy.ndarray' in shown


def test_a_clone_with_the_line_ends_of_windows_runs(tmp_path):
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("needs a clone to clone from")
    clone = tmp_path / "clone"
    run("git", "clone", "--quiet", "-c", "core.autocrlf=true", ROOT, clone, folder=tmp_path)
    scripts = [*clone.glob("script/*.sh"), clone / ".ci" / "run"]
    assert [path.name for path in scripts if b"\r" in path.read_bytes()] == []
    ckpt = next(clone.glob("checkpoints/drawings/*.ckpt"))
    assert ckpt.read_bytes() == (ROOT / ckpt.relative_to(clone)).read_bytes()
    done = subprocess.run(["bash", clone / "script" / "run_eval_cpu.sh", "0", "nowhere", "none"], cwd=tmp_path,
                          capture_output=True, text=True, check=False, env=os.environ | {"PYTHON": sys.executable})
    assert (done.returncode, "no such file or folder" in done.stdout) == (2, True), done.stdout + done.stderr
