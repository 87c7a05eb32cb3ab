"""The one place that chooses the device, the mode and the number of threads MindSpore runs with."""
import contextlib
import math
import os
from collections.abc import Iterable, Iterator
from types import SimpleNamespace

import mindspore as ms
from mindspore.communication import init

from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.run_options import Options
from mindspore_maml.devices import cluster, missing
from mindspore_maml.devices.orphans import end_with_launcher

ACCELERATORS = ("Ascend", "GPU")
IMAGES_AT_ONCE = 60   # query images a thread; more take more memory, and no less time (docs/performance.md)
TASKS_EACH = 2   # with fewer tasks for each, starting kernels is nearly all that a process does (docs/performance.md)
_running = SimpleNamespace(threads=0, target=None)   # what `set_up` set; MindSpore does not tell


def set_up_for(options: Options) -> int:
    """Make MindSpore run as a program's options say.

    Returns
    -------
    int
        How many processes of this machine are to share its tasks (see `shares.py`); of a rank, itself alone.

    Raises
    ------
    InputError
        As `set_up` does, where processes are to share a rank's tasks or another device than the CPU, and where there
        are more ranks than tasks.
    """
    ranks = cluster.rank_count()
    if options.task_num < ranks:
        raise InputError(f"--task_num {options.task_num} on {ranks} ranks; expected a task for each")
    if options.workers > 1 and ranks > 1:
        raise InputError(f"--workers {options.workers} on {ranks} ranks: a rank's tasks are not shared once more; "
                         f"expected 0 or 1, and a rank for each core")
    device_id = options.device_id + cluster.local_rank()   # msrun's ranks of a machine have devices side by side
    target = _choose(options.device_target, device_id)
    if target != "CPU" and options.workers > 1:
        raise InputError(f"--workers {options.workers} on {target}: only the CPU's cores can be shared out; "
                         f"expected 0 or 1")
    if target == "CPU" and ranks > 1:   # products take as many threads as they see cores
        bind(share_of_cores(cluster.local_rank(), cluster.local_rank_count()))
    count = _worth_starting(options) if target == "CPU" and ranks == 1 else 1
    set_up(target, device_id, options.mode, threads=getattr(options, "threads", 0) or max(1, _cores() // count))
    return count


def _worth_starting(options):
    """As many processes as asked for, else one a core, if each has enough to do.

    Operation by operation it is one, which is what a debugger sees.
    """
    at_most = _cores() if options.mode == "graph" else 1
    return min(options.workers, options.task_num) or max(1, min(at_most, options.task_num // TASKS_EACH))


def set_up(device_target: str = "auto", device_id: int = 0, mode: str = "graph", threads: int = 0) -> str:
    """Make MindSpore run on a device; return the name of the device chosen.

    Where msrun started this process for its ranks to meet, it does that and does not return: ranks that look for it
    before it is there wait long.

    Parameters
    ----------
    device_target : str
        "auto" (an Ascend or GPU that MindSpore sees, else the CPU), "CPU", "GPU" or "Ascend".
    device_id : int
        Which of several devices of that kind; the CPU has only one and ignores it.
    mode : str
        "graph" (compiled) or "pynative" (operation by operation).
    threads : int
        What an operation on the CPU may use; 0: one a core. MindSpore's own choice is 25, whatever cores there are.

    Raises
    ------
    InputError
        Where MindSpore sees no such device.
    """
    if cluster.is_scheduler():
        end_with_launcher()
        ms.set_device("CPU")
        init()   # until all ranks have ended
        raise SystemExit(0)
    target = _choose(device_target, device_id)
    if target == "CPU":
        ms.set_device("CPU")
        threads = threads or _cores()
        with contextlib.suppress(RuntimeError):   # MindSpore takes the number only once in a process
            ms.device_context.cpu.op_tuning.threads_num(threads)
            _running.threads = threads
    else:
        ms.set_device(target, device_id)
    ms.set_context(mode=ms.GRAPH_MODE if mode == "graph" else ms.PYNATIVE_MODE)
    _running.target = target
    return target


def is_cpu() -> bool:
    """Whether MindSpore runs on the CPU."""
    return ms.get_context("device_target") == "CPU"


def set_up_unless_done() -> None:
    """As `set_up` with its defaults, unless it was called before: for use as a library."""
    if _running.target is None:
        set_up()


def tasks_at_once(tasks: int, images: int) -> int:
    """How many tasks' query images to work on at a time, a divisor of `tasks`.

    On the CPU that is few, for their tensors to be small, but two for each thread: with one it would wait.

    Parameters
    ----------
    tasks, images : int
        Tasks there are, and query images of each.
    """
    if not is_cpu():
        return tasks
    threads = _running.threads or _cores()
    fewest, aim = min(2 * threads, tasks), IMAGES_AT_ONCE * threads
    divisors = [count for count in range(fewest, tasks + 1) if tasks % count == 0]
    return min(divisors, key=lambda count: abs(math.log(count * images / aim)))


def _choose(target, device_id):
    """The device itself where `target` is "auto"; refused where MindSpore does not see it."""
    target = _first_present(device_id) if target == "auto" else target
    if target != "CPU" and not _is_present(target, device_id):
        why = "; ".join(missing.reasons(target, device_id)) or "what it needs is there; GLOG_v=2 lets it say why"
        raise InputError(f"--device_target {target} --device_id {device_id}: MindSpore sees no such device here: "
                         f"{why}; use --device_target CPU (launchers: the script whose name ends in _cpu.sh)")
    return target


def _first_present(device_id):
    return next((target for target in ACCELERATORS if _is_present(target, device_id)), "CPU")


def _is_present(target, device_id):
    context = ms.device_context.ascend if target == "Ascend" else ms.device_context.gpu
    with silenced(), contextlib.suppress(RuntimeError, ValueError, AttributeError):
        return context.is_available() and device_id < context.device_count()
    return False


def share_of_cores(number: int, count: int) -> list[int]:
    """The cores for one of `count` processes, where these share what this process may use; at least one."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[number % len(cores)::count]


def bind(cores: Iterable[int]) -> None:
    """Let all threads of this process run on `cores` only."""
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):   # it has ended meanwhile
            os.sched_setaffinity(int(thread), cores)


def give_way() -> None:
    """Let no thread that this one starts from now on interrupt another by waking up; nor this one itself."""
    with contextlib.suppress(OSError):   # not every sandbox allows it
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _cores():
    """The cores this process may use."""
    return len(os.sched_getaffinity(0))


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Drop what native code writes to standard error: MindSpore reports a missing driver there by itself."""
    saved, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)
