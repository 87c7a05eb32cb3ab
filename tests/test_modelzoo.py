"""The preset `modelzoo` against a plain MAML of MindSpore's own layers and autodiff, one task after the other."""
import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.options import TRAIN
from mindspore_maml.training.from_options import load_split, make_episodes, make_meta

# Small, and several batches: a ReLU on its edge falls to either side by the rounding of correct arithmetic, and the
# inner steps carry that on, to a tenth of the gradient and more. Of 24 tasks 2 had one; a wrong formula moves all.
FILTERS, TASKS, BATCHES, ON_THE_EDGE = 4, 1, 12, 3
STEPS, RATE = 6, 0.5


class SpatialMean(nn.Cell):
    """[image, channel, height, width] -> [image, channel]."""

    def construct(self, x):
        return x.mean(axis=(2, 3))


def plain_network():
    """The ModelZoo's network; its parameters are named "<layer>.<kind>", as in a preset's list."""
    cells = []
    for channels in (1, FILTERS, FILTERS, FILTERS):
        cells += [nn.Conv2d(channels, FILTERS, 3, 2, "pad", 1, has_bias=True),
                  nn.BatchNorm2d(FILTERS, eps=0.001, use_batch_statistics=True), nn.ReLU()]
    return nn.SequentialCell([*cells, SpatialMean(), nn.Dense(FILTERS, 5)])


def by_name(net):
    return {parameter.name: parameter for parameter in net.get_parameters()}


def disturbed_meta(data_path):
    """Options and meta-learner of the preset with fewer filters, biases and betas away from zero."""
    options = parse(TRAIN, "", ["--data_path", str(data_path), "--preset", "modelzoo", "--task_num", str(TASKS),
                               "--k_qry", "2"])
    options = options.but(network=[layer | ({"filters": FILTERS} if "filters" in layer else {})
                                   for layer in options.network])
    meta = make_meta(options)
    draws = np.random.default_rng(2)
    for parameter in meta.get_parameters():
        if not parameter.name.endswith("weight"):
            parameter.set_data(Tensor(draws.normal(0, 0.1, parameter.shape).astype(np.float32)))
    return options, meta


def values_of(meta):
    return {name.removeprefix("net."): parameter.asnumpy() for name, parameter in by_name(meta).items()}


def plain_learner(start):
    """A function of a batch: loss and accuracy (means over the tasks), and the summed first-order gradient by name."""
    net, cross_entropy = plain_network(), nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    parameters = by_name(net)

    def forward(x, labels):
        logits = net(x)
        return cross_entropy(logits, labels), logits

    adapted = [parameters[name] for name in start if not name.endswith("beta")]
    inner = ms.value_and_grad(forward, None, adapted, has_aux=True)
    outer = ms.value_and_grad(forward, None, [parameters[name] for name in start], has_aux=True)

    def meta_gradient(batch):
        losses, right, total = [], [], dict.fromkeys(start, 0)
        for x_spt, y_spt, x_qry, y_qry in zip(*batch):
            for name, value in start.items():
                parameters[name].set_data(Tensor(value))
            for _ in range(STEPS):
                _, gradients = inner(Tensor(x_spt), Tensor(y_spt))
                for parameter, gradient in zip(adapted, gradients):
                    parameter.set_data(parameter - RATE * gradient)
            (loss, logits), gradients = outer(Tensor(x_qry), Tensor(y_qry))
            losses.append(float(loss.asnumpy()))
            right.append(logits.asnumpy().argmax(axis=1) == y_qry)
            total = {name: total[name] + gradient.asnumpy() for name, gradient in zip(start, gradients)}
        return np.mean(losses), np.mean(right), total
    return meta_gradient


def compare(found, expected):
    """Differences of loss (relative), accuracy, and gradient (relative to the whole one's norm)."""
    (loss, accuracy, gradients), (expected_loss, expected_accuracy, by_parameter) = found, expected
    size = np.sqrt(sum((gradient ** 2).sum() for gradient in by_parameter.values()))
    difference = np.sqrt(sum(((ours.asnumpy() - plain) ** 2).sum()
                             for ours, plain in zip(gradients, by_parameter.values(), strict=True)))
    return abs(float(loss) / expected_loss - 1), abs(float(accuracy) - expected_accuracy), difference / size


def test_it_equals_a_plain_implementation(data_path):
    options, meta = disturbed_meta(data_path)
    batches = list(make_episodes(load_split(options)[0], options, BATCHES))
    assert batches[0][0].max() == 1 and batches[0][0].mean() > 0.7     # the paper is the 1
    found = [meta.meta_gradient(*batch) for batch in batches]
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        expected = plain_learner(values_of(meta))
        differences = [compare(ours, expected(batch)) for ours, batch in zip(found, batches, strict=True)]
    finally:
        ms.set_context(mode=ms.GRAPH_MODE)
    equal = (np.array(differences) < 1e-4).all(axis=1)
    assert equal.sum() >= BATCHES - ON_THE_EDGE, differences
