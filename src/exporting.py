"""An adapted classifier as files that other programs run: the plain network, and what they must know to use it."""
import io
import json
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import mindspore as ms
import mindspore.onnx
import numpy as np

from mindspore_maml.classifier import FewShotClassifier
from mindspore_maml.cli.atomic_files import replacing
from mindspore_maml.cli.errors import InputError
from mindspore_maml.data import drawings
from mindspore_maml.data.images import DRAWINGS
from mindspore_maml.devices.turns import taking_turns
from mindspore_maml.plain_network import PlainNetwork
from mindspore_maml.training import checkpoint

SUFFIXES = {"MINDIR": ".mindir", "ONNX": ".onnx"}
FIT = Path(drawings.__file__)   # needs nothing of this project


def write_network(model: FewShotClassifier, path: Path, file_format: str) -> None:
    """Write the adapted classifier as a plain network, whole or not at all.

    Raises
    ------
    InputError
        Where the file cannot be written.
    """
    options = model.options()
    shape = (options.imgc, options.imgsz, options.imgsz)
    try:
        with taking_turns(), replacing(path) as written:
            network = PlainNetwork(model)
            mode = written.stat().st_mode
            if file_format == "MINDIR":   # any number of images in both
                ms.export(network, ms.Tensor(shape=(None, *shape), dtype=ms.float32), file_name=str(written),
                          file_format=file_format)
            else:
                mindspore.onnx.export(network, ms.Tensor(np.zeros((1, *shape), np.float32)), file_name=str(written),
                                      input_names=["images"], output_names=["probabilities"],
                                      dynamic_axes={name: {0: "number"} for name in ("images", "probabilities")})
            written.chmod(mode)   # MindSpore makes a file that only its owner reads
    except OSError as error:
        raise InputError(f"--file_name {path}: cannot write this file ({error.strerror})") from error


def write_fit(model: FewShotClassifier, folder: Path) -> None:
    """Put what fits drawings beside the network, where it reads drawings."""
    if model.options().images == DRAWINGS:
        with replacing(folder / FIT.name) as written:
            written.write_text(FIT.read_text(encoding="utf-8"), encoding="utf-8")


def notes(model: FewShotClassifier) -> dict:
    """What a program that uses the network has to know, in values that JSON keeps."""
    options = model.options()
    return {"classes": [str(name) for name in model.classes_],
            "input": {"shape": ["images", options.imgc, options.imgsz, options.imgsz], "type": "float32",
                      "ink": options.ink, "paper": options.paper},
            "output": {"shape": ["images", len(model.classes_)], "type": "float32", "is": "probabilities"},
            "fit": FIT.name if options.images == DRAWINGS else "none",
            "preprocessing": ["turn as EXIF says; put transparency on paper",
                              f"fit_drawing(image, {options.imgsz}) of {FIT.name} beside this file"
                              if options.images == DRAWINGS else
                              f"make {'grey' if options.imgc == 1 else 'RGB'}; fit into {options.imgsz} x "
                              f"{options.imgsz}, aspect kept, bicubic, padded with the median of the edge",
                              f"value = {options.paper:g} + ({options.ink:g} - {options.paper:g}) * pixel / 255"],
            "trained": {"ckpt": str(model.ckpt or checkpoint.published()), "update_step_test": model.steps_,
                        "statistics": "support", "views": model.adapted_.views}}


def archive_of(model: FewShotClassifier, classes: Sequence[str]) -> bytes:
    """A zip archive of network.onnx and network.json, for those who are to know nothing else of this machine.

    Parameters
    ----------
    model : FewShotClassifier
        Fitted.
    classes : sequence of str
        What its classes are to be called.

    Raises
    ------
    InputError
        Where there are not as many.
    """
    if len(classes) != len(model.classes_):
        raise InputError(f"{len(classes)} names for {len(model.classes_)} classes; expected one for each")
    about = notes(model) | {"classes": list(classes)}
    about["trained"]["ckpt"] = Path(about["trained"]["ckpt"]).name
    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        path = Path(folder) / "network.onnx"
        write_network(model, path, "ONNX")
        archive.write(path, path.name)
        if model.options().images == DRAWINGS:
            archive.write(FIT, FIT.name)
        archive.writestr("network.json", json.dumps(about, ensure_ascii=False, indent=1))
    return content.getvalue()
