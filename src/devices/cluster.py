"""Which of several ranks this process is: what msrun tells the processes that it starts."""
import os


def rank() -> int:
    """This process's number, from 0; 0 where it runs alone."""
    return int(os.environ["RANK_ID"]) if _is_started_by_msrun() else 0


def rank_count() -> int:
    """How many ranks share each batch; 1 for a process that runs alone."""
    return int(os.environ["MS_WORKER_NUM"]) if _is_started_by_msrun() else 1


def local_rank() -> int:
    """Its number among the ranks of this machine, which is that of its device."""
    return int(os.environ["DEVICE_ID"]) if _is_started_by_msrun() else 0


def local_rank_count() -> int:
    """How many ranks share this machine; `launch.py` says it."""
    return int(os.environ.get("MAML_LOCAL_RANKS", "1")) if _is_started_by_msrun() else 1


def is_first() -> bool:
    """Whether it is this process that prints and writes for all."""
    return rank() == 0


def is_scheduler() -> bool:
    """Whether msrun started this process for the ranks to find each other, not to compute."""
    return os.environ.get("MS_ROLE") == "MS_SCHED"


def launcher() -> int:
    """The process of `launch.py` that this one belongs to; 0 where there is none."""
    return int(os.environ.get("MAML_LAUNCHER", "0")) if _is_started_by_msrun() or is_scheduler() else 0


def _is_started_by_msrun():
    return os.environ.get("MS_ROLE") == "MS_WORKER"
