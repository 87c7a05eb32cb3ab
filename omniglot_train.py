"""Train MAML on Omniglot: one epoch is one meta-step on --task_num tasks.

--ckpt starts from a checkpoint. One that this program wrote holds the optimizer's state, the epoch and the
options too: the run goes on behind that epoch, up to --epoch, with the options of the run that wrote it where no
flag is given, and its result is that of a run never interrupted. One that holds weights only starts at epoch 1.
Ctrl-C finishes the epoch at hand and saves it first.
"""
import contextlib
import sys
import textwrap
import time

from src.cli.atomic_files import make_folder, replacing
from src.cli.command_line import parse
from src.cli.errors import InputError, run_program
from src.cli.options import TRAIN, options_of
from src.cli.presets import as_yaml
from src.devices import device
from src.devices.batch_share import LostProcessError
from src.devices.profiling import profile_step
from src.devices.shares import share_out
from src.pictures.curves import RunPicture
from src.training.checkpoint import BEST_NAME, load, save
from src.training.evaluation import by_step, evaluate_batch
from src.training.from_options import hold_out, load_split, make_episodes, make_meta
from src.training.interruption import Interruption
from src.training.optimizer import outer_optimizer
from src.training.run_log import TEST, VALIDATION, Reporter
from src.training.schedule import learning_rates
from src.training.step import TrainingStep
from src.training.validation import ValidationPass
from src.training.weight_average import WeightAverage

# What belongs to one call of the program: a run that goes on does not take it from its checkpoint.
OF_THIS_CALL = ("preset", "device_target", "device_id", "mode", "workers", "data_path", "ckpt", "output_dir", "profile")
INTERRUPTED = 128   # a shell's exit status for a signal, to which its number is added


def main():
    options = parse(TRAIN, __doc__)
    workers = device.set_up_for(options)
    checkpoint = load(options.ckpt) if options.ckpt else None
    if checkpoint:
        names = [option.name for option in options_of(TRAIN) if option.name not in OF_THIS_CALL]
        checkpoint.adopt_options(options, [*names, "network"])
    if options.val_classes and not options.eval_every:
        raise InputError(f"--val_classes {options.val_classes} without --eval_every; expected how often to measure")
    train_images, test_images = load_split(options)
    train_images, val_images = hold_out(train_images, options)
    episodes = make_episodes(train_images, options, options.epoch)
    validation = None
    if options.eval_every:
        held_out = (VALIDATION, val_images) if options.val_classes else (TEST, test_images)
        validation = ValidationPass(*held_out, options)
    meta = make_meta(options)
    runner = share_out(meta, workers)
    optimizer = outer_optimizer(meta.trainable_params(), options)
    average = WeightAverage(meta.trainable_params(), options.ema_decay)
    if checkpoint:
        start_from(checkpoint, meta, optimizer, average, episodes, options)
    return train(meta, runner, optimizer, average, episodes, validation, options)


def start_from(checkpoint, meta, optimizer, average, episodes, options):
    """Put weights, their average, optimizer and episodes where `checkpoint` left them."""
    checkpoint.put_into(meta)
    average.resume(checkpoint.tensors)
    done = checkpoint.resume(optimizer)
    if done >= options.epoch:
        raise InputError(f"--epoch {options.epoch}: {checkpoint.path} is at epoch {done} already; expected more")
    if done:
        episodes.state = checkpoint.episodes
    print(f"starting from {checkpoint.path}, at epoch {done + 1}", flush=True)


def train(meta, runner, optimizer, average, episodes, validation, options):
    """Train `meta`, its steps taken by `runner`, to the last epoch or until a signal; returns the exit status."""
    folder = make_folder(options.output_dir, "--output_dir")
    rates = learning_rates(options)
    done = episodes.state["drawn"]
    if validation:
        validation.resume(folder, done)

    def keep(epoch, **name):
        with average.in_place():
            return save(folder, epoch, net=meta, optimizer=optimizer, options=options, episodes=episodes.state,
                        more=average.state(), **name)

    def keep_what_is_done():
        epoch = int(optimizer.global_step.asnumpy()[0])
        if epoch == done:
            return "no epoch was done"
        episodes.state = episodes.state | {"drawn": epoch}   # the batch at hand is not learned from
        return f"saved after epoch {epoch}: --ckpt {keep(epoch)} goes on from there"

    picture, step = RunPicture(folder), TrainingStep(runner, optimizer)
    display_epoch = options.display_epoch and max(1, options.display_epoch // options.task_num)
    with Reporter(folder, done, options.epoch, display_epoch) as reporter, Interruption() as interruption, \
            saved_before_loss(keep_what_is_done):
        record_options(folder, options)
        if options.profile:
            profile(meta, episodes, folder)
        start = time.perf_counter()
        for epoch, batch in enumerate(episodes, done + 1):
            validated = validation is not None and validation.is_due(epoch)
            reported = validated or (epoch - 1) % options.log_every == 0
            began = time.perf_counter()
            figures = inner_curve(runner, batch, options.update_step) if reported and options.per_step else {}
            start += time.perf_counter() - began   # what is measured besides is no part of the step's time
            loss, accuracy = step(batch, epoch)
            average.update(epoch)
            milliseconds = 1000 * (time.perf_counter() - start)
            if validated:
                with average.in_place():
                    figures |= validation.measure(runner)
                if validation.update_best(figures):
                    keep(epoch, name=BEST_NAME)   # first: a run killed here measures this epoch again
            if reported:
                reporter.report({"step": epoch, "loss": loss, "accuracy": accuracy, "milliseconds": milliseconds,
                                 "learning_rate": float(rates[epoch - 1])} | figures)
            reporter.advance()
            received = interruption.received   # read once: it may come at any moment
            ends = received or epoch == options.epoch
            if saved := ends or epoch % options.save_every == 0:
                path = keep(epoch)
            if saved or validated:
                picture.refresh(at_once=ends)
            if received and epoch < options.epoch:
                print(f"interrupted after epoch {epoch}; --ckpt {path} goes on from there", file=sys.stderr)
                return INTERRUPTED + received
            start = time.perf_counter()
    return 0


@contextlib.contextmanager
def saved_before_loss(keep):
    """Where a process that shares the work is lost, `keep()` first; then end with what it says about that."""
    try:
        yield
    except LostProcessError as loss:
        raise LostProcessError(f"{loss}; {keep()}") from None


def record_options(folder, options):
    """Print the options this run has, and keep them beside its checkpoints."""
    text = as_yaml(options)
    with replacing(folder / "config.yaml") as temporary:
        temporary.write_text(text, encoding="utf-8")
    print("options:\n" + textwrap.indent(text, "  "), end="", flush=True)


def profile(meta, episodes, folder):
    """Write and print the kernel table of one meta-gradient; nothing is learned from it."""
    batch = next(iter(episodes))
    iter(episodes)   # back to where the run starts
    for kernel, calls, milliseconds, share in profile_step(lambda: meta.meta_gradient(*batch), folder):
        print(f"{kernel:20} {calls:6} calls {milliseconds:10.3f} ms {100 * share:5.1f} %")


def inner_curve(meta, batch, steps):
    """Accuracies and losses of a training batch by inner step, for its record."""
    losses, accuracies = evaluate_batch(meta, batch, steps, per_step=True)
    return by_step([losses], [accuracies])


if __name__ == "__main__":
    run_program(main)
