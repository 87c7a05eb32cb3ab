"""Kill a process inside its saves, again and again: what is there is whole, in every bit, and nothing is lost.

    python -m tests.stress.saves [--kills 100] [--seed 1]

The process does nothing else than write checkpoints, remove the older ones, and, each tenth time, move the folder
aside and begin another, so that the kills fall into just that.
"""
import argparse
import os
import random
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from mindspore_maml.training import checkpoint, checkpoint_file, saving
from mindspore_maml.training.run_folder import _move_aside, _sweep

KEEP, SIZE, MOVED_EVERY = 3, 50_000, 10


def content(epoch):
    """The weights saved after `epoch`: other numbers for each."""
    return {"net.0.weight": np.random.default_rng(epoch).normal(size=SIZE).astype(np.float32)}


def save_for_ever(folder, epoch):
    """What the killed process does."""
    while True:
        if epoch % MOVED_EVERY == 0 and folder.is_dir() and checkpoint.numbered(folder):
            _move_aside(folder)
        epoch += 1
        folder.mkdir(exist_ok=True)
        path, episodes = folder / checkpoint.FILE_NAME.format(epoch), {"seed": 1, "drawn": epoch}
        saving.write(path, content(epoch), epoch, {}, episodes)
        saving.prune(folder, KEEP)


def killed(folder, epoch, after):
    """Start that in a process and kill it `after` seconds."""
    process = os.fork()
    if not process:
        try:
            save_for_ever(folder, epoch)
        finally:
            os._exit(1)   # reached by an error alone
    time.sleep(after)
    os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    assert os.WTERMSIG(status) == signal.SIGKILL, status


def look(place, folder):
    """Check all that is there; returns the last epoch."""
    found = {}
    for path in place.rglob("*.ckpt"):
        if not path.name.startswith("."):
            it = checkpoint.load(path)
            assert path.name == checkpoint.FILE_NAME.format(it.epoch)
            assert it.episodes == {"seed": 1, "drawn": it.epoch}
            expected = content(it.epoch)
            assert {name: value.tobytes() for name, value in it.tensors.items()} == {
                name: value.tobytes() for name, value in expected.items()}
            found[it.epoch] = path.parent
    last = max(found, default=0)
    for epoch in range(MOVED_EVERY, last + 1, MOVED_EVERY):   # of each folder that was moved aside, its last epochs
        assert all(epoch - older in found for older in range(KEEP)), (epoch, sorted(found))
    assert len([epoch for epoch, where in found.items() if where == folder]) <= KEEP + 1
    return last


def attack(kills, seed):
    """Kill `kills` times; returns what was seen, a Counter."""
    draws, seen, last = random.Random(seed), Counter(), 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        for _ in range(kills):
            killed(folder, last, draws.uniform(0.002, 0.08))
            now = look(Path(place), folder)
            assert now >= last, (now, last)
            seen["kills"] += 1
            seen["half-written files"] += len(list(Path(place).rglob(".maml-*")))
            last = now
            if folder.is_dir():
                _sweep(folder)
        assert not list(Path(place).rglob(".maml-*"))
        seen["checkpoints"] = last
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    assert checkpoint_file.LARGEST_FILE > SIZE
    seen = attack(options.kills, options.seed)
    print(f"{seen['kills']} kills inside saves: {seen['checkpoints']} checkpoints were written, those that stay are "
          f"equal in every bit; {seen['half-written files']} half-written files were left and removed")


if __name__ == "__main__":
    main()
