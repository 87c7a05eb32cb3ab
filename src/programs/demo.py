"""Serve a page to draw on: draw a few examples of each class, let a trained network learn them, draw another.

The network is that of --ckpt; without, one that this project brings along. The page's characters to try by one click
are those of the test alphabets in --data_path; without, built-in ones.
"""
import functools
import importlib.util
import socket
import sys
from typing import Any

import numpy as np

from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import DEMO
from mindspore_maml.cli.run_options import Options
from mindspore_maml.cli.signals import INTERRUPTED, StoppedError, end_at_once
from mindspore_maml.demo.characters import characters_for, glyphs
from mindspore_maml.demo.limits import MOST_EXAMPLES
from mindspore_maml.demo.one_thread import OneThread
from mindspore_maml.demo.teacher import Teacher
from mindspore_maml.devices import device
from mindspore_maml.programs.learning import classifier_for

USUAL_CLASSES = 5   # what the page begins with


def main() -> int:
    options = parse(DEMO, __doc__)
    refuse_missing_packages()
    device.set_up(options.device_target, options.device_id, options.mode)
    serve(options, listening(options.host, options.port))
    return 0


def refuse_missing_packages() -> None:
    """Refuse to go on without the packages that this program alone needs."""
    missing = [name for name in ("flask", "waitress") if not importlib.util.find_spec(name)]
    if missing:
        raise InputError(f"{' and '.join(missing)} not installed; the page needs the extra [demo]: "
                         f"python -m pip install 'mindspore-maml[demo]', in a checkout '.[demo]'")


def listening(host: str, port: int) -> socket.socket:
    """A socket at which to serve.

    Raises
    ------
    InputError
        Where there is no such address here, or the port is taken.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--host {host} --port {port}: cannot serve there ({reason})") from error


def serve(options: Options, server: socket.socket) -> None:
    """Serve the page at a socket until a signal ends the program."""
    from mindspore_maml.demo.app import make_app  # noqa: PLC0415 - refused with a line where packages are missing
    from mindspore_maml.demo.own_address import names_of  # noqa: PLC0415
    from mindspore_maml.demo.server import serve_behind  # noqa: PLC0415

    teacher, in_turn = Teacher(functools.partial(classifier_for, options)), OneThread()
    try:
        trained = in_turn.later(warm_up, teacher, 1).result().options()
        app = make_app(teacher, characters_for(options.data_path, trained), in_turn, names_of(options.host))
        in_turn.later(warm_up_further, in_turn, teacher, 2)
        thread = serve_behind(app, server)
        host, port = server.getsockname()[:2]
        print(f"draw at http://{f'[{host}]' if ':' in host else host}:{port} (Ctrl-C ends this)", flush=True)
        thread.join()
    except StoppedError as stopped:   # nothing is worth waiting for what the other thread compiles or learns
        print("interrupted", file=sys.stderr, flush=True)
        end_at_once(stopped.status - INTERRUPTED)
    finally:
        in_turn.close()


def warm_up(teacher: Teacher, examples: int) -> Any:
    """Compile what five classes with so many examples need; the classifier that did."""
    drawn = glyphs().draw(USUAL_CLASSES, examples, np.random.default_rng(1))
    model = teacher.fitted([images for images, _ in drawn])
    model.predict_proba([drawn[0][1][0]])
    return model


def warm_up_further(in_turn: OneThread, teacher: Teacher, examples: int) -> None:
    """Warm up for as many examples, and then for more, each time behind what was asked for meanwhile."""
    warm_up(teacher, examples)
    if examples < MOST_EXAMPLES:
        in_turn.later(warm_up_further, in_turn, teacher, examples + 1)
