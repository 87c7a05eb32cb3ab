"""script/check_device.sh: a page that ends with "fit for training" or what failed first; whole for the CPU."""
import re

import numpy as np
import pytest
from device_check import check_device
from device_check.operations import CASES
from test_devices_gpu import needs_no_driver
from test_launchers import bash


def check(*arguments, folder, **environment):
    return bash("check_device.sh", *arguments, folder=folder, **environment)


def test_the_cpu_is_fit(tmp_path):
    """The whole page, with the preset and the network that compile least."""
    done = check("cpu", "--presets", "reptile", "--networks", "strided", "--task_num", 2, "--steps", 2, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    *lines, last = done.stdout.splitlines()
    assert last == "fit for training"
    assert len(lines) < 40
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        "check", "versions", "device", "operations", "gradients", "training"]
    assert f"{len({case.operation for case in CASES})}, each alone as NumPy has it" in done.stdout
    for words in ("first order within", "second order within", "2 steps as on the CPU: loss within", "gradient within"):
        assert float(re.search(rf"{words} (\S+e[+-]\d+)", done.stdout)[1]) < 1e-5
    figures = re.search(r"first step (\S+) s, then (\S+) ms a step \(.* 530 .* 155 .*\), (\S+) MiB", done.stdout)
    assert all(float(figure) > 0 for figure in figures.groups())
    assert list(tmp_path.iterdir()) == []


@needs_no_driver
def test_a_missing_device_is_named_before_anything_runs(tmp_path):
    done = check("gpu", 1, folder=tmp_path, CUDA_HOME=None)
    *page, last = done.stdout.splitlines()
    assert (done.returncode, page[-1].split()) == (1, ["device", "failed"])
    assert last.startswith("not fit for training: device: no NVIDIA driver (libcuda.so.1)")


@pytest.mark.parametrize("wrong", [[], ["tpu"], ["cpu", "first"], ["cpu", 0, 1]])
def test_wrong_arguments_are_answered_with_the_usage(wrong, tmp_path):
    done = check(*wrong, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"usage: bash \S+check_device.sh gpu\|ascend\|cpu \[DEVICE_ID\] \[.*\]\n", done.stderr)


def page_with(monkeypatch, capsys, answers):
    """The status and last line of a page whose programs answer so, by their names."""
    monkeypatch.setattr(check_device, "_run", lambda module, flags: answers[module])
    monkeypatch.setattr(check_device.sys, "argv", ["check_device.py"])
    status = check_device.main()
    return status, capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(("errors", "words"), [
    ('{"Mul": 0.0, "Add": 0.5}', "1 of 2: Add differs by 5.0e-01"), ('{"Mul": NaN}', "1 of 1: Mul differs by nan"),
    ('{"Mul": "no such kernel", "Exp": 0.0002}', "2 of 2: Mul no such kernel; Exp differs by 2.0e-04")])
def test_operations_that_fail_are_named(errors, words, monkeypatch, capsys):
    assert page_with(monkeypatch, capsys, {"operations": errors}) == (1, f"not fit for training: operations: {words}")


def test_a_wrong_gradient_is_named(monkeypatch, capsys):
    answers = {"operations": '{"Mul": 0.0}', "reference_gradients": '{"first": 1e-6, "second": 0.002}'}
    status, last = page_with(monkeypatch, capsys, answers)
    assert status == 1
    assert last == ("not fit for training: gradients: first order within 1.0e-06, second order within 2.0e-03 of the "
                    "reference in double precision; expected 0.001")


@pytest.mark.parametrize(("changed", "words"), [
    ("loss", "loss within 2.0e-03, gradient within 0.0e+00"),
    ("gradient", "loss within 0.0e+00, gradient within 2.0e-03")])
def test_a_training_that_leaves_the_cpus_is_named(changed, words, monkeypatch, tmp_path):
    on_cpu, on_device = ({"loss": np.ones(3), "gradient": np.ones((3, 5))} for _ in range(2))
    on_device[changed][1] *= 1.002
    answers = iter((on_cpu, on_device))
    monkeypatch.setattr(check_device, "_first_steps", lambda *arguments: next(answers))
    monkeypatch.setattr(check_device, "draw_glyphs", lambda *arguments, **numbers: None)
    options = check_device.parse("check", "", [], extra=check_device.OPTIONS)
    with pytest.raises(check_device.UnfitError, match=f"maml: 20 steps, {re.escape(words)} of the CPU's; expected"):
        check_device.training(options, tmp_path)


@pytest.mark.parametrize(("program", "words"), [
    ("import os; os.kill(os.getpid(), 11)", "killed by SIGSEGV: without a word"),
    ("raise SystemExit('no memory')", "exit status 1: no memory")])
def test_a_program_that_dies_is_named_with_its_last_words(program, words, monkeypatch, tmp_path, capfd):
    folder = tmp_path / "tests" / "device_check"
    folder.mkdir(parents=True)
    (folder / "dies.py").write_text(program)
    monkeypatch.setattr(check_device, "ROOT", tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(check_device.UnfitError, match=f"tests/device_check/dies.py, {words}"):
        check_device._run("dies", [])
