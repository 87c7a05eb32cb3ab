"""Ranks: processes that msrun starts on one machine or several, each with a share of the tasks; AllReduce adds up."""
import json
from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.communication import GlobalComm, init

from mindspore_maml.cli.errors import InputError
from mindspore_maml.devices import cluster
from mindspore_maml.devices.batch_share import Call, LostProcessError, Shared, contribution, shares_of
from mindspore_maml.devices.device import silenced

ROOM = 1 << 14   # bytes for what the ranks must agree on, or for one line about it


class SumOverRanks(nn.Cell):
    """The sum of a tensor over all ranks, on each of them."""

    def __init__(self):
        super().__init__()
        self.all_reduce = ops.AllReduce()

    def construct(self, value: Tensor) -> Tensor:
        """[number] float32 -> the same."""
        return self.all_reduce(value)


class Ranks(Shared):
    """All ranks, of which this process is one; each calls the same methods with the whole batch.

    Parameters
    ----------
    meta : Meta
        Finds what this rank's share adds to the batch.
    """

    def __init__(self, meta: nn.Cell):
        super().__init__(meta)
        self.sum_over_ranks = SumOverRanks()

    def total(self, call: Call, batch: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The sum of all ranks' contributions, by one AllReduce of one tensor."""
        mine = shares_of(len(batch[0]), cluster.rank_count())[cluster.rank()]
        values = contribution(self.meta, call, mine.of(batch), mine)
        flat = np.concatenate([value.ravel().astype(np.float32) for value in values])
        summed = np.split(self.sum_of_all(flat), np.cumsum([value.size for value in values])[:-1])
        return [part.reshape(value.shape).astype(value.dtype) for part, value in zip(summed, values)]

    def sum_of_all(self, flat: np.ndarray) -> np.ndarray:
        """The sum over all ranks of a flat array, float32."""
        try:
            return self.sum_over_ranks(Tensor(flat)).asnumpy()
        except RuntimeError as error:   # MindSpore notices after half a minute without a sign of life
            said = next((line for line in str(error).splitlines() if any(map(str.isalpha, line))), "")
            raise LostProcessError(f"rank {cluster.rank()}: another of the {cluster.rank_count()} ranks is gone "
                                   f"({said.strip()})") from None


def join() -> None:
    """Meet the other ranks.

    Raises
    ------
    InputError
        Where not all of them come in the time that msrun was given.
    """
    if GlobalComm.INITED:
        return
    try:
        with silenced():
            init()
    except RuntimeError:
        raise InputError(f"rank {cluster.rank()}: the {cluster.rank_count()} ranks did not all meet in time; expected "
                         f"the launcher to be started on every machine, with the same NODES and MASTER") from None


def check_agreement(facts: dict[str, str]) -> None:
    """Refuse to go on where a rank differs from rank 0.

    Parameters
    ----------
    facts : dict of str
        By name, what must be the same on all ranks.

    Raises
    ------
    InputError
        On every rank, naming one that differs and the first fact in which it does.
    """
    sums, count = SumOverRanks(), cluster.rank_count()
    first = json.loads(_told_by(0, json.dumps(facts), sums))
    differing = next((f"rank {cluster.rank()} has {name} {value}, rank 0 has {first.get(name)}; expected the same"
                      for name, value in facts.items() if first.get(name) != value), "")
    flags = np.zeros(count, np.float32)
    flags[cluster.rank()] = bool(differing)
    differs = np.flatnonzero(sums(Tensor(flags)).asnumpy())
    if len(differs):
        raise InputError(_told_by(differs[0], differing, sums))


def _told_by(speaker, text, sums):
    """On every rank the text of rank number `speaker`."""
    numbers = np.zeros(ROOM, np.float32)
    if cluster.rank() == speaker:
        spoken = np.frombuffer(text.encode(), np.uint8)[:ROOM]
        numbers[:len(spoken)] = spoken
    return bytes(sums(Tensor(numbers)).asnumpy().astype(np.uint8)).rstrip(b"\0").decode(errors="replace")
