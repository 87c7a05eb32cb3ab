"""A training as a rank other than the first does it: its share of every step, with nothing printed or written."""
from argparse import Namespace

from mindspore import nn

from src.devices.batch_share import Shared
from src.meta import Meta
from src.OmniglotIter import OmniglotIter
from src.training.loop import Training
from src.training.validation import ValidationPass
from src.training.weight_average import WeightAverage


class FollowingTraining(Training):
    """Takes part in what needs all ranks, in the order of the first rank's `Training`, and so keeps equal weights."""

    def __init__(self, meta: Meta, runner: Shared, optimizer: nn.Cell, average: WeightAverage,
                 episodes: OmniglotIter, validation: ValidationPass | None, options: Namespace):
        super().__init__(meta, runner, optimizer, average, episodes, validation, options, folder=None, picture=None)

    def run(self) -> int:
        """Train to the last epoch; returns the exit status. Where the first rank stops before, all are ended."""
        for epoch, batch in enumerate(self.episodes, self.done + 1):
            self.step(epoch, batch)
        return 0

    def save(self, **name: str) -> None:
        """The first rank does it."""
