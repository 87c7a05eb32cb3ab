"""The one place that chooses the device, the mode and the number of threads MindSpore runs with."""
import contextlib
import ctypes
import math
import mmap
import os
from argparse import Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import mindspore as ms

from mindspore_maml.cli.errors import InputError
from mindspore_maml.devices import cluster, missing, scheduler

ACCELERATORS = ("Ascend", "GPU")
POOL = 1 << 30   # bytes; the smallest mapping that MindSpore takes tensors from
LARGE_PAGE = 2 << 20
COLLAPSE = 25   # madvise's MADV_COLLAPSE, which Python has no name for
IMAGES_AT_ONCE = 60   # query images a thread; more take more memory, and no less time (docs/performance.md)
TASKS_EACH = 2   # with fewer tasks for each, starting kernels is nearly all that a process does (docs/performance.md)
_running = SimpleNamespace(threads=0, target=None)   # what `set_up` set; MindSpore does not tell


def set_up_for(options: Namespace) -> int:
    """Make MindSpore run as a program's options say.

    Returns
    -------
    int
        How many processes of this machine, or of this rank, are to share its tasks (see `shares.py`).

    Raises
    ------
    InputError
        As `set_up` does, where processes are to share another device than the CPU, and where there are more ranks
        than tasks.
    """
    if options.task_num < cluster.rank_count():
        raise InputError(f"--task_num {options.task_num} on {cluster.rank_count()} ranks; expected a task for each")
    device_id = options.device_id + cluster.local_rank()   # msrun's ranks of a machine have devices side by side
    target = _choose(options.device_target, device_id)
    if target != "CPU" and options.workers > 1:
        raise InputError(f"--workers {options.workers} on {target}: only the CPU's cores can be shared out; "
                         f"expected 0 or 1")
    if target == "CPU" and cluster.rank_count() > 1:   # products take as many threads as they see cores
        bind(share_of_cores(cluster.local_rank(), cluster.local_rank_count()))
    count = _worth_starting(options) if target == "CPU" else 1
    set_up(target, device_id, options.mode, threads=getattr(options, "threads", 0) or max(1, _cores() // count))
    return count


def _worth_starting(options):
    """As many processes for this rank's tasks as asked for, else one a core, if each has enough to do.

    Operation by operation it is one, which is what a debugger sees.
    """
    at_most, tasks = _cores() if options.mode == "graph" else 1, math.ceil(options.task_num / cluster.rank_count())
    return min(options.workers, tasks) or max(1, min(at_most, tasks // TASKS_EACH))


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
        scheduler.serve()
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


def use_large_pages() -> None:
    """Ask for large pages for MindSpore's tensors on the CPU: fewer faults and less translation of addresses.

    MindSpore cuts all tensors out of mappings of a gigabyte, the first of which the first operation makes. Where
    the system has no such pages, nothing changes.
    """
    ms.ops.ReLU()(ms.Tensor([0.0], ms.float32)).asnumpy()
    _advise(POOL, math.inf, mmap.MADV_HUGEPAGE)


def use_large_pages_for_graphs() -> None:
    """Put what compiling has left, graphs and kernels, into large pages at once, where the system can (Linux 6.1)."""
    _advise(LARGE_PAGE, POOL, mmap.MADV_HUGEPAGE, COLLAPSE)


def _advise(smallest, below, *advices):
    """Tell the system how this process uses its mappings of at least `smallest` bytes and less than `below`."""
    madvise = ctypes.CDLL(None).madvise
    for start, end in _mappings():
        if smallest <= end - start < below:
            for advice in advices:
                madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), advice)


def _mappings():
    """Where this process holds memory of its own to write to, outside files: pairs of addresses."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    return [tuple(int(end, 16) for end in line[0].split("-")) for line in lines
            if "w" in line[1] and (len(line) == 5 or line[5] == "[heap]")]


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


@contextlib.contextmanager
def threads_in_turn() -> Iterator[None]:
    """Let threads that start meanwhile share a core with this one, and run only while it waits; then all as before."""
    cores, policy = os.sched_getaffinity(0), os.sched_getscheduler(0)
    os.sched_setaffinity(0, {min(cores)})
    give_way()
    try:
        yield
    finally:
        bind(cores)
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError):
                os.sched_setscheduler(int(thread), policy, os.sched_param(0))


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
