"""Every operation of the presets' graphs: MindSpore documents it for all devices, and a device's check tries it."""
import dataclasses
import re

import mindspore as ms
import pytest
from device_check.operations import CASES, error_of, graph_of
from graphs import operations
from mindspore import nn, ops

from benchmarks.meta_step import random_batch
from mindspore_maml.algorithms import ALGORITHMS
from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.options import TRAIN
from mindspore_maml.cli.presets import PRESET_FOLDER
from mindspore_maml.layers.network import Network
from mindspore_maml.training.from_options import inner_loop
from mindspore_maml.training.optimizer import outer_optimizer

PRESETS = sorted(path.stem for path in PRESET_FOLDER.glob("*.yaml"))
SMALL = {"task_num": 2, "n_way": 2, "k_spt": 1, "k_qry": 1, "update_step": 1, "epoch": 1}   # graphs hold as much
DEVICES = {"Ascend", "GPU", "CPU"}
# What MindSpore says nothing of, and what it stands for, which is documented
TWINS = {
    "Muls": ops.mul,        # a tensor times a Python number, written x * 2
    "ReluGrad": ops.relu,   # what training through a ReLU takes on every device
}
# A network of every kind of layer: the blocks of the presets, then what no preset has
CONV = {"layer": "conv2d", "filters": 2}
ALL_LAYERS = [
    {**CONV, "stride": 2, "padding": 1, "bias": False}, {"layer": "bn"}, {"layer": "relu"},
    {**CONV, "stride": 2, "padding": 2}, {"layer": "bn", "gamma": True}, {"layer": "max_pool2d"}, {"layer": "relu"},
    {**CONV, "padding": 1}, {"layer": "relu"}, {"layer": "bn", "gamma": True},
    {"layer": "group_norm", "gamma": True}, {"layer": "gelu"},
    {"layer": "residual", "layers": [{"layer": "dropout", "rate": 0.3}, {"layer": "leaky_relu", "slope": 0.1}]},
    {"layer": "avg_pool2d"}, {"layer": "flatten"}, {"layer": "linear"}]
FEW_LAYERS = [{**CONV, "stride": 2, "padding": 1}, {"layer": "bn", "gamma": True}, {"layer": "reduce_mean"},
              {"layer": "linear"}]


def kinds_of(layers):
    """What decides which operations layers take; the rest are numbers and first values."""
    return {(layer["layer"], layer.get("bias", True), layer.get("gamma", False)) for layer in layers}


def graphs_of(options):
    """What decides which graphs there are around the layers, and what is in them."""
    return {(options.algorithm, options.order), (options.algorithm, options.first_order_epochs > 0),
            ("adapts the last layer alone", options.adapt == "head"), ("smooths", options.label_smoothing > 0),
            (options.optimizer, options.weight_decay > 0), ("statistics", options.statistics)}


def compiled(options, layers):
    """The names of all operations in the graphs of a meta-step with these options."""
    net = Network(layers, options.imgc, options.imgsz, options.n_way, options.seed)
    meta = ALGORITHMS[options.algorithm](net, inner_loop(options), lambda tasks, images: 1)   # in parts, as on the CPU
    optimizer, batch = outer_optimizer(meta.trainable_params(), options), random_batch(options)
    for epoch in {0, options.first_order_epochs}:
        gradients = meta.meta_gradient(*batch, epoch=epoch)[2]
    optimizer(gradients)
    cells = [optimizer, meta.join_tasks, meta.add_scaled]
    for tasks in (options.task_num, 1):
        for graph in vars(meta.passes_for(tasks, options.n_way)).values():
            cells += graph.values() if isinstance(graph, dict) else [graph]
    return {name for cell in cells if isinstance(cell, nn.Cell) for name in operations(cell)}


def small(preset):
    """The options of a preset, with few tasks."""
    flags = {"preset": preset, "data_path": "none", **SMALL}
    return parse(TRAIN, "", [text for name, value in flags.items() for text in (f"--{name}", str(value))])


@pytest.fixture(scope="module")
def found():
    """The operations of all presets, and a preset that has each: every kind of layer once, and every kind of graph."""
    options = small("maml")
    result, seen = dict.fromkeys(compiled(options, ALL_LAYERS), "maml, with every kind of layer"), graphs_of(options)
    for preset in PRESETS:
        options = small(preset)
        if not graphs_of(options) <= seen:
            result |= dict.fromkeys(compiled(options, FEW_LAYERS), preset)
            seen |= graphs_of(options)
    return result


def test_every_layer_of_the_presets_is_among_those_compiled():
    compiled_kinds = kinds_of(ALL_LAYERS + FEW_LAYERS)
    assert {preset: kinds_of(small(preset).network) - compiled_kinds for preset in PRESETS} == \
        {preset: set() for preset in PRESETS}


def platforms(operation):
    """The devices that MindSpore's documentation names for an operation, or for the function that it points to."""
    text = operation.__doc__ or ""
    if listed := re.search(r"Supported Platforms:\s+((?:``\w+``\s*)+)", text):
        return set(re.findall(r"\w+", listed[1]))
    points_to = re.search(r"Refer to :func:`mindspore\.ops\.(\w+)`", text)
    twin = getattr(ops, points_to[1], None) if points_to else None
    return platforms(twin) if twin else set()


def operation_of(name):
    return getattr(ops, name, None) or getattr(ops.auto_generate, name, None)


def test_mindspore_documents_every_operation_for_all_devices(found):
    documented = {name: platforms(TWINS.get(name) or operation_of(name)) for name in found}
    lacking = {f"{name} (of {found[name]})": sorted(DEVICES - devices) for name, devices in documented.items()
               if not devices >= DEVICES}
    assert lacking == {}
    assert len(found) > 25


def test_what_needs_a_twin_is_used_and_not_documented_itself(found):
    assert {name for name in TWINS if name not in found or platforms(operation_of(name))} == set()


def test_an_operation_of_one_device_would_be_noticed():
    assert platforms(ops.Conv2D) == DEVICES
    assert platforms(ms.mint.nn.functional.softplus) == {"Ascend"}
    assert platforms(operation_of("Muls")) == set()


def test_every_operation_has_a_case_for_the_check_of_a_device_and_no_case_is_idle(found):
    assert {case.operation for case in CASES} == set(found)


@pytest.mark.parametrize("name", ["BatchMatMul", "Gather", "Slice", "Adam"])
def test_a_case_is_of_the_operation_it_names_and_a_wrong_result_is_noticed(name):
    case = next(case for case in CASES if case.operation == name)
    graph = graph_of(case)
    assert error_of(case, graph) < 1e-5
    assert operations(graph) == [name]

    def wrong(*arguments):
        right = case.expected(*arguments)
        return tuple(1.01 * value for value in right) if case.state else 1.01 * right
    assert error_of(dataclasses.replace(case, expected=wrong), graph_of(case)) > 1e-3
