"""How long the server of demo.py takes to learn five classes, and to answer."""
import time
from typing import Any

import numpy as np

from mindspore_maml.classifier import FewShotClassifier
from mindspore_maml.demo.app import make_app
from mindspore_maml.demo.characters import glyphs
from mindspore_maml.demo.limits import MOST_EXAMPLES
from mindspore_maml.demo.one_thread import OneThread
from mindspore_maml.demo.teacher import Teacher

CLASSES, TIMES = 5, 20


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


def main() -> None:
    in_turn = OneThread()
    app = make_app(Teacher(FewShotClassifier), glyphs(), in_turn)
    client = app.test_client()
    for examples in (1, MOST_EXAMPLES):
        for what, times in zip(("learning", "an answer"), measure(client, examples)):
            print(f"{CLASSES} classes, {examples} examples each: {what} {times[0]:.0f} ms the first time, then "
                  f"{np.median(times[1:]):.0f} (median of {TIMES}), at most {max(times[1:]):.0f}", flush=True)
    in_turn.close()


if __name__ == "__main__":
    main()
