"""A training as a rank other than the first does it: its share of every step, with nothing printed or written."""
from mindspore_maml.training.loop import Training


class FollowingTraining(Training):
    """Takes part in what needs all ranks, in the order of the first rank's `Training`, and so keeps equal weights."""

    def run(self) -> int:
        """Train to the last epoch; returns the exit status. Where the first rank stops before, all are ended."""
        for epoch, batch in enumerate(self.episodes, self.done + 1):
            self.step(epoch, batch)
            if self.is_to_end(epoch):
                break
        return 0

    def save(self, **name: str) -> None:
        """The first rank does it."""
