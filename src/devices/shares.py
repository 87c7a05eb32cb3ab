"""Who works on a batch: this process alone, or several that it forks, each on a share of the tasks."""
import mindspore as ms

from src.devices import device
from src.devices.batch_share import Alone
from src.devices.forked import Forked


def share_out(meta, workers):
    """`meta`, its batches shared by as many processes.

    Call it before this process has run anything on the device: a process forked later cannot run there.

    Parameters
    ----------
    meta : Meta
    workers : int
        Processes, as `device.set_up_for` returns them.

    Returns
    -------
    Shared
        To be used as `meta`.
    """
    if workers > 1:
        return Forked(meta, workers)
    if ms.get_context("device_target") == "CPU":
        device.use_large_pages()
    return Alone(meta)
