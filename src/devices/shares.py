"""Who works on a batch: this process alone, processes that it forks, or ranks of msrun, each on a share."""
from mindspore import nn

from mindspore_maml.devices import cluster, ranks
from mindspore_maml.devices.batch_share import Shared
from mindspore_maml.devices.forked import Forked
from mindspore_maml.devices.orphans import end_with_launcher


def share_out(meta: nn.Cell, workers: int) -> nn.Cell | Shared:
    """`meta`, its batches shared by as many processes, or by all ranks where msrun started several.

    Call it before this process has run anything on the device: a process forked later cannot run there.

    Parameters
    ----------
    meta : Meta
    workers : int
        Processes of this machine, as `device.set_up_for` returns them.

    Returns
    -------
    Meta or Shared
        To be used as `meta`, or `meta` itself where nothing is shared.

    Raises
    ------
    InputError
        Where not all ranks meet.
    """
    here = Forked(meta, workers) if workers > 1 else meta
    end_with_launcher()   # by a thread, which must not be there before processes are forked
    if cluster.rank_count() == 1:
        return here
    ranks.join()
    return ranks.Ranks(meta)
