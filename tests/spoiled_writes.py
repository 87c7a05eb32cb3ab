"""A program: every kind of write of a training, where the system does not let it; prints what came of each.

    spoiled_writes.py limit|full|gone|readonly:FOLDER:NUMBER,NUMBER ...

limit: no file may have more bytes than NUMBER. full: the disk has NUMBER pages left; FOLDER is on one of its own.
gone: the folder is removed. readonly: the disk is. It stands for itself because a limit holds for all of a process.
"""
import contextlib
import errno
import json
import os
import resource
import shutil
import sys
from pathlib import Path

from checkpoints import EPISODES, RUN, fresh, training_options

from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.messages import show_messages
from mindspore_maml.cli.screen import Log
from mindspore_maml.pictures.curves import PICTURE, RunPicture
from mindspore_maml.training.reporters import Start, reporting
from mindspore_maml.training.run_folder import RunFolder
from mindspore_maml.training.saving import save

RECORD = {"step": 1, "loss": 1.0, "accuracy": 0.5, "milliseconds": 1.0, "learning_rate": 1.0}
PAGE, MANY = 4096, 10_000
CHANGES = {"open", "os.mkdir", "os.rename", "os.remove", "os.truncate"}
_readonly: set[str] = set()
_options, _meta, _optimizer = fresh()


@contextlib.contextmanager
def limit(_folder, size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def full(folder, pages):
    ballast = folder.parent / "ballast"
    with ballast.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(PAGE))
        file.truncate(file.tell() - PAGE * pages)
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def gone(folder, _number):
    shutil.rmtree(folder)
    yield


@contextlib.contextmanager
def readonly(folder, _number):
    _readonly.add(str(folder))
    try:
        yield
    finally:
        _readonly.clear()


def refuse_changes(event, arguments):
    """An audit hook: what changes a read-only folder fails, as it does on such a disk."""
    if not _readonly or event not in CHANGES:
        return
    path, _mode, flags = [*arguments, None, None][:3]
    writes = event != "open" or (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if writes and isinstance(path, (str, Path)) and str(path).startswith(tuple(_readonly)):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))


def config(folder, spoiled):
    with spoiled:
        RunFolder(folder, RUN).write_config(training_options())


def checkpoint(folder, spoiled):
    with spoiled:
        save(folder, 3, net=_meta, optimizer=_optimizer, options=_options, episodes=EPISODES, run=RUN)


def picture(folder, spoiled):
    (folder / "config.yaml").write_text("n_way: 3")
    (folder / "metrics.jsonl").write_text(json.dumps(RECORD) + "\n")
    drawn = RunPicture(folder)
    with spoiled:
        drawn.refresh()


def log(folder, spoiled):
    written = Log(folder / "x.log", ["a program"])
    with spoiled:
        for _ in range(MANY):
            written.write("a line\n")


def metrics(folder, spoiled):
    with reporting(Start(folder, 0, training_options(epoch=10**6))) as tell, spoiled:
        for _ in range(MANY):
            tell("report", RECORD)


SPOILED = {"limit": limit, "full": full, "gone": gone, "readonly": readonly}


def main(*tasks):
    for how, base, numbers in (task.split(":") for task in tasks):
        for kind in (config, checkpoint, picture, log, metrics):
            for number in map(int, numbers.split(",")):
                folder = Path(base) / f"{kind.__name__}-{number}"
                folder.mkdir(parents=True)
                outcome = "whole", ""
                try:
                    kind(folder, SPOILED[how](folder, number))
                except (InputError, OSError) as error:
                    outcome = "refused", str(error)
                if kind is picture and not (folder / PICTURE).exists():
                    outcome = "not drawn", ""
                print("RESULT " + json.dumps([how, str(folder), kind.__name__, *outcome]))


if __name__ == "__main__":
    show_messages()
    sys.addaudithook(refuse_changes)
    main(*sys.argv[1:])
