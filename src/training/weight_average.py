"""A running average of the weights over the last meta-steps: smoother than the weights of any one of them."""
import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
from mindspore import Parameter, Tensor

PREFIX = "trained."   # of the names, in a checkpoint, of the weights that training goes on with


class WeightAverage:
    """average <- d average + (1 - d) weights after every step, with d the decay, and smaller in the first steps.

    After t steps d is at most t / (t + 9), so that the initial weights are soon forgotten.

    Parameters
    ----------
    parameters : sequence of Parameter
        What is averaged.
    decay : float
        Of each step; 0: there is no average, and every method does nothing.
    """

    def __init__(self, parameters: Sequence[Parameter], decay: float):
        self.decay = decay
        self.parameters = list(parameters) if decay else []
        self.others = [_values(parameter) for parameter in self.parameters]   # the averages, but within `in_place`

    def update(self, epoch: int) -> None:
        """Take in the weights as they are after step number `epoch`."""
        share = np.float32(1 - min(self.decay, epoch / (epoch + 9)))
        self.others = [average + share * (parameter.asnumpy() - average)
                       for average, parameter in zip(self.others, self.parameters)]

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Within it the parameters hold the averages, to be tested and saved."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state(self) -> list[Parameter]:
        """What a checkpoint written within `in_place` needs besides, for a run to go on: a list of Parameter."""
        return [Parameter(Tensor(value), name=_name(parameter))
                for value, parameter in zip(self.others, self.parameters)]

    def resume(self, tensors: dict[str, np.ndarray]) -> None:
        """Begin from a checkpoint's `tensors` by name, its averages being in the parameters already.

        Where it holds no weights besides, it was written without an average, and that begins with these weights.
        """
        self.others = [tensors.get(_name(parameter), _values(parameter)) for parameter in self.parameters]
        self._swap()

    def _swap(self):
        for number, parameter in enumerate(self.parameters):
            value = _values(parameter)
            parameter.set_data(Tensor(self.others[number]))
            self.others[number] = value


def _values(tensor):
    return np.array(tensor.asnumpy())


def _name(parameter):
    return PREFIX + parameter.name.removeprefix("net.")
