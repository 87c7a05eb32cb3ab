"""A training of second order in PyTorch, with the episodes and initial weights (or a checkpoint's) of ours beside it.

    python -m benchmarks torch_training --data_path D --preset higher --epoch 200 --output_dir torch_outputs

It takes the flags of omniglot_train.py, writes a metrics.jsonl of the same form, so that plot.py draws both, and leaves
its weights in a checkpoint that eval.py takes. Adam is PyTorch's own; normalisation is composed of simple operations,
whose derivatives are exact. Where --ckpt names a checkpoint of a run, it goes on from its weights, its Adam's state and
its episodes.
"""
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.func import vmap

from benchmarks.torch_meta_step import LAYERS, logits, task_functions, tensors_of
from mindspore_maml.cli.atomic_files import make_folder
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import TRAIN
from mindspore_maml.cli.program import run_program
from mindspore_maml.cli.run_options import Options
from mindspore_maml.devices import device
from mindspore_maml.layers.description import describe
from mindspore_maml.layers.spec import Spec
from mindspore_maml.OmniglotIter import Batch, OmniglotIter
from mindspore_maml.training import saving
from mindspore_maml.training.checkpoint import FILE_NAME, WEIGHT_PREFIX, Checkpoint, load
from mindspore_maml.training.continuing import completed
from mindspore_maml.training.evaluation import mean_and_interval
from mindspore_maml.training.from_options import hold_out, load_split, make_episodes, make_meta
from mindspore_maml.training.loop import is_reported
from mindspore_maml.training.reporters import Start, reporting
from mindspore_maml.training.run_log import TEST, VALIDATION
from mindspore_maml.training.schedule import learning_rates
from mindspore_maml.training.validation import ValidationPass


def composed_norm(spec: Spec, x: torch.Tensor, gamma: torch.Tensor | None = None, beta: Any = None) -> torch.Tensor:
    """Batch normalisation; PyTorch's own is faster, but under vmap its second derivative is off (docs/accuracy.md)."""
    over = (0, *range(2, x.ndim))                                      # images, and positions where there are some
    centred = x - x.mean(over, keepdim=True)
    scaled = centred * (centred.square().mean(over, keepdim=True) + spec.eps).rsqrt()
    of_channels = (-1, *[1] * (x.ndim - 2))
    return (scaled if gamma is None else scaled * gamma.reshape(of_channels)) + beta.reshape(of_channels)


EXACT = LAYERS | {"bn": composed_norm}


class Peer:
    """The weights, and all tasks at once by torch.func's vmap."""

    def __init__(self, options: Options, values: dict[str, np.ndarray]):
        self.options = options
        self.theta = {name: torch.tensor(value).requires_grad_() for name, value in values.items()}
        self.loss, self.adapt = task_functions(options, EXACT)
        self.specs = describe(options.network, options.imgc, options.imgsz, options.n_way)
        self.outer = {"mean": torch.mean, "sum": torch.sum}[options.meta_loss]

    def judged(self, batch: Batch, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The query loss and the accuracy of every task after `steps` inner steps, each [task]."""
        def of_a_task(weights, x_spt, y_spt, x_qry, y_qry):
            adapted = self.adapt(weights, x_spt, y_spt, steps)
            right = logits(self.specs, adapted, x_qry, EXACT).argmax(-1) == y_qry
            return self.loss(adapted, x_qry, y_qry), right.float().mean()

        return vmap(of_a_task, (None, 0, 0, 0, 0))(self.theta, *tensors_of(batch))

    def step(self, optimizer: torch.optim.Optimizer, batch: Batch) -> tuple[float, float]:
        """One meta-step; the mean query loss and accuracy before it."""
        losses, accuracies = self.judged(batch, self.options.update_step)
        optimizer.zero_grad()
        self.outer(losses).backward()
        optimizer.step()
        return float(losses.detach().mean()), float(accuracies.mean())

    @torch.no_grad()
    def figures(self, passes: ValidationPass) -> dict[str, float]:
        """What a `ValidationPass` measures, of this peer."""
        losses, accuracies = zip(*(self.judged(batch, self.options.update_step_test) for batch in passes.episodes))
        mean, interval = mean_and_interval(torch.cat(accuracies).numpy())
        return {f"{passes.prefix}accuracy": mean, f"{passes.prefix}interval_95": interval,
                f"{passes.prefix}loss": float(torch.cat(losses).mean())}


def adam_of(peer: Peer, options: Options, checkpoint: Checkpoint | None) -> torch.optim.Adam:
    """PyTorch's Adam, where MindSpore's was in a checkpoint."""
    optimizer = torch.optim.Adam(list(peer.theta.values()), options.meta_lr)
    if checkpoint:
        for name, weight in peer.theta.items():
            first, second = (torch.tensor(checkpoint.tensors[f"{moment}.net.{name}"])
                             for moment in ("moment1", "moment2"))
            optimizer.state[weight] = {"step": torch.tensor(float(checkpoint.epoch)), "exp_avg": first,
                                       "exp_avg_sq": second}
    return optimizer


def main() -> None:
    options = parse(TRAIN, __doc__)
    device.set_up_for(options)
    checkpoint = load(options.ckpt) if options.ckpt else None
    if checkpoint:
        options = completed(options, checkpoint)
    if (options.algorithm, options.order, options.optimizer) != ("maml", "second", "Adam"):
        raise InputError(f"--algorithm {options.algorithm} --order {options.order} --optimizer {options.optimizer}: "
                         f"expected maml of second order with Adam, which is all this peer has")
    train_images, test_images, options = load_split(options)
    train_images, val_images = hold_out(train_images, options)
    episodes = make_episodes(train_images, options, options.epoch)
    held_out = (VALIDATION, val_images) if options.val_classes else (TEST, test_images)
    passes = ValidationPass(*held_out, options) if options.eval_every else None
    meta = make_meta(options)
    if checkpoint:
        checkpoint.put_into(meta)
        episodes.state = checkpoint.episodes or episodes.state
    values = {parameter.name.removeprefix("net."): parameter.asnumpy() for parameter in meta.trainable_params()}
    peer = Peer(options, values)
    train(peer, adam_of(peer, options, checkpoint), episodes, passes, options)
    weights = {f"{WEIGHT_PREFIX}{name}": value.detach().numpy() for name, value in peer.theta.items()}
    settings = {name: value for name, value in vars(options).items() if name != "given"}
    saving.write(Path(options.output_dir) / FILE_NAME.format(options.epoch), weights, options.epoch, settings, None)


def train(peer: Peer, optimizer: torch.optim.Optimizer, episodes: OmniglotIter,
          passes: ValidationPass | None, options: Options) -> None:
    """Train to the last epoch, and report on the way."""
    rates, done = learning_rates(options), episodes.state["drawn"]
    with reporting(Start(make_folder(options.output_dir, "--output_dir"), done, options)) as tell:
        for epoch, batch in enumerate(episodes, done + 1):
            start = time.perf_counter()
            optimizer.param_groups[0]["lr"] = float(rates[epoch - 1])
            loss, accuracy = peer.step(optimizer, batch)
            record = {"step": epoch, "loss": loss, "accuracy": accuracy, "learning_rate": float(rates[epoch - 1]),
                      "milliseconds": 1000 * (time.perf_counter() - start)}
            measured = passes is not None and passes.is_due(epoch)
            if measured:
                record |= peer.figures(passes)
            if measured or is_reported(epoch, options):
                tell("report", record)
            tell("advance", epoch)


if __name__ == "__main__":
    run_program(main)
