"""The operations that layers are made of, created once: graphs compile faster so, and each exists on every device.

Which ones, and why, is in docs/performance.md.
"""
from mindspore import Tensor, ops

add, sub, mul = ops.Add(), ops.Sub(), ops.Mul()
matmul = ops.BatchMatMul()
matmul_nt = ops.BatchMatMul(transpose_b=True)   # a b^T
matmul_tn = ops.BatchMatMul(transpose_a=True)   # a^T b
relu, rsqrt, maximum, equal, erf = ops.ReLU(), ops.Rsqrt(), ops.Maximum(), ops.Equal(), ops.Erf()
relu_gradient = ops.auto_generate.ReluGrad()    # (dy, y) -> dy where y > 0, else 0
gather, reshape, transpose, cast = ops.Gather(), ops.Reshape(), ops.Transpose(), ops.Cast()
join_rows, join_channels = ops.Concat(axis=1), ops.Concat(axis=2)
cut = ops.Slice()
sum_of_all, sum_of_rows = ops.ReduceSum(), ops.ReduceSum(keep_dims=True)
zeros_like = ops.ZerosLike()

gradient_of = ops.GradOperation(get_all=True)                   # of a scalar, for every argument
pull_back_of = ops.GradOperation(get_all=True, sens_param=True)  # arguments, then dy -> what flows back to each


def total(x: Tensor) -> Tensor:
    """[task, lines, channel] -> [task, 1, channel]; for small tensors (see `RowConstants` for rows)."""
    return sum_of_rows(x, 1)
