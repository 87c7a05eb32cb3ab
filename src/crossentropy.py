"""Softmax cross-entropy with label smoothing, and its first and second derivatives in closed form."""
import numpy as np
from mindspore import Tensor, jit_class, ops
from mindspore import dtype as mstype
from scipy.special import log_softmax

# Not Log: MindSpore's CPU kernel rounds the last numbers of each thread's part otherwise, so its result would change
# in the seventh digit with the number of threads, of which MindSpore tries several in a process's first steps.
_softmax, _log_softmax, _one_hot = ops.Softmax(), ops.LogSoftmax(), ops.OneHot()
_mean, _sum = ops.ReduceMean(), ops.ReduceSum(keep_dims=True)
_argmax, _equal, _cast = ops.Argmax(axis=-1, output_type=mstype.int32), ops.Equal(), ops.Cast()


@jit_class
class CrossEntropy:
    """Mean cross-entropy over the images of every task.

    Label smoothing moves the share `label_smoothing` of each target's probability to all classes evenly
    (Szegedy et al., 2016, section 7). The derivatives are methods: MindSpore has no second one of LogSoftmax.

    A loss of one's own has the same methods but `targets` (examples/sinusoid.py), and is given to `InnerLoop`.

    Attributes
    ----------
    label_type : str
        The dtype of labels [task, image]: int32, or float32 [task, image, number] where these are numbers.
    """

    label_type = "int32"

    def __init__(self, label_smoothing: float = 0.0):
        self.on, self.off = Tensor(1.0 - label_smoothing, mstype.float32), Tensor(0.0, mstype.float32)
        self.smoothing = label_smoothing

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of every task [task] from logits [task, image, class] and labels [task, image]."""
        return -_mean(_sum(self.targets(logits, labels) * _log_softmax(logits), -1), (1, 2))

    def targets(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Target probabilities [task, image, class]."""
        classes = logits.shape[-1]
        targets = _one_hot(labels, classes, self.on, self.off)
        return targets + self.smoothing / classes if self.smoothing else targets

    def gradient(self, logits: Tensor, labels: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Gradient of `scale` times each task's loss with respect to its logits, and the probabilities, like it."""
        probability = _softmax(logits)
        return (probability - self.targets(logits, labels)) * (scale / logits.shape[-2]), probability

    def gradient_tangent(self, probability: Tensor, logits_tangent: Tensor, scale: float) -> Tensor:
        """How the gradient changes when the logits change by `logits_tangent`; all like the logits."""
        weighted = probability * logits_tangent
        return (weighted - probability * _sum(weighted, -1)) * (scale / probability.shape[-2])

    def answers(self, logits: Tensor) -> Tensor:
        """What the network answers: the class of every image [task, image], int32."""
        return _argmax(logits)

    def is_right(self, answers: Tensor, labels: Tensor) -> Tensor:
        """1 for every image whose answer is its label, else 0: [task, image], float32."""
        return _cast(_equal(answers, labels), mstype.float32)


def log_probabilities(logits: np.ndarray, count: int = 1) -> np.ndarray:
    """The mean over an image's views of its log-probabilities: [..., count x image, class] -> [..., image, class].

    Float64; the views are all images as they are, then all images changed, and so on.
    """
    return np.mean(np.split(log_softmax(logits.astype(np.float64), axis=-1), count, axis=-2), axis=0)
