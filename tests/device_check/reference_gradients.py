"""Meta-gradients of both orders on a device, against the tests' reference in NumPy and double precision."""
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parent.parent))   # where the tests have their helpers

from gradients import INNER, batch_of, in_double, length, meta_gradient, relative_error, weights_of  # noqa: E402
from networks import NETWORKS, network  # noqa: E402
from reference import directional_derivative, first_order_gradient  # noqa: E402

from mindspore_maml.cli.atomic_files import write_json  # noqa: E402
from mindspore_maml.cli.command_line import parse  # noqa: E402
from mindspore_maml.cli.options import BY_NAME  # noqa: E402
from mindspore_maml.cli.program import run_program  # noqa: E402
from mindspore_maml.devices import device  # noqa: E402
from tests.device_check.check_device import OF_NETWORKS  # noqa: E402


def first_order_error(name: str) -> float:
    """The length of the difference, in units of the gradient's."""
    net, batch = network(NETWORKS[name]), batch_of()
    _, found = meta_gradient(net, batch, order="first")
    return float(relative_error(found, first_order_gradient(NETWORKS[name], weights_of(net), in_double(batch),
                                                            **INNER)))


def second_order_error(name: str) -> float:
    """The difference along the gradient plus a random direction, in units of the gradient's length."""
    net, batch = network(NETWORKS[name]), batch_of()
    _, found = meta_gradient(net, batch, order="second")
    draws = np.random.default_rng(6)
    noise = {key: draws.normal(size=value.shape) for key, value in found.items()}
    direction = {key: value / length(found) + noise[key] / length(noise) for key, value in found.items()}
    expected = directional_derivative(NETWORKS[name], weights_of(net), in_double(batch), direction, **INNER)
    return float(abs(sum((found[key] * direction[key]).sum() for key in found) - expected) / length(found))


def main() -> None:
    """Print the largest error of each order as JSON."""
    options = parse("check", __doc__, extra=(BY_NAME["device_target"], BY_NAME["device_id"], OF_NETWORKS))
    device.set_up(options.device_target, options.device_id)
    names = options.networks.split(",")
    write_json("-", {"first": max(map(first_order_error, names)), "second": max(map(second_order_error, names))})


if __name__ == "__main__":
    run_program(main)
