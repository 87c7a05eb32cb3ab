"""Send each program one signal at a random moment: it ends in time, with the signal's status, and leaves no process.

    python -m tests.stress.signals --data_path D [--signals 60] [--seed 1]
"""
import argparse
import contextlib
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.ranks import free_port
from tests.own_images import write_folders
from tests.stress.programs import COMPILED_SOON, ROOT, SMALL, command, training

IN_TIME = 10   # seconds
STATUSES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
SLOW = ("--preset", "modelzoo", "--task_num", 4)   # its first step compiles for seconds


def programs(data, folder, checkpoint):
    """Command lines by name; each runs longer than it is let."""
    support = folder / "support"
    tested = ("--data_path", data, "--ckpt", checkpoint, "--test_batches", 10**5)
    taught = ("--ckpt", checkpoint, "--support", support)
    trained = ("--data_path", data, "--output_dir", folder / "out", "--overwrite")
    return {
        "evaluation": command("eval.py", *tested, *SMALL),
        "evaluation, 2 workers": command("eval.py", *tested, "--workers", 2, "--task_num", 4, "--k_qry", 1),
        "training": training(data, folder / "out", *COMPILED_SOON, "--overwrite", "--save_every", 10),
        "training, 2 workers": command("omniglot_train.py", *trained, *SLOW, "--workers", 2),
        "prediction": command("predict.py", *taught, "--query", support, "--csv", folder / "it.csv"),
        "export": command("export.py", *taught, "--file_format", "ONNX", "--file_name", folder / "it"),
        "page": command("demo.py", "--ckpt", checkpoint, "--port", 0),
        "data": command("src/data_preprocess.py", "--data_path", folder / "drawn", "--glyphs"),
        "training, 2 ranks": command("src/devices/launch.py", 2, ROOT / "omniglot_train.py", *trained, *SLOW,
                                     "--device_target", "CPU"),
    }


def attack(data, signals, seed):
    """Send so many signals; returns what was seen: a Counter, and the longest time that a program took to end.

    Raises
    ------
    AssertionError
        Where a program does not end in time, or with another status, or leaves something.
    """
    draws, seen, longest = random.Random(seed), Counter(), 0.0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_folders(folder / "support", 5, seed=1)
        subprocess.run(training(data, folder / "trained", *COMPILED_SOON, "--epoch", 1), check=True, cwd=ROOT,
                       stdout=subprocess.DEVNULL)
        commands = programs(data, folder, folder / "trained")
        for turn in range(signals):
            name, arguments = list(commands.items())[turn % len(commands)]
            number = draws.choice(list(STATUSES))
            after = draws.uniform(0.5, 12)
            status, took, said = one(arguments, number, after, folder)
            print(f"{name}: {number.name} after {after:.1f} s, ended after {took:.1f} s with {status}", flush=True)
            assert took < IN_TIME, said
            assert status in (STATUSES[number], 0), said   # 0: it was done before
            assert "Traceback" not in said, said
            assert not left_in(folder), left_in(folder)
            seen["ended by the signal" if status else "done before"] += 1
            longest = max(longest, took)
    return seen, longest


def one(arguments, number, after, folder):
    """Its status, the seconds it took to end after the signal, and what it said."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MASTER": f"127.0.0.1:{free_port()}"}
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(arguments, cwd=folder, env=environment | {"STRESS": str(folder)}, stdout=said,
                                   stderr=said)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(after)
        began = time.monotonic()
        process.send_signal(number)
        try:
            status = process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        took = time.monotonic() - began
        said.seek(0)
        return status, took, said.read()


def left_in(folder):
    """Processes that were started from here, and half-written files."""
    marked = [path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if _holds(path, f"STRESS={folder}")]
    return marked + [str(path) for path in folder.rglob(".*-*")]


def _holds(path, text):
    try:
        return text.encode() in path.read_bytes()
    except OSError:
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", required=True)
    parser.add_argument("--signals", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    seen, longest = attack(Path(options.data_path).resolve(), options.signals, options.seed)
    print(f"{seen.total()} signals: {seen['ended by the signal']} programs ended by them, the slowest after "
          f"{longest:.1f} s; {seen['done before']} were done before")


if __name__ == "__main__":
    main()
