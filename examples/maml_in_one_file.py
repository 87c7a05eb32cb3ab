"""All of MAML on Omniglot in one file, with MindSpore and NumPy alone: tasks, network, inner loop, meta-gradient.

    python examples/maml_in_one_file.py omniglot.npy --steps 200

It does what omniglot_train.py does with the preset maml (Finn et al., 2017), one task after the other, plainly and
slowly; docs/maml.md explains it. omniglot.npy is what src/data_preprocess.py writes: [character, drawing, 1, 28, 28].
"""
import argparse

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

TRAIN_CHARACTERS = 1200


# ---- tasks

def draw_task(images, n_way, k_spt, k_qry, rng):
    """Support and query images [image, 1, 28, 28] of n_way characters, each turned by a multiple of 90 degrees, and
    their labels [image]."""
    support, query = [], []
    for character in rng.choice(len(images), n_way, replace=False):
        drawings = images[character][rng.choice(images.shape[1], k_spt + k_qry, replace=False)]
        drawings = np.rot90(drawings, rng.integers(4), axes=(2, 3))
        support.append(drawings[:k_spt])
        query.append(drawings[k_spt:])
    labels = [np.repeat(np.arange(n_way), k).astype(np.int32) for k in (k_spt, k_qry)]
    return [Tensor(np.concatenate(part).astype(np.float32)) for part in (support, query)] + list(map(Tensor, labels))


# ---- the network: four strided convolutions with batch normalisation, and a dense layer

def initial_weights(n_way, filters, rng, layers=4):
    """A tuple: weight and beta of each convolution, weight and bias of the dense layer, He-initialised."""
    weights, channels = [], 1
    for _ in range(layers):
        weights += [rng.normal(0, (2 / (9 * channels)) ** 0.5, (filters, channels, 3, 3)), np.zeros(filters)]
        channels = filters
    weights += [0.03 * rng.normal(0, (2 / filters) ** 0.5, (n_way, filters)), np.zeros(n_way)]   # a small head
    return tuple(Tensor(value.astype(np.float32)) for value in weights)


def network(weights, x):
    """Logits [image, class] of images [image, 1, 28, 28]."""
    for layer in range(len(weights) // 2 - 1):
        weight, beta = weights[2 * layer], weights[2 * layer + 1]
        x = ops.conv2d(x, weight, stride=2, pad_mode="pad", padding=1)
        mean = x.mean((0, 2, 3), keep_dims=True)                          # the statistics are the batch's own
        variance = ((x - mean) * (x - mean)).mean((0, 2, 3), keep_dims=True)
        x = ops.relu((x - mean) / ops.sqrt(variance + 1e-3) + beta.reshape(1, -1, 1, 1))
    return ops.matmul(x.mean((2, 3)), weights[-2].T) + weights[-1]


def cross_entropy(logits, labels):
    """The mean over images of -log p(label), of operations that can be differentiated twice."""
    logits = logits - ops.stop_gradient(logits.max(axis=1, keepdims=True))
    log_p = logits - ops.log(ops.exp(logits).sum(axis=1, keepdims=True))
    return -(ops.one_hot(labels, logits.shape[1], Tensor(1.0), Tensor(0.0)) * log_p).sum() / labels.shape[0]


def loss_of(x, y, *weights):
    """The loss of a set of images, as a function of the weights."""
    return cross_entropy(network(weights, x), y)


# ---- MAML

class Adapted:
    """The inner loop, and the query set's loss and logits at its end, as functions of the initial weights."""

    def __init__(self, count, rate, steps, first_order=False):
        self.rate, self.steps, self.first_order = rate, steps, first_order
        self.gradient = ms.grad(loss_of, tuple(range(2, 2 + count)))

    def weights(self, x, y, weights):
        """`steps` steps of gradient descent on the support set (Finn et al., 2017, equation 1)."""
        for _ in range(self.steps):
            gradients = self.gradient(x, y, *weights)
            if self.first_order:
                gradients = tuple(ops.stop_gradient(gradient) for gradient in gradients)
            weights = tuple(weight - self.rate * gradient for weight, gradient in zip(weights, gradients))
        return weights

    def query_loss(self, x_spt, x_qry, y_spt, y_qry, *weights):
        """What the initial weights are to make small (Finn et al., 2017, equation 2), and the logits."""
        logits = network(self.weights(x_spt, y_spt, weights), x_qry)
        return cross_entropy(logits, y_qry), logits

    def meta_gradient(self, count):
        """A compiled function of a task and the weights: ((loss, logits), gradients)."""
        return ms.jit(ms.value_and_grad(self.query_loss, tuple(range(4, 4 + count)), has_aux=True))


def accuracy(logits, labels):
    """The share of query images whose largest logit is that of their class."""
    return float((logits.asnumpy().argmax(1) == labels.asnumpy()).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("omniglot", help="omniglot.npy")
    for name, default in {"steps": 200, "task_num": 4, "n_way": 5, "k_spt": 1, "k_qry": 5, "update_step": 1,
                          "filters": 64, "seed": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, default in {"update_lr": 1.0, "meta_lr": 0.003}.items():
        parser.add_argument(f"--{name}", type=float, default=default)
    parser.add_argument("--first_order", action="store_true")
    options = parser.parse_args()
    rng, images = np.random.default_rng(options.seed), np.load(options.omniglot, mmap_mode="r")
    train, test = images[:TRAIN_CHARACTERS], images[TRAIN_CHARACTERS:]
    sizes = options.n_way, options.k_spt, options.k_qry, rng
    weights = tuple(Parameter(value, name=f"weight_{i}")
                    for i, value in enumerate(initial_weights(options.n_way, options.filters, rng)))
    adam, count = nn.Adam(weights, options.meta_lr), len(weights)
    meta_gradient = Adapted(count, options.update_lr, options.update_step, options.first_order).meta_gradient(count)

    for step in range(1, options.steps + 1):
        losses, right, totals = 0.0, 0.0, [0.0] * count
        for _ in range(options.task_num):
            task = draw_task(train, *sizes)
            (loss, logits), gradients = meta_gradient(*task, *(Tensor(w.asnumpy()) for w in weights))
            losses, right = losses + float(loss), right + accuracy(logits, task[3])
            totals = [total + gradient for total, gradient in zip(totals, gradients)]
        adam(tuple(total / options.task_num for total in totals))
        print(f"step {step}: loss {losses / options.task_num:.4f}, accuracy {right / options.task_num:.4f}", flush=True)

    judged = []
    for _ in range(100):
        task = draw_task(test, *sizes)
        judged.append(accuracy(meta_gradient(*task, *(Tensor(w.asnumpy()) for w in weights))[0][1], task[3]))
    print(f"accuracy on 100 test tasks: {np.mean(judged):.4f}")


if __name__ == "__main__":
    main()
