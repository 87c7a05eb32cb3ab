"""export.py: the plain networks in both formats give predict.py's probabilities, for every kind of network there is."""
import dataclasses
import json
import re
from pathlib import Path

import mindspore as ms
import numpy as np
import onnxruntime
import pytest
from checkpoints import write
from networks import NETWORKS
from own_images import CLASSES, shape, shapes, write_folders

from mindspore_maml import classifier, exporting
from mindspore_maml.classifier import FewShotClassifier
from mindspore_maml.cli.atomic_files import write_json
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.presets import PRESET_FOLDER, read_preset
from mindspore_maml.plain_network import PlainNetwork
from mindspore_maml.programs import export

WAYS, FILTERS, TOLERANCE = 3, 8, 1e-4


def thinned(layers):
    """A preset's network with few filters: as many layers, and quick; how weights start changes nothing in a file."""
    return [{name: FILTERS if name == "filters" else value for name, value in layer.items() if name != "init_scale"}
            for layer in layers]


def every_network():
    """Each different network of the presets, by the presets' names, and two of the tests' own."""
    found = {}
    for path in sorted(PRESET_FOLDER.glob("*.yaml")):
        layers = thinned(read_preset(path)["network"])
        names = next((names for names, known in found.items() if known[0] == layers), None)
        found[f"{names}, {path.stem}" if names else path.stem] = found.pop(names, (layers, {"imgsz": 28}))
    of_tests = {name: (NETWORKS[name], {}) for name in ("residual", "normalised image by image")}
    return found | of_tests | {"shifted": (NETWORKS["strided"], {"algorithm": "maml++"})}


EVERY_NETWORK = every_network()


def probabilities_in(path, pixels, model):
    """What the file makes of images that a classifier has read, as docs/deploy.md does it."""
    options = model.options()
    values = (options.paper + (options.ink - options.paper) * (pixels / 255)).astype(np.float32)
    if path.suffix == ".onnx":
        return onnxruntime.InferenceSession(path).run(None, {"images": values})[0]
    return ms.nn.GraphCell(ms.load(str(path)))(ms.Tensor(values)).asnumpy()


@pytest.mark.parametrize("name", EVERY_NETWORK)
def test_both_files_equal_the_classifier(name, tmp_path):
    layers, changes = EVERY_NETWORK[name]
    ckpt, *_ = write(tmp_path, network=layers, **changes)
    model = FewShotClassifier(ckpt, steps=0, views=1).fit(*shapes(WAYS, 2, seed=1))
    draws = np.random.default_rng(3)   # in place of inner steps, which would have to compile
    weights = [weight + draws.normal(0, 0.1, weight.shape).astype(np.float32) for weight in model.adapted_.weights]
    model.adapted_ = dataclasses.replace(model.adapted_, weights=weights)
    pixels, _ = model.read(shapes(5, 4, seed=2)[0])
    expected = model.probabilities(pixels)
    assert len(pixels) == 20
    assert np.abs(expected - expected[0]).max() > 10 * TOLERANCE   # they differ
    for suffix, file_format in ((".mindir", "MINDIR"), (".onnx", "ONNX")):
        path = tmp_path / f"network{suffix}"
        exporting.write_network(model, path, file_format)
        found = probabilities_in(path, pixels, model)
        np.testing.assert_allclose(found, expected, atol=TOLERANCE, err_msg=suffix)


def test_views_of_the_examples_are_in_the_file_and_a_question_is_asked_as_it_is(trained_path, tmp_path, monkeypatch):
    model = FewShotClassifier(trained_path, views=3).fit(*shapes(WAYS, 1, seed=1))
    pixels, _ = model.read(shapes(WAYS, 2, seed=2)[0])
    exporting.write_network(model, tmp_path / "network.onnx", "ONNX")
    assert exporting.notes(model)["trained"]["views"] == 3
    found = probabilities_in(tmp_path / "network.onnx", pixels, model)
    assert np.abs(found - model.probabilities(pixels)).max() > 10 * TOLERANCE
    monkeypatch.setattr(classifier, "views_alike", lambda images, count, seed: np.concatenate([images] * count))
    np.testing.assert_allclose(found, model.probabilities(pixels), atol=TOLERANCE)


def test_the_program_writes_what_a_user_needs(trained_path, tmp_path, monkeypatch, capsys):
    write_folders(tmp_path / "mine", WAYS, seed=1)
    monkeypatch.setattr("sys.argv", ["export.py", "--ckpt", str(trained_path), "--support", str(tmp_path / "mine"),
                                     "--file_format", "ONNX", "--file_name", str(tmp_path / "out" / "my.net")])
    assert export.main() == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["drawings.py", "my.net.json", "my.net.onnx"]
    notes = json.loads((tmp_path / "out" / "my.net.json").read_text(encoding="utf-8"))
    assert notes["classes"] == sorted(CLASSES[:WAYS])
    assert notes["input"]["shape"] == ["images", 1, 28, 28]
    assert "12 inner steps on 6 support images" in capsys.readouterr().out
    session = onnxruntime.InferenceSession(tmp_path / "out" / "my.net.onnx")
    assert [each.shape[1:] for each in (*session.get_inputs(), *session.get_outputs())] == [[1, 28, 28], [WAYS]]


def test_the_code_of_the_page_does_what_it_says(trained_path, tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parent.parent / "docs" / "deploy.md").read_text(encoding="utf-8")
    reading, *using = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    model = FewShotClassifier(trained_path, steps=0, views=1).fit(*shapes(WAYS, 2, seed=1))
    for file_format, suffix in exporting.SUFFIXES.items():
        exporting.write_network(model, tmp_path / f"mine{suffix}", file_format)
    write_json(tmp_path / "mine.json", exporting.notes(model))
    exporting.write_fit(model, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    shape(CLASSES[3], np.random.default_rng(4)).resize((400, 310)).save(tmp_path / "new.png")
    expected = model.predict_proba([tmp_path / "new.png"])
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert len(using) == 2
    for block in using:
        namespace = {}
        exec(reading + block, namespace)
        np.testing.assert_allclose(namespace["probabilities"], expected, atol=TOLERANCE)
        assert capsys.readouterr().out.startswith(f"{model.classes_[expected[0].argmax()]} 0.")


def test_a_layer_of_the_users_own_has_no_plain_form(tmp_path):
    ckpt, *_ = write(tmp_path, network=NETWORKS["own"])
    model = FewShotClassifier(ckpt, steps=0).fit(*shapes(WAYS, 1, seed=1))
    with pytest.raises(InputError, match=r"layer 1 \(own_layers:Softplus\) has no plain form"):
        PlainNetwork(model)
