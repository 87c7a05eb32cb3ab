"""examples/maml_in_one_file.py: its meta-gradient is the program's, and it trains on real characters."""
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gradients import INNER, TASKS, batch_of, meta_gradient, relative_error, weights_of
from mindspore import Tensor
from networks import NETWORKS, network

FILE = Path(__file__).resolve().parent.parent / "examples" / "maml_in_one_file.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("maml_in_one_file", FILE)
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)   # where its functions are compiled
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("order", ["first", "second"])
def test_its_gradient_is_the_programs(example, order):
    net, (x_spt, y_spt, x_qry, y_qry) = network(NETWORKS["strided"]), batch_of()
    loss, expected = meta_gradient(net, (x_spt, y_spt, x_qry, y_qry), order=order)
    names, values = zip(*weights_of(net).items())
    weights = [Tensor(value.astype(np.float32)) for value in values]
    of_task = example.Adapted(len(weights), INNER["rate"], INNER["steps"], order == "first").meta_gradient(len(weights))
    parts = [of_task(*map(Tensor, (x_spt[task], x_qry[task], y_spt[task], y_qry[task])), *weights)
             for task in range(TASKS)]
    assert np.mean([float(part[0][0]) for part in parts]) == pytest.approx(loss, rel=1e-5)
    found = {name: np.mean([part[1][i].asnumpy() for part in parts], 0) for i, name in enumerate(names)}
    assert relative_error(found, expected) < 1e-4


def test_it_runs_as_it_stands(tmp_path):
    images = np.random.default_rng(0).random((1210, 8, 1, 28, 28), np.float32) ** 8
    np.save(tmp_path / "omniglot.npy", images)
    done = subprocess.run([sys.executable, FILE, tmp_path / "omniglot.npy", "--steps", "2", "--task_num", "1",
                           "--filters", "4", "--k_qry", "2"], check=False, capture_output=True, text=True,
                          timeout=300)
    assert done.returncode == 0, done.stderr
    said = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert said == ["step 1", "step 2", "accuracy on 100 test tasks"]
