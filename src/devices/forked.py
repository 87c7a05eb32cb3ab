"""Workers: processes forked from this one that share a batch's tasks on the CPU, each on a core of its own.

One process a core, each with short kernels on its own share, is faster than one process that starts every kernel on
all cores and waits for the slowest.
"""
import ctypes
import gc
import math
import mmap
import os
import pickle
import signal
from collections.abc import Sequence
from multiprocessing import connection, util
from multiprocessing.pool import ExceptionWithTraceback  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any

import mindspore.multiprocessing as processes  # with what MindSpore needs around a fork
import numpy as np
from mindspore import Tensor, nn

from mindspore_maml.cli.signals import SIGNALS
from mindspore_maml.devices import device
from mindspore_maml.devices.batch_share import Call, LostProcessError, Shared, contribution, shares_of
from mindspore_maml.devices.channel import Channel

ALIGNMENT = 64   # bytes; where an array in the shared memory may begin
TO_END = 5   # seconds that a process whose connection is closed may take to end
LOOK_EVERY = 1   # seconds
LONGEST_IDLE = 120    # seconds that a worker may take no processor time at all while an answer is awaited
LONGEST_CALL = 3600   # seconds that an answer may take, compiling included
DIE_WITH_PARENT = 1   # prctl's PR_SET_PDEATHSIG


class Forked(Shared):
    """`count` processes, each with compiled graphs of its own; make it before this process runs on the device."""

    def __init__(self, meta: nn.Cell, count: int):
        super().__init__(meta)
        self.memory = SharedArrays()
        self.channels: list[Channel] = []
        self.processes: list = []
        gc.freeze()   # what is there now stays: no collector walks through it, or copies its pages, in any process
        for number in range(count):
            self._start(number, count)
        util.Finalize(None, _close, args=(self.channels, self.processes), exitpriority=1)

    def _start(self, number, count):
        ours, theirs = Channel.pair()
        self.channels.append(ours)
        process = processes.Process(target=_serve, daemon=True, args=(
            os.getpid(), self.meta, theirs, self.memory, device.share_of_cores(number, count), list(self.channels)))
        process.start()
        theirs.close()
        self.processes.append(process)

    def total(self, call: Call, batch: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The sum of the workers' contributions."""
        self.memory.write([*(parameter.asnumpy() for parameter in self.meta.get_parameters()), *batch])
        shares = shares_of(len(batch[0]), len(self.processes))
        try:
            for channel, share in zip(self.channels, shares):
                channel.send((call, share, self.memory.layout))
            answers = [self._answer_of(number) for number in range(len(shares))]
        except (EOFError, ConnectionError):
            raise self._loss() from None
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return [sum(values[1:], start=values[0]) for values in zip(*answers)]

    def _answer_of(self, number):
        """What worker `number` answers, awaited as long as it works."""
        watch = Watch(self.processes[number].pid)

        def look():
            if complaint := watch.look():
                raise LostProcessError(f"--workers {len(self.processes)}: worker {number + 1} {complaint}; expected "
                                       f"an answer (--workers 1 does without)")
        return self.channels[number].receive(LOOK_EVERY, look)

    def _loss(self):
        """What to say where a worker has ended: which one, and how."""
        ended = connection.wait([process.sentinel for process in self.processes], TO_END)
        for process in self.processes:
            if process.sentinel in ended:
                process.join(TO_END)   # its files are closed a moment before its end can be asked for
        ends = [f"worker {number} {_how_it_ended(process.exitcode)}"
                for number, process in enumerate(self.processes, 1) if process.exitcode is not None]
        return LostProcessError(f"--workers {len(self.processes)}: {', '.join(ends) or 'a worker does not answer'}; "
                                f"expected all to work to the end (where memory ran out, try fewer)")


class Watch:
    """Over a process that is to answer: a busy machine makes it slow, but does not keep it from working at all.

    Times are counted in looks, `LOOK_EVERY` apart, since this process may have been stopped in between.
    """

    def __init__(self, process: int):
        self.stat = Path(f"/proc/{process}/stat")
        self.used: Any = None
        self.idle = self.waited = 0

    def look(self) -> str:
        """What is wrong with the process; empty while nothing is."""
        state, *fields = self.stat.read_text().rpartition(")")[2].split()   # proc(5): from field 3 on
        used = fields[10:12]                                                # processor time of all its threads
        works = used != self.used or state == "D"                           # D: waits for a disk, perhaps for memory
        self.used, self.idle = used, 0 if works else self.idle + LOOK_EVERY
        self.waited += LOOK_EVERY
        if self.idle >= LONGEST_IDLE:
            return f"has not worked for {self.idle:.0f} s" + (", since it is stopped" if state == "T" else "")
        return f"has not answered in {self.waited:.0f} s" if self.waited >= LONGEST_CALL else ""


def _how_it_ended(code):
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


class SharedArrays:
    """Arrays that one process writes and those forked from it read."""

    def __init__(self):
        self.file = os.memfd_create("episodes")
        self.bytes, self.layout = None, []

    def write(self, arrays: Sequence[np.ndarray]) -> None:
        """Put the arrays there, over what was there before; `layout` says where."""
        self.layout, end = [], 0
        for array in arrays:
            self.layout.append((array.shape, array.dtype.str, end))
            end += math.ceil(max(1, array.nbytes) / ALIGNMENT) * ALIGNMENT
        if self.bytes is None or end > len(self.bytes):
            os.ftruncate(self.file, end)
            self.bytes = mmap.mmap(self.file, end)
        for array, place in zip(arrays, self._views()):
            place[...] = array

    def read(self, layout: list) -> list[np.ndarray]:
        """The arrays of a layout, as they are there: the next `write` changes them."""
        self.layout, size = layout, os.fstat(self.file).st_size
        if self.bytes is None or size > len(self.bytes):
            self.bytes = mmap.mmap(self.file, size)
        return self._views()

    def _views(self):
        return [np.ndarray(shape, dtype, self.bytes, offset) for shape, dtype, offset in self.layout]


def _serve(parent, meta, channel, memory, cores, others):
    """A worker's life: answer until nobody asks any more."""
    _die_with(parent)
    for number in SIGNALS:   # they may reach all processes; the first one decides
        signal.signal(number, signal.SIG_IGN)
    for other in others:
        other.close()                              # or the end of the asking process would not be noticed
    everywhere = os.sched_getaffinity(0)
    device.bind(cores)                             # products take as many threads as they see cores at first
    device.give_way()   # MindSpore wakes the calling thread while it holds a lock that this one spins on, for a turn
    try:
        while True:
            call, share, layout = channel.receive()
            channel.send(_answer_to(meta, call, share, memory.read(layout)))
            if everywhere:
                _settle(everywhere)
                everywhere = None
    except (EOFError, ConnectionError):
        os._exit(0)                                # what ends an interpreter belongs to the first process


def _settle(cores):
    """After the first batch: what compiling has left stays, and the system may move this process to a free core."""
    device.bind(cores)
    gc.collect()
    gc.freeze()   # no collector walks through it again


def _die_with(parent):
    """Let the system kill this process when the asking one ends, even where that one is killed itself."""
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:   # it has ended already
        os._exit(0)


def _close(channels, processes):
    """Nobody asks any more, and what the workers may still be at is of no use."""
    for channel in channels:
        channel.close()
    for process in processes:
        process.kill()
    for process in processes:
        process.join(TO_END)


def _answer_to(meta, call, share, arrays):
    parameters = list(meta.get_parameters())
    for parameter, value in zip(parameters, arrays):
        parameter.set_data(Tensor(value))
    try:
        return contribution(meta, call, share.of(arrays[len(parameters):]), share)
    except Exception as error:   # whatever it is, the asking process shall raise it
        return _as_sent(error)


def _as_sent(error):
    """An error in a form that a channel takes, with its traceback; in words alone where it has no such form."""
    sent = ExceptionWithTraceback(error, error.__traceback__)
    try:
        pickle.loads(pickle.dumps(sent))
        return sent
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
