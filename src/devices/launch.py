"""Start a program on several ranks with msrun, watch over them, and show what rank 0 prints.

    launch.py DEVICE_NUM PROGRAM [flags of the program]

DEVICE_NUM ranks run on this machine. With several machines it is started on each of them, told by the environment:
NODES, how many; NODE_RANK, which one this is, from 0; MASTER, the first one's address and a free port of it.
MEET_SECONDS is how long they wait for each other at the start (60).
Every rank has a log, in a folder of this launch alone: `rank_logs/DATE-TIME-ABCDEF`. Where one fails, the others end
too, and one line names it.
"""
import contextlib
import ctypes
import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mindspore_maml.cli.atomic_files import make_folder, own_folder
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.program import ALL_DONE, run_program
from mindspore_maml.cli.reading import is_file
from mindspore_maml.cli.screen import split_log_file
from mindspore_maml.cli.signals import INTERRUPTED, answered

LOGS = "rank_logs"
PER_CORE = 4      # ranks at most, and devices: each is a process of several threads
HOST = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9_.:\]-]*")   # a name or an address; never like a flag of msrun
TO_NOTICE = 50    # seconds that the others have to end by themselves; MindSpore misses a rank after about 30
FEW = 64          # ranks that may ask the first machine once a second
TO_CLOSE = 5      # seconds to end where nothing is left to do
BECOME_REAPER = 36   # prctl's PR_SET_CHILD_SUBREAPER: msrun's processes become ours when msrun ends
NOISE = re.compile(rb"\[(INFO|WARNING|ERROR|CRITICAL)\] |-{20}|- C\+\+ Call Stack|mindspore/ccsrc/"   # native logs
                   rb"|" + ALL_DONE.encode() + rb"\n")


@dataclass(frozen=True)
class Place:
    """Where this machine stands among those that take part.

    Attributes
    ----------
    local : int
        Ranks on this machine; as many on each.
    nodes, node_rank : int
        Machines, and which of them this is.
    host, port : str, int
        Where the ranks meet.
    patience : int
        Seconds that they wait for each other.
    """

    local: int
    nodes: int
    node_rank: int
    host: str
    port: int
    patience: int

    @property
    def ranks(self) -> range:
        """The numbers of the ranks on this machine."""
        return range(self.node_rank * self.local, (self.node_rank + 1) * self.local)


def read_place(device_num: str, environment: Mapping[str, str]) -> Place:
    """What DEVICE_NUM and the environment say.

    Raises
    ------
    InputError
        Naming what is no number, or out of range, or where MASTER is missing or its port taken.
    """
    local = _number("DEVICE_NUM", device_num, 1, PER_CORE * len(os.sched_getaffinity(0)))
    nodes = _number("NODES", environment.get("NODES", "1"), 1, 1024)
    node_rank = _number("NODE_RANK", environment.get("NODE_RANK", "0"), 0, nodes - 1)
    master = environment.get("MASTER", "" if nodes > 1 else "127.0.0.1:8118")
    host, _, port = master.rpartition(":")
    if not HOST.fullmatch(host):
        raise InputError(f"MASTER is {master!r}; expected the first machine's address and a free port of it, as in "
                         f"10.0.0.1:8118")
    place = Place(local, nodes, node_rank, host, _number("the port of MASTER", port, 1024, 65535),
                  _number("MEET_SECONDS", environment.get("MEET_SECONDS", "60"), 1, 3600))
    if node_rank == 0:
        _refuse_taken(place.port)
    return place


def _number(name, text, low, high):
    if not re.fullmatch("[0-9]+", text) or not low <= int(text) <= high:
        raise InputError(f"{name} is {text!r}; expected a whole number from {low} to {high}")
    return int(text)


def _refuse_taken(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise InputError(f"MASTER: port {port} cannot be had ({error.strerror}); expected a free one, as in "
                             f"MASTER=127.0.0.1:{port + 1}") from None


def main() -> int:
    _, arguments = split_log_file(sys.argv[1:])   # the log is this program's, not one of each rank
    if len(arguments) < 2:
        raise InputError("expected launch.py DEVICE_NUM PROGRAM [flags of the program]")
    device_num, program, *flags = arguments
    if not is_file(program):
        raise InputError(f"PROGRAM {program}: no such file; expected a program of Python")
    place = read_place(device_num, os.environ)
    logs = own_folder(make_folder(LOGS, "the logs' folder"))
    print(f"ranks {place.ranks[0]} to {place.ranks[-1]} of {place.nodes * place.local} run here, with logs in "
          f"{logs.resolve()}", flush=True)
    ctypes.CDLL(None).prctl(BECOME_REAPER, 1)
    with none_left_behind():
        start(place, program, flags, logs)
        return Watch(place.ranks, logs).until_all_have_ended()


@contextlib.contextmanager
def none_left_behind() -> Iterator[None]:
    """Whatever ends it, a signal while msrun starts the ranks too, no process is left that was started within it."""
    try:
        yield
    finally:
        while children := _children():   # those of a child that ends become this process's
            for child in children:
                _kill(child)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, 0)


def start(place: Place, program: str, flags: Sequence[str], logs: Path) -> None:
    """Let msrun start the ranks, and on the first machine the process through which they meet."""
    folder = Path(sys.executable).parent
    command = [str(folder / "msrun"), f"--worker_num={place.nodes * place.local}", f"--local_worker_num={place.local}",
               f"--master_addr={place.host}", f"--master_port={place.port}", f"--node_rank={place.node_rank}",
               f"--log_dir={logs}", "--worker_log_name=rank", f"--cluster_time_out={place.patience}", "--join=False",
               program, *flags]
    environment = {**_meeting(place.nodes * place.local), **os.environ, "PYTHONUNBUFFERED": "1", "GLOG_v": "3",
                   "PATH": f"{folder}:{os.environ.get('PATH', '')}",   # msrun starts the `python` of the PATH
                   "MAML_LOCAL_RANKS": str(place.local), "MAML_LAUNCHER": str(os.getpid())}
    path = logs / "msrun.log"
    with path.open("wb") as log:
        done = subprocess.run(command, env=environment, stdout=log, stderr=log, check=False)
    if done.returncode:
        raise InputError(f"msrun ended with {done.returncode}; {path} says why")


def _meeting(count):
    """How often ranks ask whether all are there: MindSpore's own 3 to 5 seconds are for thousands of them."""
    return {} if count > FEW else {"MS_RETRY_INTERVAL_LOWER": "1", "MS_RETRY_INTERVAL_UPPER": "1"}


class Watch:
    """Over the processes that msrun left to this one: `ranks`, and perhaps one through which they meet."""

    def __init__(self, ranks: range, logs: Path):
        self.logs = logs
        started = sorted(_children(), key=_start_time)   # msrun starts the ranks last, in their order
        self.running = dict.fromkeys(started) | dict(zip(started[-len(ranks):], ranks))
        self.codes: dict[int, int] = {}
        self.forced: set[int] = set()   # ranks that ended only because this process killed them
        self.interrupted = 0   # the number of the first signal
        self.shown = 0         # bytes of what rank 0 printed
        for number in answered():
            signal.signal(number, self._pass_on)

    def until_all_have_ended(self) -> int:
        """Show what rank 0 prints meanwhile; returns the exit status of the whole."""
        deadline = math.inf
        while self.running:
            self._reap()
            self._show()
            if any(self.codes.values()) or 0 in self.codes:   # that another rank has ended well hurries nobody
                first_is_well = not self.codes.get(0) and not self.interrupted   # it can save, or all is done
                deadline = min(deadline, time.monotonic() + (TO_NOTICE if first_is_well else TO_CLOSE))
            if self.interrupted and 0 in self.codes:   # it has saved what there was to save
                self._kill()
            if time.monotonic() > deadline:
                self._kill()
            time.sleep(0.1)
        self._show()
        return self._conclude()

    def _reap(self):
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                rank = self.running.pop(ended[0], None)
                if rank is not None:
                    self.codes[rank] = self._code_of(rank, os.waitstatus_to_exitcode(ended[1]))

    def _code_of(self, rank, code):
        """A rank's exit code; 0 where it had done all and MindSpore crashed while the process ended."""
        return 0 if code < 0 and ALL_DONE in self._lines_of(rank) else code

    def _show(self):
        """What rank 0 has printed since, whole lines of it."""
        log = self._log_of(0)
        if not log.exists():
            return
        with log.open("rb") as file:
            file.seek(self.shown)
            lines = file.read().splitlines(keepends=True)
        lines = [line for line in lines if line.endswith(b"\n")]
        self.shown += sum(map(len, lines))
        sys.stdout.write(b"".join(line for line in lines if not NOISE.match(line)).decode(errors="replace"))
        sys.stdout.flush()

    def _pass_on(self, number, _frame):
        """Rank 0 decides what a signal means, as a single process would; a second one ends all."""
        process = next((process for process, rank in self.running.items() if rank == 0), None)
        if self.interrupted or process is None:
            self._kill()
        else:
            os.kill(process, number)
        self.interrupted = self.interrupted or number

    def _kill(self):
        for process, rank in self.running.items():
            _kill(process)
            if rank is not None:
                self.forced.add(rank)

    def _conclude(self):
        failed = [rank for rank, code in self.codes.items() if code]   # in the order in which they ended
        failed = [rank for rank in failed if rank not in self.forced] or failed
        if self.interrupted:
            code = self.codes.get(0, -self.interrupted)
            return code if code >= 0 else INTERRUPTED + self.interrupted   # killed before it could answer
        if not failed or (self.codes.get(0) == 0 and self.forced.issuperset(failed)):   # slow to end, with all done
            return 0
        complaints = {rank: self._complaint_of(rank) for rank in {0, *failed}}
        # MindSpore may crash while a process ends that has said what went wrong: then that is the cause
        killed = [rank for rank in failed if self.codes[rank] < 0 and not complaints[rank]]
        rank = (killed or failed)[0]
        if killed:
            print(f"error: rank {rank} was killed by {signal.Signals(-self.codes[rank]).name}; the others were ended, "
                  f"and {self._log_of(rank)} holds what it printed", file=sys.stderr)
        elif complaints[rank] != complaints[0] or not complaints[rank]:
            print(f"error: rank {rank} ended with exit code {self.codes[rank]}: "
                  f"{complaints[rank] or self._log_of(rank)}", file=sys.stderr)
        return 2

    def _log_of(self, rank):
        return self.logs / f"rank_{rank}.log"

    def _complaint_of(self, rank):
        """The last line in which a rank says what went wrong; empty where there is none."""
        return next((line.removeprefix("error: ") for line in reversed(self._lines_of(rank))
                     if line.startswith("error: ")), "")

    def _lines_of(self, rank):
        log = self._log_of(rank)
        return log.read_text(errors="replace").splitlines() if log.exists() else []


def _kill(process):
    """Kill a child, with all that it forked where it leads a group of its own."""
    with contextlib.suppress(ProcessLookupError):
        leads = os.getpgid(process) == process
        (os.killpg if leads else os.kill)(process, signal.SIGKILL)


def _children():
    return [int(number) for task in Path("/proc/self/task").iterdir()
            for number in (task / "children").read_text().split()]


def _start_time(process):
    after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(after_name[19]), process   # field 22 of proc(5), in clock ticks


if __name__ == "__main__":
    run_program(main)
