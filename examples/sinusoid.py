"""MAML on sine waves, the regression of Finn et al. (2017, section 5.1): a loss and a network of one's own.

    python examples/sinusoid.py --steps 2000

A task is a wave of its own amplitude and phase; ten points of it are learned, ten others judged. Inputs are "images" of
one pixel: [task, point, 1, 1, 1].
"""
import argparse

import mindspore as ms
import numpy as np
from mindspore import Tensor, jit_class, nn, ops

from mindspore_maml import InnerLoop, Meta, Network

LAYERS = [{"layer": "flatten"}, {"layer": "linear", "units": 40}, {"layer": "relu"}, {"layer": "linear", "units": 40},
          {"layer": "relu"}, {"layer": "linear"}]


@jit_class
class SquaredError:
    """Half of the squared error, mean over the points of every task, with the derivatives that MAML asks for."""

    label_type = "float32"

    def __call__(self, values, labels):
        """[task, point, 1] twice -> [task]."""
        error = values - labels
        return 0.5 * ops.reduce_mean(error * error, (1, 2))

    def gradient(self, values, labels, scale):
        """Gradient of `scale` times each task's loss, and what `gradient_tangent` needs: nothing but the shape."""
        return (values - labels) * (scale / values.shape[-2]), values

    def gradient_tangent(self, values, values_tangent, scale):
        """How the gradient changes when the values do."""
        return values_tangent * (scale / values.shape[-2])

    def answers(self, values):
        """The values themselves."""
        return values

    def is_right(self, values, labels):
        """1 for every point that is met within 0.1."""
        return ops.cast(ops.abs(values - labels) < 0.1, ms.float32)


def waves(task_num, points, rng):
    """Support and query sets of waves: x, y, x, y, each float32."""
    amplitude, phase = rng.uniform(0.1, 5.0, (task_num, 1, 1)), rng.uniform(0, np.pi, (task_num, 1, 1))
    batch = []
    for _ in range(2):
        x = rng.uniform(-5, 5, (task_num, points, 1))
        batch += [x[..., None, None].astype(np.float32), (amplitude * np.sin(x - phase)).astype(np.float32)]
    return batch


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000, help="meta-steps of 25 waves")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    net = Network(LAYERS, imgc=1, imgsz=1, n_way=1, seed=options.seed)
    meta = Meta(net, InnerLoop(steps=5, steps_test=10, rate=0.02, loss=SquaredError()))
    adam = nn.Adam(meta.trainable_params(), 0.001)
    for step in range(1, options.steps + 1):
        loss, _, gradients = meta.meta_gradient(*waves(25, 10, rng))
        adam(gradients)
        if step % 100 == 0 or step == options.steps:
            print(f"step {step}: squared error after five inner steps {2 * float(loss.asnumpy()):.3f}", flush=True)
    errors = [2 * float(loss.asnumpy())
              for loss, _, _ in meta.evaluate_each_step(*map(Tensor, waves(600, 10, rng)), steps=10)]
    print("squared error of 600 new waves after 0 to 10 inner steps: " + ", ".join(f"{error:.3f}" for error in errors))


if __name__ == "__main__":
    main()
