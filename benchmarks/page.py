"""How long the server of demo.py takes to learn five classes, to answer, and to give the page while others hold on.

python -m benchmarks.page
"""
import contextlib
import socket
import threading
import time
import urllib.request
from typing import Any

import numpy as np

from mindspore_maml.classifier import FewShotClassifier
from mindspore_maml.demo.app import make_app
from mindspore_maml.demo.characters import glyphs
from mindspore_maml.demo.limits import MOST_EXAMPLES
from mindspore_maml.demo.one_thread import OneThread
from mindspore_maml.demo.server import serve_behind
from mindspore_maml.demo.teacher import Teacher

CLASSES, TIMES = 5, 20
HOLDING = {"no other connection": (0, 0), "200 silent ones": (200, 0), "120 that send a byte a second": (0, 120),
           "1,000 silent ones and 120 that send a byte a second": (1000, 120)}


def timed(client: Any, path: str, body: dict) -> tuple[float, dict]:
    """Milliseconds of a whole request, and its answer."""
    start = time.perf_counter()
    answer = client.post(path, json=body).json
    return 1000 * (time.perf_counter() - start), answer


def measure(client: Any, examples: int) -> tuple[list[float], list[float]]:
    """Milliseconds of learning and of an answer, for the first time and `TIMES` times more."""
    learning, answers = [], []
    for _ in range(1 + TIMES):
        drawn = client.get(f"/api/characters?classes={CLASSES}&examples={examples}").json["classes"]
        duration, learned = timed(client, "/api/learn", {"classes": [each["examples"] for each in drawn]})
        learning.append(duration)
        answers.append(timed(client, "/api/answer", {"name": learned["name"], "image": drawn[0]["others"][0]})[0])
    return learning, answers


def drip(connections: list[socket.socket], ended: threading.Event) -> None:
    """Send a byte of a request's head over each connection, every second."""
    while not ended.wait(1):
        for connection in connections:
            with contextlib.suppress(OSError):   # the server has closed it
                connection.send(b"G")


def page_beside(port: int, silent: int, dripping: int) -> float:
    """Seconds until the page has come, while so many other connections are held."""
    ended = threading.Event()
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(silent + dripping)]
        threading.Thread(target=drip, args=(held[silent:], ended), daemon=True).start()
        stack.callback(ended.set)
        time.sleep(2)
        start = time.perf_counter()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=120) as response:
            response.read()
        return time.perf_counter() - start


def main() -> None:
    in_turn = OneThread()
    app = make_app(Teacher(FewShotClassifier), glyphs(), in_turn)
    with socket.create_server(("127.0.0.1", 0)) as server:
        serve_behind(app, server)
        for beside, numbers in HOLDING.items():
            seconds = page_beside(server.getsockname()[1], *numbers)
            print(f"the page beside {beside}: {1000 * seconds:.0f} ms", flush=True)
    client = app.test_client()
    for examples in (1, MOST_EXAMPLES):
        for what, times in zip(("learning", "an answer"), measure(client, examples)):
            print(f"{CLASSES} classes, {examples} examples each: {what} {times[0]:.0f} ms the first time, then "
                  f"{np.median(times[1:]):.0f} (median of {TIMES}), at most {max(times[1:]):.0f}", flush=True)
    in_turn.close()


if __name__ == "__main__":
    main()
