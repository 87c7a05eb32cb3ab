"""A rank ends where its launcher is gone, however that ended: nobody would tell it that another rank is lost."""
import functools
import os
import signal
import threading
import time

from mindspore_maml.devices import cluster

TO_START = 15   # seconds that msrun may take to start all ranks and leave them to the launcher
TO_SAVE = 40    # seconds that the first rank may take to finish its epoch and save it; the others have to help
EVERY = 1       # second


@functools.cache
def end_with_launcher() -> None:
    """Watch from a thread of its own; nothing to do where no launcher started this process."""
    if launcher := cluster.launcher():
        threading.Thread(target=_watch, args=(launcher,), daemon=True).start()


def _watch(launcher):
    deadline = time.monotonic() + TO_START
    while os.getppid() != launcher and time.monotonic() < deadline:
        time.sleep(EVERY)   # msrun is the parent until it ends
    while os.getppid() == launcher:
        time.sleep(EVERY)
    if cluster.is_first() and not cluster.is_scheduler():
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(TO_SAVE)
    os.kill(os.getpid(), signal.SIGKILL)
