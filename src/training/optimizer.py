"""The outer optimizer: Adam on the meta-gradient, with decoupled weight decay where a preset asks for it."""
from mindspore import Parameter, nn, ops

from mindspore_maml.cli.run_options import Options
from mindspore_maml.training.checkpoint import WEIGHT_PREFIX
from mindspore_maml.training.schedule import learning_rates


class OuterAdam(nn.Adam):
    """Adam with decoupled weight decay (Kingma and Ba, 2015; Loshchilov and Hutter, 2019, algorithm 2).

    MindSpore's own AdamWeightDecay, which the ModelZoo's MAML uses, is another algorithm: it leaves out Adam's
    bias correction, so that its first steps are three times as long.

    Parameters
    ----------
    parameters : list of Parameter
        What to train.
    learning_rates : list of float
        The rate of each step; step number `global_step` takes entry `global_step`.
    weight_decay : float
        The share of a weight that a step takes away, in units of the learning rate.
    decayed : tuple of bool, optional
        Which of the parameters it is taken from; by default all.
    """

    def __init__(self, parameters: list[Parameter], learning_rates: list[float], weight_decay: float = 0.0,
                 decayed: tuple[bool, ...] | None = None):
        super().__init__(parameters, learning_rates)
        self.decoupled_decay, self.decayed = weight_decay, decayed or (True,) * len(parameters)
        self.assign = ops.Assign()

    def decay_weight(self, gradients: tuple) -> tuple:
        """Shrink the weights and leave `gradients` as they are; `nn.Adam` calls this first in every step."""
        if self.decoupled_decay:
            keep = 1.0 - self.get_lr() * self.decoupled_decay
            for i in range(len(self.decayed)):
                if self.decayed[i]:
                    self.assign(self._parameters[i], self._parameters[i] * keep)
        return gradients


def outer_optimizer(parameters: list[Parameter], options: Options) -> nn.Cell:
    """The optimizer of a run: call it with the tuple of meta-gradients.

    Parameters
    ----------
    parameters : list of Parameter
        In the order of the meta-gradients.
    options : Options
        `optimizer`, `weight_decay`, and what `learning_rates` reads. The decay is for the network's weights: learned
        inner rates and shifts are no weights, and zero is no good value for them.
    """
    rates = [float(rate) for rate in learning_rates(options)]
    of_network = tuple(parameter.name.startswith(WEIGHT_PREFIX) for parameter in parameters)
    if options.optimizer == "AdamWeightDecay":
        optimizer = nn.AdamWeightDecay(parameters, rates, weight_decay=options.weight_decay)
        optimizer.decay_flags = tuple(flag and ours for flag, ours in zip(optimizer.decay_flags, of_network))
        return optimizer
    return OuterAdam(parameters, rates, options.weight_decay, of_network)
