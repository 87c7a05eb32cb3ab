"""Group normalisation: the statistics of one image, whatever the others are."""
import numpy as np
from mindspore import Tensor

from mindspore_maml.layers.layer import Layer
from mindspore_maml.layers.primitives import add, matmul, matmul_tn, mul, rsqrt, sub
from mindspore_maml.layers.row_constants import RowConstants
from mindspore_maml.layers.spatial_mean import averages
from mindspore_maml.layers.spec import Property, Spec


class GroupNorm(Layer):
    """y = (x - mean) / sqrt(variance + eps) * gamma + beta, over each image's positions and group of channels.

    Wu and He, 2018, equations 1 to 3. One group: layer normalisation; as many groups as channels: instance
    normalisation.
    """

    properties = {"groups": Property(int, 1, low=1), "eps": Property(float, 1e-5, low=0),
                  "gamma": Property(bool, False)}
    keeps_zero_row = True
    eps: float
    gamma: bool

    def __init__(self, spec: Spec, task_num: int, images: int, is_first: bool = False):
        super().__init__(spec, task_num, images, is_first)
        channels = spec.shape_in[0]
        if spec.is_flat:
            of_image = np.tile(np.eye(images, dtype=np.float32), (task_num, 1, 1))
            self.constants = RowConstants(task_num, images, zero_row=False)
        else:
            of_image = averages(task_num, spec.grid(images))
            self.constants = RowConstants(task_num, spec.grid(images).positions, zero_row=True)
        size = channels // spec.groups
        of_group = np.kron(np.eye(spec.groups), np.full((size, size), 1 / size)).astype(np.float32)
        self.image_mean = Tensor(of_image)                                # [task, image, rows]
        self.image_ones = Tensor((of_image > 0).astype(np.float32))
        self.group_mean = Tensor(np.tile(of_group, (task_num, 1, 1)))     # [task, channel, channel]

    @staticmethod
    def output_shape(spec: Spec) -> tuple:
        """As it is given."""
        if spec.shape_in[0] % spec.groups:
            raise spec.error(f": {spec.shape_in[0]} channels in {spec.groups} groups; expected groups of equal size")
        return spec.shape_in

    @staticmethod
    def parameters(spec: Spec) -> dict:
        """A gamma [channels] if asked for, and a beta [channels]."""
        return dict.fromkeys(("gamma", "beta") if spec.gamma else ("beta",), (spec.shape_in[0],))

    def forward(self, w: tuple, x: Tensor) -> Tensor:
        centred = sub(x, self._spread(self._mean(x)))
        scale = rsqrt(self._mean(mul(centred, centred)) + self.eps)
        normal = mul(centred, self._spread(scale))
        if self.gamma:
            normal = mul(normal, self.constants.spread(w[0]))
        return add(normal, self.constants.spread(w[-1]))

    def _mean(self, x):
        """[task, rows, channel] -> [task, image, channel], the same for all channels of a group."""
        return matmul(matmul(self.image_mean, x), self.group_mean)

    def _spread(self, value):
        """[task, image, channel] -> [task, rows, channel]; the zero row stays zero."""
        return matmul_tn(self.image_ones, value)
