"""Write a classifier adapted to your own images as a file that other programs run: MindIR or ONNX.

Beside it stands a JSON file with the names of the classes and what is done to an image before the network sees it
(docs/deploy.md).
"""
from pathlib import Path

from mindspore_maml.cli.atomic_files import refuse_unwritable, write_json
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.options import EXPORT
from mindspore_maml.devices import device
from mindspore_maml.exporting import FIT, SUFFIXES, notes, write_fit, write_network
from mindspore_maml.programs.learning import learn_from_folder


def main() -> int:
    options = parse(EXPORT, __doc__)
    suffix = SUFFIXES[options.file_format]
    path = Path(options.file_name.removesuffix(suffix) + suffix)
    for written in (path, path.with_suffix(".json"), path.with_name(FIT.name)):
        refuse_unwritable(written, "--file_name")
    device.set_up(options.device_target, options.device_id, options.mode)
    model = learn_from_folder(options)
    write_network(model, path, options.file_format)
    write_json(path.with_suffix(".json"), notes(model), flag="--file_name")
    write_fit(model, path.parent)
    print(f"{path} and {path.with_suffix('.json').name}: {len(model.classes_)} classes, {model.steps_} inner steps on "
          f"{len(model.support_)} support images", flush=True)
    return 0
