"""What a run needs at least of memory, known from its options alone, so that what cannot be is refused at once."""
import math

from mindspore_maml.cli.memory import refuse_beyond_memory
from mindspore_maml.cli.run_options import Options
from mindspore_maml.devices import device
from mindspore_maml.layers.description import describe
from mindspore_maml.training.checkpoint_file import refuse_too_large

FLOAT = 4   # bytes
OUTER = 4   # sets of weights: themselves, the meta-gradient, and Adam's two moments


def refuse_impossible(options: Options) -> None:
    """Refuse sizes that this machine cannot hold.

    Raises
    ------
    InputError
        With what a batch, or the network, would take at least, and what there is.
    """
    support = options.task_num * options.n_way * options.k_spt
    query = options.task_num * options.n_way * options.k_qry
    pixels = options.imgc * options.imgsz ** 2
    refuse_beyond_memory(FLOAT * (support + query) * pixels,
                         f"{options.task_num} tasks of {options.n_way} classes with {options.k_spt} support and "
                         f"{options.k_qry} query images",
                         "see --task_num, --n_way, --k_spt, --k_qry and --imgsz")
    layers = [spec for spec in describe(options.network, options.imgc, options.imgsz, options.n_way)
              if spec.parameters]
    weights = sum(math.prod(shape) for spec in layers for shape in spec.parameters.values())
    refuse_beyond_memory(FLOAT * weights * (OUTER + options.task_num),
                         f"the network's {weights} weights, for each of {options.task_num} tasks,",
                         "see the preset's network, and --task_num")
    refuse_too_large(3 * sum(len(spec.parameters) for spec in layers), 3 * FLOAT * weights)   # Adam has two moments
    if device.is_cpu():   # other devices have a memory of their own
        refuse_beyond_memory(FLOAT * support * sum(math.prod(spec.shape_out) for spec in layers),
                             f"what the network makes of {support} support images",
                             "see the preset's network, --task_num, --n_way and --k_spt")
