"""Workers: the tasks of a batch shared out to processes on the CPU, each running its share on a core of its own.

Tasks need nothing of each other before their gradients are summed. So one process a core, each with short kernels on
its own share, is faster than one process that starts every kernel on all cores and waits for the slowest.
"""
import contextlib
import gc
import math
import mmap
import os
import signal
import tempfile
from dataclasses import dataclass, replace
from multiprocessing import util

import mindspore as ms
import mindspore.multiprocessing as processes  # with what MindSpore needs around a fork
import numpy as np
from mindspore import Tensor

from src.cli.errors import InputError
from src.devices import device
from src.training.interruption import SIGNALS

ALIGNMENT = 64   # bytes; where an array in the shared memory may begin
REHEARSED = 700  # images of a share; beyond, graphs are little of a process's memory, and a rehearsal takes long


def share_out(meta, count):
    """`meta`, its batches shared by `count` processes, or `meta` itself where that is one.

    Call it before this process has run anything on the device: a process forked later cannot run there.
    """
    if count > 1:
        return Workers(meta, count)
    if ms.get_context("device_target") == "CPU":
        device.use_large_pages()
    return meta


@dataclass(frozen=True)
class Request:
    """A method of `Meta`, asked for a share of the tasks.

    Attributes
    ----------
    layout : list
        Where in the shared memory the parameters and the batch are.
    share : slice
        Of the tasks.
    epoch : int
    method : str
    arguments : tuple of int
        Those that follow the batch: numbers of steps.
    graphs : str
        Folder to write compiled graphs to, and to read those from that are there; empty: neither.
    """

    layout: list
    share: slice
    epoch: int
    method: str
    arguments: tuple
    graphs: str = ""


class Workers:
    """As `Meta`: a batch in, its losses, accuracies, predictions or gradients out.

    Parameters
    ----------
    meta : Meta
        Holds the parameters and, in every process, the compiled graphs.
    count : int
        Processes.
    """

    def __init__(self, meta, count):
        self.meta, self.options = meta, meta.options
        self.memory = SharedArrays()
        self.connections = []
        gc.freeze()   # what is there now stays: no collector walks through it, or copies its pages, in any process
        for number in range(count):
            self._start(number, count)
        self.rehearser = self._start(0, count), self.connections.pop()
        util.Finalize(None, _close, args=(self.connections,), exitpriority=1)

    def _start(self, number, count):
        cores = sorted(os.sched_getaffinity(0))
        ours, theirs = processes.Pipe()
        self.connections.append(ours)
        process = processes.Process(target=_serve, daemon=True, args=(
            self.meta, theirs, self.memory, cores[number % len(cores)::count], list(self.connections)))
        process.start()
        theirs.close()
        return process

    @property
    def epoch(self):
        """Meta-steps done; whoever trains sets it."""
        return self.meta.epoch

    @epoch.setter
    def epoch(self, value):
        self.meta.epoch = value

    def meta_gradient(self, *batch):
        """As `Meta.meta_gradient`."""
        answers, shares = self._ask("meta_gradient", batch)
        losses, accuracies, gradients = zip(*answers)
        of_gradients = shares if self.options.meta_loss == "mean" else np.ones_like(shares)
        return _weighted(shares, losses), _weighted(shares, accuracies), \
            tuple(_weighted(of_gradients, parts) for parts in zip(*gradients))

    def evaluate(self, *batch):
        """As `Meta.evaluate`."""
        steps = self.options.update_step_test
        return next(self.walk(*batch, steps, first=steps))

    def walk(self, *batch_and_steps, first=0):
        """As `Meta.walk`."""
        *batch, steps = batch_and_steps
        answers, shares = self._ask("walk", batch, steps, first)
        for judged in zip(*answers):
            losses, accuracies, predictions = zip(*judged)
            yield _weighted(shares, losses), Tensor(np.concatenate(accuracies)), Tensor(np.concatenate(predictions))

    def _ask(self, method, batch, *arguments):
        """Every worker's answer for its share of the batch, and the size of each share as a part of the whole."""
        values = [parameter.asnumpy() for parameter in self.meta.get_parameters()]
        self.memory.write([*values, *map(np.asarray, batch)])
        tasks = len(batch[0])
        bounds = np.linspace(0, tasks, min(len(self.connections), tasks) + 1).astype(int)
        sizes = np.diff(bounds)
        requests = [Request(self.memory.layout, slice(start, stop), self.epoch, method, arguments)
                    for start, stop in zip(bounds, bounds[1:])]
        with self._rehearsed(requests, sizes * (batch[0].shape[1] + batch[2].shape[1])) as requests:
            answers = self._answers(requests)
        return answers, sizes / tasks

    @contextlib.contextmanager
    def _rehearsed(self, requests, images):
        """The requests, where they are the first ones after their graphs are compiled by a process of its own.

        What compiling leaves behind ends with that process. The workers find these graphs by their number, in the
        order of compiling. So this is for the first batch alone, and for one of which all get as many `images`.
        """
        if not self.rehearser:
            yield requests
            return
        (process, connection), self.rehearser = self.rehearser, None
        with tempfile.TemporaryDirectory(prefix="graphs-") as folder:
            if len(images) == len(self.connections) and len(set(images)) == 1 and images[0] <= REHEARSED:
                shared = [replace(request, graphs=folder) for request in requests]
                with contextlib.suppress(EOFError, ConnectionError):
                    [answer] = _exchange([connection], shared[:1])
                    requests = requests if isinstance(answer, Exception) else shared
            connection.close()
            process.join()
            yield requests

    def _answers(self, requests):
        try:
            answers = _exchange(self.connections, requests)
        except (EOFError, ConnectionError):
            raise InputError(f"--workers {len(self.connections)}: one of these processes was killed; expected enough "
                             f"memory for all (try fewer)") from None
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers


def _exchange(connections, requests):
    """The answers to as many requests, in their order."""
    for connection, request in zip(connections, requests):
        connection.send(request)
    return [connection.recv() for connection in connections[:len(requests)]]


class SharedArrays:
    """Arrays that one process writes and those forked from it read."""

    def __init__(self):
        self.file = os.memfd_create("episodes")
        self.bytes, self.layout = None, []

    def write(self, arrays):
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

    def read(self, layout):
        """The arrays of a layout, as they are there: the next `write` changes them."""
        self.layout, size = layout, os.fstat(self.file).st_size
        if self.bytes is None or size > len(self.bytes):
            self.bytes = mmap.mmap(self.file, size)
        return self._views()

    def _views(self):
        return [np.ndarray(shape, dtype, self.bytes, offset) for shape, dtype, offset in self.layout]


def _serve(meta, connection, memory, cores, others):
    """A worker's life: answer until nobody asks any more."""
    for number in SIGNALS:                         # they may reach all processes; the first one decides
        signal.signal(number, signal.SIG_IGN)
    for other in others:
        other.close()                              # or the end of the asking process would not be noticed
    everywhere = os.sched_getaffinity(0)
    _move(cores)                                   # products take as many threads as they see cores at first
    _give_way()
    device.use_large_pages()
    try:
        while True:
            request = connection.recv()
            os.environ["MS_COMPILER_CACHE_ENABLE"] = str(int(bool(request.graphs)))   # read whenever it compiles
            os.environ["MS_COMPILER_CACHE_PATH"] = request.graphs
            connection.send(_answer_to(meta, request, memory.read(request.layout)))
            if everywhere:
                _move(everywhere)                  # from here on the system may find a core that is free
                everywhere = None
    except (EOFError, ConnectionError):
        os._exit(0)                                # the interpreter's farewell belongs to the first process


def _close(connections):
    """Nobody asks any more: the workers end."""
    for connection in connections:
        connection.close()


def _answer_to(meta, request, arrays):
    parameters = list(meta.get_parameters())
    for parameter, value in zip(parameters, arrays):
        parameter.set_data(Tensor(value))
    meta.epoch, batch = request.epoch, [array[request.share] for array in arrays[len(parameters):]]
    try:
        answer = meta.walk(*batch, *request.arguments) if request.method == "walk" else meta.meta_gradient(*batch)
        return _as_arrays(list(answer))
    except Exception as error:   # whatever it is, the asking process shall raise it
        return error


def _as_arrays(value):
    return tuple(map(_as_arrays, value)) if isinstance(value, (tuple, list)) else np.array(value.asnumpy())


def _move(cores):
    """Let all threads of this process run on `cores` only."""
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), cores)


def _give_way():
    """Let no thread of this process interrupt another by waking up.

    MindSpore wakes the calling thread while it holds a lock that this thread spins on: on a busy core, it would spin
    for as long as its turn lasts.
    """
    with contextlib.suppress(OSError):             # not every sandbox allows it
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _weighted(weights, values):
    return Tensor(sum(weight * value for weight, value in zip(weights, values)).astype(np.float32))
