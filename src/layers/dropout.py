"""Dropout, with masks that are passed in: a compiled graph draws nothing, and a run can be repeated."""
import numpy as np
from mindspore import Tensor

from mindspore_maml.layers.layer import Layer
from mindspore_maml.layers.primitives import mul, zeros_like
from mindspore_maml.layers.spec import Property, Spec

MASK = "mask"   # the kind under which a layer takes its mask among its weights


class Dropout(Layer):
    """y = x m, with m 0 for a share `rate` of the numbers and 1 / (1 - rate) for the others; y = x in evaluation.

    Srivastava et al., 2014. The mask is the same for all inner steps of a batch, another for each batch, task and
    image. The learner draws it (see `Learner.prepare`), so it is among the weights and yet no parameter.
    """

    properties = {"rate": Property(float, 0.5, low=0, below=1)}
    keeps_zero_row = True
    rate: float

    def __init__(self, spec: Spec, task_num: int, images: int, is_first: bool = False):
        super().__init__(spec, task_num, images, is_first)
        self.kinds, self.dropouts = (MASK,), (self,)
        self.mask_shape = (images if spec.is_flat else spec.grid(images).rows, spec.shape_in[0])

    def draw(self, seed: tuple) -> np.ndarray:
        """The mask of one task, float32 [rows, channel]; `seed` is for `numpy.random.default_rng`."""
        kept = np.random.default_rng(seed).random(self.mask_shape, dtype=np.float32) >= self.rate
        return kept.astype(np.float32) / np.float32(1 - self.rate)

    def forward(self, w: tuple, x: Tensor) -> Tensor:
        return mul(x, w[0])

    def forward_pass(self, w, x):
        """The forward state is x where that is data, else nothing."""
        return mul(x, w[0]), ((x,) if self.is_first else ())

    def backward(self, w, forward_state, dy):
        """The mask has no gradient: dw is a place without a tensor."""
        return mul(dy, w[0]), ((),), ()

    def forward_tangent(self, w, forward_state, w_dot, x_dot):
        return (zeros_like(forward_state[0]) if self.is_first else mul(x_dot, w[0])), ()

    def backward_tangent(self, w, forward_state, backward_state, w_dot, tangent_state, dy_dot):
        return mul(dy_dot, w[0]), ((),)
