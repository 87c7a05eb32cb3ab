"""Train MAML on Omniglot: one epoch is one meta-step on --task_num tasks.

--ckpt starts from a checkpoint. One that this program wrote holds the optimizer's state, the epoch and the
options too: the run goes on behind that epoch, up to --epoch, in its own folder and with the options of the run that
wrote it where no flag is given, and its result is that of a run never interrupted. One that holds weights only starts
at epoch 1. Ctrl-C finishes the epoch at hand and saves it first.
"""
from dataclasses import replace

from mindspore import nn

from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.messages import log
from mindspore_maml.cli.options import TRAIN
from mindspore_maml.cli.run_options import Options
from mindspore_maml.devices import cluster, device
from mindspore_maml.devices.shares import share_out
from mindspore_maml.meta import Meta
from mindspore_maml.OmniglotIter import OmniglotIter
from mindspore_maml.pictures.curves import RunPicture
from mindspore_maml.programs.seeds import train_seeds
from mindspore_maml.training.agreement import check_same_on_all_ranks
from mindspore_maml.training.checkpoint import LARGEST_STATE, Checkpoint, given_by_hand, load
from mindspore_maml.training.continuing import completed
from mindspore_maml.training.following import FollowingTraining
from mindspore_maml.training.from_options import (
    load_for_training,
    make_meta,
    training_episodes,
    weight_shapes,
    with_sizes_of_data,
)
from mindspore_maml.training.loop import Training
from mindspore_maml.training.optimizer import outer_optimizer
from mindspore_maml.training.reporters import kinds_for
from mindspore_maml.training.run_folder import claim, home_of
from mindspore_maml.training.run_log import TEST, VALIDATION
from mindspore_maml.training.validation import ValidationPass
from mindspore_maml.training.weight_average import WeightAverage


def main() -> int:
    options = parse(TRAIN, __doc__)
    if options.seeds:
        return train_seeds(options)
    workers = device.set_up_for(options)
    checkpoint = load(options.ckpt) if options.ckpt else None
    options = completed(in_its_folder(options, checkpoint), checkpoint) if checkpoint else with_sizes_of_data(options)
    if options.val_classes and not options.eval_every:
        raise InputError(f"--val_classes {options.val_classes} without --eval_every; expected how often to measure")
    if options.patience and not options.val_classes:
        raise InputError(f"--patience {options.patience} without --val_classes; expected characters held out, for a "
                         f"training is never ended by what test characters show")
    kinds_for(options)   # what a reporter lacks is refused before the data are read
    (train_images, alphabets), judged, options = load_for_training(options)
    episodes = training_episodes(train_images, options, alphabets)
    validation = None
    if options.eval_every:
        validation = ValidationPass(VALIDATION if options.val_classes else TEST, judged[0], options, judged[1])
    if checkpoint:
        checkpoint.refuse_lacking(weight_shapes(options))
    meta = make_meta(options, getattr(episodes, "labels", 0))   # of an ordinary classifier
    if options.pretrained and not checkpoint:
        begin_with(load(options.pretrained, "--pretrained"), meta)
    runner = share_out(meta, workers)
    optimizer = outer_optimizer(meta.trainable_params(), options)
    average = WeightAverage(meta.trainable_params(), options.ema_decay)
    done = start_from(checkpoint, meta, optimizer, average, episodes, options) if checkpoint else 0
    check_same_on_all_ranks(options, train_images, meta)
    if not cluster.is_first():
        return FollowingTraining(meta, runner, optimizer, average, episodes, validation, options).run()
    with claim(options, checkpoint, done) as folder:
        picture = RunPicture(folder.path)
        return Training(meta, runner, optimizer, average, episodes, validation, options, folder, picture).run()


def begin_with(pretrained: Checkpoint, meta: Meta) -> None:
    """Put a trained network's weights in place of the fresh ones of `meta`, but for the head's.

    Where `meta` has layers between that body and its head, these stay fresh.
    """
    own = {parameter.name: parameter.asnumpy() for parameter in meta.get_parameters()}
    heads = tuple(f"net.{len(network) - 1}." for network in (meta.net.specs, pretrained.options.get("network", ())))
    body = {name: value for name, value in pretrained.tensors.items() if name.startswith("net.") and
            not name.startswith(heads)}
    kept = {name: value for name, value in own.items() if name not in body}
    replace(pretrained, tensors=body | kept).put_into(meta)
    print(f"checkpoint {pretrained}\nits weights, but for the head's, are what the training starts with", flush=True)


def in_its_folder(options: Options, checkpoint: Checkpoint) -> Options:
    """Where --output_dir is not given, a run that goes on does so where it was."""
    home = None if "output_dir" in given_by_hand(options) else home_of(checkpoint)
    return options.but(output_dir=str(home)) if home else options


def start_from(checkpoint: Checkpoint, meta: Meta, optimizer: nn.Cell, average: WeightAverage,
               episodes: OmniglotIter, options: Options) -> int:
    """Put weights, their average, optimizer and episodes where `checkpoint` left them; returns the epochs done."""
    checkpoint.put_into(meta)
    average.resume({weight.name: checkpoint.fitting(weight.name, weight, LARGEST_STATE) for weight in average.state()
                    if weight.name in checkpoint.tensors})
    done = checkpoint.resume(optimizer)
    if done >= options.epoch:
        raise InputError(f"--epoch {options.epoch}: {checkpoint.path} is at epoch {done} already; expected more")
    if done and checkpoint.episodes:
        episodes.state = checkpoint.episodes
    log.info(f"checkpoint {checkpoint}")
    log.info(f"starting from {checkpoint.path}, at epoch {done + 1}")
    return done
