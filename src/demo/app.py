"""The web application of the page: its requests, and what keeps them within limits."""
import time
from typing import Any

import numpy as np
from flask import Flask, Response, jsonify, render_template, request
from PIL import Image
from werkzeug.exceptions import BadRequest, Gone, HTTPException, ServiceUnavailable, UnsupportedMediaType

from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.reading import parse_json
from mindspore_maml.demo.characters import Characters
from mindspore_maml.demo.limits import (
    FEWEST_CLASSES,
    LONGEST_WAIT,
    MOST_BYTES,
    MOST_CLASSES,
    MOST_EXAMPLES,
    MOST_NAME,
    MOST_PHOTO_BYTES,
)
from mindspore_maml.demo.one_thread import BusyError, OneThread
from mindspore_maml.demo.own_address import names_of, refusing_others
from mindspore_maml.demo.pictures import as_url, image_in, reduced
from mindspore_maml.demo.teacher import ForgottenError, Teacher, seen_by

# Nothing of the page comes from elsewhere, and none of it is code in the text of the page.
POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def make_app(teacher: Teacher, characters: Characters, in_turn: OneThread,
             names: set[str] | None = None) -> Flask:
    """The application.

    Parameters
    ----------
    teacher : Teacher
        Learns and answers; called through `in_turn` alone.
    characters : Characters
        What the page shows by one click.
    in_turn : OneThread
    names : set of str, optional
        Under which it may be asked for, besides addresses in numbers; by default those of this machine.
    """
    looking = OneThread()   # large pictures take memory, and need not wait for what the network does
    app = Flask(__name__, template_folder="page", static_folder="page", static_url_path="/page")
    app.config.update(MAX_CONTENT_LENGTH=MOST_BYTES)
    app.register_error_handler(HTTPException, lambda error: (jsonify(error=error.description), error.code))
    app.register_error_handler(InputError, lambda error: (jsonify(error=str(error)), BadRequest.code))
    app.before_request(refusing_others(names or names_of("localhost")))
    app.after_request(_with_policy)

    @app.get("/")
    def page():
        return render_template("index.html", fewest=FEWEST_CLASSES, most=MOST_CLASSES, examples=MOST_EXAMPLES,
                               photo=MOST_PHOTO_BYTES)

    @app.get("/api/characters")
    def some_characters():
        classes = _number("classes", FEWEST_CLASSES, MOST_CLASSES)
        examples = _number("examples", 1, MOST_EXAMPLES)
        drawn = characters.draw(classes, examples, np.random.default_rng())
        return jsonify(classes=[{"examples": list(map(as_url, some)), "others": list(map(as_url, others))}
                                for some, others in drawn])

    @app.post("/api/picture")
    def picture():
        request.max_content_length = MOST_PHOTO_BYTES
        content = request.get_data()
        small, seen = _waited(looking, _look_at, teacher, content)
        return jsonify(image=as_url(small), seen=as_url(seen))

    @app.post("/api/learn")
    def learn():
        classes = classes_in(_body())
        start = time.monotonic()
        name, model = _waited(in_turn, teacher.learn, classes)
        seen = [list(map(as_url, seen_by(model, model.support_[model.numbers_ == number])))
                for number in range(len(classes))]
        return jsonify(name=name, seen=seen, steps=model.steps_, milliseconds=_since(start))

    @app.post("/api/answer")
    def answer():
        body = _body()
        image = image_in(body.get("image"), "image")
        start = time.monotonic()
        probabilities, none, seen = _waited(in_turn, teacher.answer, str(body.get("name")), image)
        return jsonify(probabilities=probabilities.tolist(), seen=as_url(seen), milliseconds=_since(start),
                       **({} if none is None else {"none": none}))

    @app.post("/api/network")
    def network():
        body = _body()
        names = names_in(body.get("names"))
        return Response(_waited(in_turn, teacher.network, str(body.get("name")), names), mimetype="application/zip")

    return app


def names_in(names: object) -> list[str]:
    """The names of the classes in the body of a request.

    Raises
    ------
    BadRequest
        Where they are too few, too many or too long, or no names.
    """
    if not isinstance(names, list) or not FEWEST_CLASSES <= len(names) <= MOST_CLASSES:
        raise BadRequest(f"names: expected a list of {FEWEST_CLASSES} to {MOST_CLASSES}")
    for number, name in enumerate(names, 1):
        if not isinstance(name, str) or not 1 <= len(name) <= MOST_NAME:
            raise BadRequest(f"name {number}: expected a text of 1 to {MOST_NAME} letters")
    return names


def classes_in(body: dict) -> list[list[Image.Image]]:
    """The images of each class in the body of a request.

    Raises
    ------
    BadRequest
        Where there are too few or too many, or one cannot be read.
    """
    classes = body.get("classes")
    if not isinstance(classes, list) or not FEWEST_CLASSES <= len(classes) <= MOST_CLASSES:
        raise BadRequest(f"classes: expected a list of {FEWEST_CLASSES} to {MOST_CLASSES}")
    for number, images in enumerate(classes, 1):
        if not isinstance(images, list) or not 1 <= len(images) <= MOST_EXAMPLES:
            raise BadRequest(f"class {number}: expected a list of 1 to {MOST_EXAMPLES} images")
    return [[image_in(image, f"class {number}, image {place}") for place, image in enumerate(images, 1)]
            for number, images in enumerate(classes, 1)]


def _body() -> dict[str, Any]:
    """The body of the request, a JSON object; a page of another address cannot send this type unasked."""
    if not request.is_json:
        raise UnsupportedMediaType("expected the type application/json")
    body = parse_json(request.get_data(as_text=True), "body")
    if not isinstance(body, dict):
        raise BadRequest("expected a JSON object")
    return body


def _look_at(teacher, content):
    """An uploaded picture made small, and what the network sees of it."""
    picture = reduced(content)
    return picture, teacher.seen(picture)


def _number(name, low, high):
    number = request.args.get(name, type=int)
    if number is None or not low <= number <= high:
        raise BadRequest(f"{name}: expected a whole number from {low} to {high}")
    return number


def _waited(in_turn, call, *arguments):
    """What the call gives in its turn; the two things that may keep it from that as answers of HTTP."""
    try:
        return in_turn(call, *arguments)
    except ForgottenError:
        raise Gone("these classes are no longer known here; learn them again") from None
    except BusyError:
        raise ServiceUnavailable(f"too many wait, or not done in {LONGEST_WAIT} s; try again") from None


def _since(start):
    return round(1000 * (time.monotonic() - start), 1)


def _with_policy(response: Response) -> Response:
    response.headers.update({"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff",
                             "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"})
    return response
