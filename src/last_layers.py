"""The inner loop's gradients where it adapts the last layers alone, as ANIL does (Raghu et al., 2020)."""
from mindspore import Tensor, nn

from mindspore_maml.layers.chain import Chain
from mindspore_maml.layers.dropout import MASK
from mindspore_maml.layers.image_rows import Prepared
from mindspore_maml.layers.primitives import zeros_like
from mindspore_maml.learner import Learner


def stepping(learner: Learner, adapted: tuple) -> "Learner | LastLayers":
    """What takes the inner steps of a learner, of whose parameters these are `adapted`."""
    of_layers = [number for number, layer in enumerate(learner.chain.layers) for kind in layer.kinds if kind != MASK]
    first = of_layers[adapted.index(True)] if any(adapted) else 0
    return LastLayers(learner, first) if first else learner


class OnFeatures(nn.Cell):
    """The `gradient` of a learner's last layers, from what the layers before number `first` make of the images."""

    def __init__(self, learner: Learner, first: int):
        super().__init__()
        self.learner, self.last = learner, Chain(learner.chain.layers[first:])
        self.held = len(learner.chain.kinds) - len(self.last.kinds)   # weights before the first adapted layer

    def gradient(self, weights: tuple, x: Prepared, labels: Tensor, scale: float) -> tuple[Tensor, tuple, tuple]:
        """As `Learner.gradient`, of what `LastLayers` returns; in place of the gradients before `first`, anything."""
        masks, loss = self.learner.masks, self.learner.loss
        w = masks.put_into(weights, x)
        logits, states = self.last.forward_pass(w[self.held:], masks.data(x))
        logits = self.learner.judged(logits)
        d_logits, probability = loss.gradient(logits, labels, scale)
        _, gradients, backward_states = self.last.backward(w[self.held:], states, self.learner.of_all(d_logits))
        return logits, masks.taken_from((*w[:self.held], *gradients)), (states, backward_states, probability)


class LastLayers(nn.Cell):
    """The `gradient` and `curvature` of a learner whose layers before number `first` the inner loop does not adapt.

    These do not move in an inner step. So they need no inner gradient and no tangent, and what reaches them of the
    curvature flows back through them as any gradient does. Where nothing flows back, `on_features` takes all steps
    from what they made of the images once.

    Parameters
    ----------
    learner : Learner
    first : int
        At least 1.
    """

    def __init__(self, learner: Learner, first: int):
        super().__init__()
        self.learner, self.before = learner, Chain(learner.chain.layers[:first])
        self.on_features = OnFeatures(learner, first)
        self.last, self.held = self.on_features.last, self.on_features.held

    def construct(self, weights: tuple, x: Prepared) -> Prepared:
        """What `on_features` takes for prepared images `x`: features [task, rows, channel], with dropout's masks."""
        masks = self.learner.masks
        return masks.beside(x, self.before.forward(masks.put_into(weights, x)[:self.held], masks.data(x)))

    def gradient(self, weights: tuple, x: Prepared, labels: Tensor, scale: float) -> tuple[Tensor, tuple, tuple]:
        """As `Learner.gradient`; in place of the gradients of what is not adapted, anything."""
        masks = self.learner.masks
        features, before = self.before.forward_pass(masks.put_into(weights, x)[:self.held], masks.data(x))
        logits, gradients, trace = self.on_features.gradient(weights, masks.beside(x, features), labels, scale)
        return logits, gradients, (before, features, *trace)

    def curvature(self, weights: tuple, x: Prepared, trace: tuple, direction: tuple, scale: float) -> tuple:
        """As `Learner.curvature`, along a direction in which only the last layers' weights move."""
        before, features, states, backward_states, probability = trace
        masks = self.learner.masks
        w, w_dot = (masks.put_into(values, x)[self.held:] for values in (weights, direction))
        logits_dot, tangent_states = self.last.forward_tangent(w, states, w_dot, zeros_like(features))
        d_logits_dot = self.learner.loss.gradient_tangent(probability, self.learner.judged(logits_dot), scale)
        d_features, products = self.last.backward_tangent(w, states, backward_states, w_dot, tangent_states,
                                                          self.learner.of_all(d_logits_dot))
        _, gradients, _ = self.before.backward(masks.put_into(weights, x)[:self.held], before, d_features)
        return masks.taken_from((*gradients, *products))
