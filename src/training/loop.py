"""The loop of a training: a meta-step an epoch, what is reported and saved on the way, and how it ends early."""
import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn

from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.run_options import Options
from mindspore_maml.cli.signals import INTERRUPTED, Interruption
from mindspore_maml.devices.batch_share import Shared
from mindspore_maml.devices.profiling import profile_step
from mindspore_maml.meta import Meta
from mindspore_maml.OmniglotIter import Batch, OmniglotIter
from mindspore_maml.training.checkpoint import BEST_NAME
from mindspore_maml.training.evaluation import by_step, evaluate_batch
from mindspore_maml.training.reporters import Start, Tell, reporting
from mindspore_maml.training.saving import DivergedError, last_good, prune, save
from mindspore_maml.training.schedule import learning_rates
from mindspore_maml.training.step import TrainingStep
from mindspore_maml.training.validation import ValidationPass
from mindspore_maml.training.weight_average import WeightAverage


class Training:
    """A training that can be run: its parts, and how far it is.

    Parameters
    ----------
    meta : Meta
        Holds the weights.
    runner : Meta or Shared
        Takes the steps.
    optimizer : Cell
        Of the outer loop.
    average : WeightAverage
        Of the weights; measured and saved in their place.
    episodes : OmniglotIter
        Batches of tasks, from where the training starts.
    validation : ValidationPass or None
        What is measured every `--eval_every` epochs.
    options : Options
        All options of the run.
    folder : RunFolder or None
        Where it writes; None for one that writes nothing.
    picture : RunPicture or None
        Drawn anew after checkpoints and passes; None where there is no folder.
    """

    def __init__(self, meta: Meta, runner: Shared, optimizer: nn.Cell, average: WeightAverage,
                 episodes: OmniglotIter, validation: ValidationPass | None, options: Options,
                 folder: Any = None, picture: Any = None):
        self.meta, self.runner, self.optimizer, self.average = meta, runner, optimizer, average
        self.episodes, self.validation, self.options = episodes, validation, options
        self.folder, self.picture = folder, picture
        self.take_step = TrainingStep(runner, optimizer, options.clip_norm)
        self.rates = learning_rates(options)
        self.done = self.saved = episodes.state["drawn"]   # epochs trained, and epochs in a checkpoint
        self.saved_as: Path | None = None                  # that checkpoint
        self.started = time.perf_counter()                 # of the step at hand
        self.tell: Tell = lambda method, *arguments: None  # the reporters, while it runs
        self.compiled: set[str] = set()                    # what was done already, and so is compiled
        if validation and folder:
            validation.resume(folder.path, self.done)

    def run(self) -> int:
        """Train to the last epoch or until a signal; returns the exit status."""
        options = self.options
        with reporting(Start(self.folder.path, self.done, options)) as self.tell, \
                Interruption(lambda: self.done > self.saved) as interruption, self.saved_if_it_fails():
            if options.profile:
                self.profile()
            self.started = time.perf_counter()
            for epoch, batch in enumerate(self.episodes, self.done + 1):
                if record := self.step(epoch, batch):
                    self.tell("report", record)
                self.tell("advance", epoch)
                received = interruption.received   # read once: it may come at any moment
                ends = self.is_to_end(epoch)
                self.save_if_due(at_once=received is not None or ends)
                if ends:
                    self.tell("say", f"ended after epoch {epoch} by --patience {options.patience}")
                    return 0
                if received and epoch < options.epoch:
                    self.tell("say", f"interrupted after epoch {epoch}; --ckpt {self.saved_as} goes on from there")
                    return INTERRUPTED + received
                self.started = time.perf_counter()
        return 0

    def step(self, epoch: int, batch: Batch) -> dict | None:
        """One epoch, with what is measured in it; returns its record where it is to be reported, else None."""
        validated = self.validates(epoch)
        reported = validated or is_reported(epoch, self.options)
        began = time.perf_counter()
        figures = {}
        if reported and self.options.per_step:
            self.say_if_new("the evaluation of the batch")
            losses, accuracies, _ = evaluate_batch(self.runner, batch, self.options.update_step, per_step=True)
            figures = by_step([losses], [accuracies])
        self.started += time.perf_counter() - began   # what is measured besides is no part of the step's time
        self.say_if_new("the step of second order" if self.runner.inner.is_second_order(epoch - 1) else "the step")
        loss, accuracy = self.take_step(batch, epoch)
        self.average.update(epoch)
        milliseconds = 1000 * (time.perf_counter() - self.started)
        self.done = epoch
        if validated and self.validation:
            self.say_if_new("the pass on other characters")
            with self.average.in_place():
                figures |= self.validation.measure(self.runner)
            if self.validation.update_best(figures):
                self.save(name=BEST_NAME)   # first: a run killed here measures this epoch again
        if not reported:
            return None
        return {"step": epoch, "loss": loss, "accuracy": accuracy, "milliseconds": milliseconds,
                "learning_rate": float(self.rates[epoch - 1])} | figures

    def validates(self, epoch: int) -> bool:
        """Whether a pass on other characters follows this epoch."""
        return self.validation is not None and self.validation.is_due(epoch)

    def say_if_new(self, what: str) -> None:
        """Tell the reporters what is about to be done where that is for the first time, and so compiles graphs."""
        if what not in self.compiled and self.options.mode == "graph":
            self.compiled.add(what)
            self.tell("compiling", what)

    def is_to_end(self, epoch: int) -> bool:
        """Whether --patience ends the training after this epoch.

        The ranks ask each other: only the first one knows the passes before it went on, and no other counts more.
        """
        if not (self.options.patience and self.validation and self.validates(epoch)):
            return False
        ends = np.array([self.validation.gains_no_more], np.float32)
        of_all_ranks = getattr(self.runner, "sum_of_all", None)
        return bool((of_all_ranks(ends) if of_all_ranks else ends).any())

    def save_if_due(self, at_once: bool) -> None:
        """Save where this epoch's turn has come, or `at_once`; then older checkpoints may go."""
        ends = at_once or self.done == self.options.epoch
        due = ends or self.done % self.options.save_every == 0
        if due:
            self.save()
            prune(self.folder.path, self.options.keep)
        if due or self.validates(self.done):
            self.picture.refresh(at_once=ends)

    def save(self, **name: str) -> None:
        """Write a checkpoint of the epochs done."""
        with self.average.in_place():
            path = save(self.folder.path, self.done, net=self.meta, optimizer=self.optimizer, options=self.options,
                        episodes=self.episodes.state | {"drawn": self.done}, run=self.folder.run,
                        more=self.average.state(), **name)
        if not name:
            self.saved, self.saved_as = self.done, path

    @contextlib.contextmanager
    def saved_if_it_fails(self) -> Iterator[None]:
        """Save the epochs done before a failure goes on its way, unless the weights are what failed."""
        try:
            yield
        except DivergedError as error:
            raise DivergedError(f"{error}; {last_good(self.folder.path)}") from error
        except InputError as error:
            raise type(error)(f"{error}; {self.save_what_is_done()}") from error
        except BrokenPipeError:   # whoever read what is printed has seen enough
            self.save_what_is_done()
            raise
        except Exception:
            print(self.save_what_is_done(), file=sys.stderr)
            raise

    def save_what_is_done(self) -> str:
        """Save the epochs done where that is possible after something has failed; says what became of them."""
        try:
            if self.done > self.saved:
                self.save()
        except Exception as error:   # what failed first is what is to be reported
            return f"epoch {self.done} could not be saved ({error})"
        if not self.saved_as:
            return "no epoch was done"
        return f"saved after epoch {self.saved}: --ckpt {self.saved_as} goes on from there"

    def profile(self) -> None:
        """Write and print the kernel table of one meta-gradient; nothing is learned from it."""
        batch = next(iter(self.episodes))
        iter(self.episodes)   # back to where the run starts
        table = profile_step(lambda: self.meta.meta_gradient(*batch), self.folder.path)
        for kernel, calls, milliseconds, share in table:
            print(f"{kernel:20} {calls:6} calls {milliseconds:10.3f} ms {100 * share:5.1f} %")


def is_reported(epoch: int, options: Options) -> bool:
    """Whether an epoch has its turn to be reported; the last one always has."""
    return (epoch - 1) % options.log_every == 0 or epoch == options.epoch
