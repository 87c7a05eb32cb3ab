"""demo.py's server: what it learns and answers, and what it refuses, by requests as any program may send them."""
import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
import zipfile
from argparse import Namespace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from own_images import CLASSES, shape, shapes
from PIL import Image

from mindspore_maml.classifier import FewShotClassifier
from mindspore_maml.cli.errors import InputError
from mindspore_maml.data.glyphs import draw_glyphs, drawings_of
from mindspore_maml.data.images import read_image
from mindspore_maml.data_preprocess import load_images
from mindspore_maml.demo import characters, limits
from mindspore_maml.demo.app import make_app
from mindspore_maml.demo.one_thread import BusyError, OneThread
from mindspore_maml.demo.pictures import PREFIX, as_url, image_in
from mindspore_maml.demo.teacher import ForgottenError, Teacher
from mindspore_maml.OmniglotIter import split_classes
from mindspore_maml.programs import demo

ROOT = Path(__file__).resolve().parent.parent
WAYS = 3


@pytest.fixture(scope="module")
def app(trained_path):
    in_turn, teacher = OneThread(), Teacher(lambda: FewShotClassifier(trained_path), most=3)
    in_turn(teacher.fitted, [[shape(name, np.random.default_rng(3))] for name in CLASSES[:WAYS]])
    yield make_app(teacher, characters.glyphs(), in_turn)
    in_turn.close()


def drawn(seed, count=1):
    """So many drawings of each class, as the page sends them."""
    draws = np.random.default_rng(seed)
    return [[as_url(shape(name, draws)) for _ in range(count)] for name in CLASSES[:WAYS]]


EXAMPLES = drawn(1, count=4)


def learn(client, classes=EXAMPLES):
    response = client.post("/api/learn", json={"classes": classes})
    assert response.status_code == 200, response.json
    return response.json["name"]


def probabilities(client, name, image):
    response = client.post("/api/answer", json={"name": name, "image": image})
    assert response.status_code == 200, response.json
    return np.array(response.json["probabilities"])


def test_answers_are_those_of_the_classifier(app, trained_path):
    client = app.test_client()
    name = learn(client)
    labels = [number for number, images in enumerate(EXAMPLES) for _ in images]
    model = FewShotClassifier(trained_path).fit([decoded(image) for images in EXAMPLES for image in images], labels)
    for number, [image] in enumerate(drawn(2)):
        found = probabilities(client, name, image)
        np.testing.assert_allclose(found, model.predict_proba([decoded(image)])[0], atol=1e-6)
        assert found.argmax() == number


def decoded(url):
    return Image.open(io.BytesIO(base64.b64decode(url.partition("base64,")[2])))


def test_what_the_network_sees_is_shown(app, trained_path):
    client, labels = app.test_client(), [0, 0, 1, 1, 2, 2]
    classes = [images[:2] for images in EXAMPLES]
    model = FewShotClassifier(trained_path, steps=0).fit([decoded(url) for images in classes for url in images], labels)
    learned = client.post("/api/learn", json={"classes": classes}).json
    shown = [np.asarray(decoded(url)) for images in learned["seen"] for url in images]
    np.testing.assert_array_equal(shown, 255 - model.support_[:, 0])
    answer = client.post("/api/answer", json={"name": learned["name"], "image": GOOD}).json
    np.testing.assert_array_equal(decoded(answer["seen"]), 255 - model.read([decoded(GOOD)])[0][0, 0])


# ---- pictures as cameras and scanners make them

def uploaded(client, image, kind, **how):
    content = io.BytesIO()
    image.save(content, kind, **how)
    return client.post("/api/picture", data=content.getvalue())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_a_picture_of_any_size_becomes_an_example(app, trained_path, kind):
    client = app.test_client()
    given = shape("cross", np.random.default_rng(5)).resize((2000, 1500))
    found = uploaded(client, given, kind).json
    assert decoded(found["image"]).size == (limits.PHOTO_SIDE, limits.PHOTO_SIDE * 3 // 4)
    model = FewShotClassifier(trained_path, steps=0).fit(*shapes(WAYS, 1, seed=1))
    seen, read = np.asarray(decoded(found["seen"]), float), 255 - model.read([given])[0][0, 0].astype(float)
    assert np.abs(seen - read).mean() < 4   # of 255: it was made smaller in two steps
    learn(client, [[found["image"]], EXAMPLES[1], EXAMPLES[2]])


def test_a_photo_is_turned(app):
    photo = shape("cross", np.random.default_rng(5)).resize((4000, 2000))
    exif = photo.getexif()
    exif[0x0112] = 6   # the camera was held upright
    found = uploaded(app.test_client(), photo, "JPEG", exif=exif.tobytes()).json
    assert decoded(found["image"]).size == (limits.PHOTO_SIDE // 2, limits.PHOTO_SIDE)


def test_the_largest_photos_fit_into_a_request():
    noise = np.random.default_rng(1).integers(0, 256, (limits.PHOTO_SIDE, limits.PHOTO_SIDE, 3), np.uint8)
    url = as_url(Image.fromarray(noise).resize((limits.PHOTO_SIDE * 2, limits.PHOTO_SIDE * 2)).reduce(2))
    image_in(url, "the largest")   # not refused
    assert limits.MOST_CLASSES * limits.MOST_EXAMPLES * len(url) < limits.MOST_BYTES


@pytest.mark.parametrize(("content", "status", "reason"), [
    (b"a letter", 400, "this file: not readable (damaged, or of another kind); expected an image: JPEG, PNG"),
    (b"", 400, "this file: not readable"),
    (b"\x89PNG\r\n\x1a\n" + bytes(100), 400, "this file: not readable"),
    (bytes(limits.MOST_PHOTO_BYTES + 1), 413, "exceeds the capacity limit"),
])
def test_what_is_no_picture_is_refused_with_a_reason(app, content, status, reason):
    response = app.test_client().post("/api/picture", data=content)
    assert response.status_code == status
    assert reason in response.json["error"]


def test_an_empty_sheet_is_refused(app):
    response = uploaded(app.test_client(), Image.new("RGB", (900, 900), "white"), "PNG")
    assert response.status_code == 400
    assert "expected" in response.json["error"]


# ---- the network to take away

def test_the_network_downloaded_answers_alike(app, tmp_path):
    client, names = app.test_client(), ["one", "one", "三"]
    learned = learn(client)
    response = client.post("/api/network", json={"name": learned, "names": names})
    assert response.mimetype == "application/zip"
    zipfile.ZipFile(io.BytesIO(response.data)).extractall(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drawings.py", "network.json", "network.onnx"]
    notes = json.loads((tmp_path / "network.json").read_text(encoding="utf-8"))
    assert notes["classes"] == names
    assert "/" not in notes["trained"]["ckpt"]
    answer = client.post("/api/answer", json={"name": learned, "image": GOOD}).json
    seen = (255 - np.asarray(decoded(answer["seen"]), np.float32)) / 255   # ink 1, paper 0
    values = notes["input"]["paper"] + (notes["input"]["ink"] - notes["input"]["paper"]) * seen
    [found] = onnxruntime.InferenceSession(tmp_path / "network.onnx").run(None, {"images": values[None, None]})
    np.testing.assert_allclose(found[0], answer["probabilities"], atol=0.02)   # asked by one view, not by four


@pytest.mark.parametrize(("names", "reason"), [
    (["a", "b"], "2 names for 3 classes"), ("abc", "names: expected a list"),
    (["a", "b", 3], "name 3: expected a text"), (["a", "b", ""], "name 3: expected a text"),
    (["a", "b", "c" * 41], "name 3: expected a text")])
def test_names_that_are_none_are_refused(app, names, reason):
    client = app.test_client()
    response = client.post("/api/network", json={"name": learn(client), "names": names})
    assert response.status_code == 400
    assert reason in response.json["error"]


def test_two_browsers_do_not_disturb_each_other(app):
    [asked], together = drawn(2)[0], {}
    pairs = [(client, learn(client, classes)) for client, classes in
             ((app.test_client(), EXAMPLES), (app.test_client(), EXAMPLES[::-1]))]
    alone = [probabilities(client, name, asked) for client, name in pairs]
    threads = [threading.Thread(target=lambda client=client, name=name: together.update(
        {name: probabilities(client, name, asked)})) for client, name in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal([together[name] for _, name in pairs], alone)
    assert np.abs(alone[0] - alone[1]).max() > 0.01


def test_what_was_unused_for_longest_is_forgotten(app):
    client, image = app.test_client(), GOOD
    names = [learn(client) for _ in range(3)]
    probabilities(client, names[0], image)
    learn(client)
    kept = [client.post("/api/answer", json={"name": name, "image": image}).status_code for name in names]
    assert kept == [200, 410, 200]
    assert "learn them again" in client.post("/api/answer", json={"name": names[1], "image": image}).json["error"]
    assert len(set(names)) == 3


def png(width, height, mode="L"):
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return as_url(Image.fromarray(pixels).convert(mode))


GIF = io.BytesIO()
shape("cross", np.random.default_rng(1)).save(GIF, "GIF")
GOOD = EXAMPLES[0][0]


@pytest.mark.parametrize(("images", "reason"), [
    ("all", "classes: expected a list of 2 to 10"),
    ([[GOOD]], "classes: expected a list of 2 to 10"),
    ([[GOOD]] * 11, "classes: expected a list of 2 to 10"),
    ([[GOOD], []], "class 2: expected a list of 1 to 5 images"),
    ([[GOOD], [GOOD] * 6], "class 2: expected a list of 1 to 5 images"),
    ([[GOOD], GOOD], "class 2: expected a list of 1 to 5 images"),
    ([[GOOD], [7]], "class 2, image 1: expected a text that begins with data:image/png;base64,"),
    ([[GOOD], ["https://example.org/a.png"]], "class 2, image 1: expected a text that begins with"),
    ([[GOOD], [PREFIX + "<>"]], "class 2, image 1: no base64"),
    ([[GOOD], [PREFIX + "ÄÄÄÄ"]], "class 2, image 1: no base64"),
    ([[GOOD], [PREFIX]], "class 2, image 1: no PNG file"),
    ([[GOOD], [PREFIX + base64.b64encode(GIF.getvalue()).decode()]], "class 2, image 1: no PNG file"),
    ([[GOOD], [PREFIX + GOOD[len(PREFIX):][:200]]], "class 2, image 1: a damaged PNG file"),
    ([[GOOD], [png(512, 512, "RGB")]], "class 2, image 1: .* bytes; expected at most 100000"),
    ([[GOOD], [as_url(Image.new("1", (5000, 5000)))]], "class 2, image 1: 5000 x 5000 pixels; expected at most 512"),
    ([[GOOD], [as_url(Image.new("L", (60, 60), 255))]], "class 2, image 1: shows a single colour"),
])
def test_what_cannot_be_learned_is_refused_with_a_reason(app, images, reason):
    response = app.test_client().post("/api/learn", json={"classes": images})
    assert response.status_code == 400
    assert re.match(reason, response.json["error"])


@pytest.mark.parametrize(("call", "status"), [
    (lambda client: client.post("/api/learn", data="{", content_type="application/json"), 400),
    (lambda client: client.post("/api/learn", json=[1]), 400),
    (lambda client: client.post("/api/learn", data="[" * 20_000, content_type="application/json"), 400),
    (lambda client: client.post("/api/learn", data='{"classes":' * 20_000 + "1" + "}" * 20_000,
                                content_type="application/json"), 400),
    (lambda client: client.post("/api/learn", data=b"\xff\xfe{}", content_type="application/json"), 400),
    (lambda client: client.post("/api/network", json={"name": "unknown", "names": ["a", "b"]}), 410),
    (lambda client: client.get("/", headers={"Host": "evil.example"}), 403),
    (lambda client: client.post("/api/learn", json={}, headers={"Origin": "http://evil.example"}), 403),
    (lambda client: client.post("/api/learn", data="{}", content_type="text/plain"), 415),
    (lambda client: client.post("/api/learn", json={"classes": "x" * limits.MOST_BYTES}), 413),
    (lambda client: client.post("/api/answer", json={"name": ["no", "text"], "image": GOOD}), 410),
    (lambda client: client.post("/api/answer", json={"name": "unknown"}), 400),
    (lambda client: client.get("/api/learn"), 405),
    (lambda client: client.get("/page/../app.py"), 404),
    (lambda client: client.get("/missing"), 404),
    (lambda client: client.get("/api/characters?classes=11&examples=1"), 400),
    (lambda client: client.get("/api/characters?classes=2&examples=six"), 400),
])
def test_bad_requests_get_a_status_and_a_reason(app, call, status):
    response = call(app.test_client())
    assert response.status_code == status
    assert response.json["error"]


def test_nothing_comes_from_elsewhere(app):
    response = app.test_client().get("/")
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    pieces = sorted((ROOT / "src" / "demo" / "page").iterdir())
    assert {piece.name for piece in pieces} == {"index.html", *re.findall(r'/page/([\w.]+)', response.text)}
    for path in pieces:
        assert not re.search(r"https?:|[\"'(=]//", path.read_text(encoding="utf-8"))


# ---- characters by one click

def test_characters_are_examples_and_others_of_the_same(app):
    found = app.test_client().get("/api/characters?classes=10&examples=5").json["classes"]
    assert [(len(each["examples"]), len(each["others"])) for each in found] == [(5, 5)] * 10
    urls = [url for each in found for url in each["examples"] + each["others"]]
    assert len(set(urls)) == 100
    assert {decoded(url).size for url in urls} == {(105, 105)}


def test_the_built_in_ones_are_those_that_preprocessing_draws(tmp_path):
    draw_glyphs(tmp_path, seed=1, n_background=0, n_evaluation=1, n_characters=2)
    drawings = sorted(tmp_path.glob("images_evaluation/*/*02/*.png"))
    expected = [np.asarray(image) for image in drawings_of(1, 2)]
    assert all((np.asarray(Image.open(path)) == image).all() for path, image in zip(drawings, expected, strict=True))
    assert (characters.GLYPHS[0], len(characters.GLYPHS)) == (22 * 15 + 1, 8 * 15)


def test_with_data_they_are_those_to_test_on(data_path):
    trained = Namespace(imgsz=28, imgc=1, n_train_classes=0, split="sorted", split_seed=0, images="drawings")
    _, test = split_classes(load_images(str(data_path), 28, 1))
    found = characters.characters_for(str(data_path), trained).draw(4, 3, np.random.default_rng(1))
    places = [{int(np.flatnonzero((test == 255 - np.asarray(image)).all(axis=(2, 3, 4)).any(axis=1))[0])
               for image in examples + others} for examples, others in found]
    assert [len(numbers) for numbers in places] == [1] * 4   # drawings of one character each
    assert len(set.union(*places)) == 4


@pytest.mark.parametrize("colours", [1, 3])
def test_photographs_of_data_are_read_back_as_they_are(colours):
    pixels = np.random.default_rng(1).integers(0, 200, (4, 2, colours, 28, 28), np.uint8)
    found = characters.of_classes(pixels, "photographs")
    for number in range(4):
        picture = found._drawing(number, 1)
        np.testing.assert_array_equal(read_image(picture, 28, colours, "photographs"), pixels[number, 1])
    with pytest.raises(InputError, match="0 characters have more than 2 drawings"):
        found.draw(2, 2, np.random.default_rng(1))


# ---- what runs in turn

def test_a_caller_waits_for_a_bounded_time():
    in_turn, held, ran = OneThread(0.05), threading.Event(), []
    in_turn.later(held.wait, 10)
    with pytest.raises(BusyError):
        in_turn(ran.append, 1)
    held.set()
    in_turn.longest_wait = 10
    in_turn(ran.append, 2)
    assert ran == [2]   # what nobody waits for any more is not run
    in_turn.close()


def test_no_more_callers_wait_than_may():
    in_turn, held, begun = OneThread(10, most_waiting=1), threading.Event(), threading.Event()
    first = threading.Thread(target=in_turn, args=(lambda: (begun.set(), held.wait(10)),))
    first.start()
    begun.wait(10)
    with pytest.raises(BusyError):
        in_turn(print)
    held.set()
    first.join()
    assert in_turn(str, 1) == "1"   # there is room again
    in_turn.close()


def test_errors_come_back_to_their_caller():
    in_turn = OneThread()
    with pytest.raises(ForgottenError):
        in_turn(Teacher(None).answer, "unknown", None)
    in_turn.close()


# ---- the program

def test_missing_packages_are_one_line(monkeypatch):
    monkeypatch.setattr("sys.argv", ["demo.py"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^flask and waitress not installed; .*mindspore-maml\[demo\]"):
        demo.main()


def test_an_address_that_cannot_be_is_refused():
    with demo.listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"--host 127.0.0.1 --port {port}: cannot serve there"):
            demo.listening("127.0.0.1", port)
    with pytest.raises(InputError, match="--host 192.0.2.1"):
        demo.listening("192.0.2.1", 0)


def test_the_program_serves_until_it_is_stopped(trained_path, tmp_path):
    command = [sys.executable, str(ROOT / "demo.py"), "--ckpt", str(trained_path), "--port", "0", "--mode", "pynative",
               "--update_step_test", "1"]   # nothing to compile, and little to do
    with subprocess.Popen(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        line = next(line for line in process.stdout if line.startswith("draw at"))
        address = line.split()[2]
        with urllib.request.urlopen(f"{address}/api/characters?classes=2&examples=1", timeout=20) as response:
            assert response.status == 200
        assert address.startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read() == "interrupted\n"
