"""What ranks must have in common, for their weights to stay equal without being sent: options, images, weights."""
import hashlib

from mindspore_maml.cli.run_options import Options
from mindspore_maml.data.class_images import Classes, in_a_row
from mindspore_maml.devices import cluster, ranks
from mindspore_maml.meta import Meta

OF_A_RANK = {"data_path", "classes", "ckpt", "pretrained", "output_dir", "json", "csv", "confusion", "device_id",
             "workers", "preset", "given", "operands"}


def check_same_on_all_ranks(options: Options, images: Classes, meta: Meta) -> None:
    """Refuse to go on where ranks differ in what a result depends on; nothing to do for a process that runs alone.

    Parameters
    ----------
    options : Options
        Those that may differ from machine to machine (`OF_A_RANK`) are left out.
    images : ndarray of uint8, or ClassImages
        The characters that episodes are drawn from.
    meta : Meta
        With the weights that the run starts from.

    Raises
    ------
    InputError
        Naming the rank and the option, or the images, or the weights.
    """
    if cluster.rank_count() == 1:
        return
    facts = {f"--{name}": str(value) for name, value in sorted(vars(options).items()) if name not in OF_A_RANK}
    facts["a data set with the digest"] = _digest([in_a_row(images)[0]])
    facts["weights with the digest"] = _digest(parameter.asnumpy() for parameter in meta.get_parameters())
    ranks.check_agreement(facts)


def _digest(arrays):
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()
