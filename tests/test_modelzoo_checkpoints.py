"""The ModelZoo's checkpoints evaluate like our own, and what does not fit is refused by name."""
import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import EVAL, TRAIN
from mindspore_maml.programs import evaluate as evaluation
from mindspore_maml.training import checkpoint
from mindspore_maml.training.from_options import make_meta

FILTERS = 64
TEST = ("--preset", "modelzoo", "--test_batches", "2", "--task_num", "2")
OUTER = "outer_netwithloss._backbone."


def disturbed_meta(data_path):
    """A meta-learner of the preset, biases and betas away from zero."""
    options = parse(TRAIN, "", ["--data_path", str(data_path), "--preset", "modelzoo"])
    meta = make_meta(options)
    draws = np.random.default_rng(2)
    for parameter in meta.get_parameters():
        if not parameter.name.endswith("weight"):
            parameter.set_data(Tensor(draws.normal(0, 0.1, parameter.shape).astype(np.float32)))
    return meta


def values_of(meta):
    return {parameter.name.removeprefix("net."): parameter.asnumpy() for parameter in meta.get_parameters()}


def modelzoo_tensors(weights):
    """What the ModelZoo's program saves under MindSpore 2.x for a network of these `weights`."""
    draws = np.random.default_rng(3)
    tensors = {}
    for name, value in weights.items():
        tensors[f"meta_optim.{OUTER}net.{name}"] = value
        for twin in ("inner_netwithloss._backbone.", f"adam_m.{OUTER}", f"adam_v.{OUTER}"):
            tensors[f"meta_optim.{twin}net.{name}"] = draws.normal(size=value.shape)
    for layer in (1, 4, 7, 10):
        for prefix in (OUTER, "inner_netwithloss._backbone."):
            for kind, value in (("gamma", 1), ("moving_mean", 0), ("moving_variance", 1)):
                tensors[f"{prefix}net.{layer}.{kind}"] = np.full(FILTERS, value)
    for loss in ("inner", "outer"):
        tensors |= {f"meta_optim.{loss}_netwithloss._loss_fn.on_value": np.float32(1),
                    f"meta_optim.{loss}_netwithloss._loss_fn.off_value": np.float32(0)}
    return tensors | {"global_step": np.zeros(1, np.int32), "learning_rate": np.float32(0.001)}


def write(tensors, path):
    ms.save_checkpoint([{"name": name, "data": Tensor(value if np.asarray(value).dtype == np.int32
                                                      else np.asarray(value, np.float32))}
                        for name, value in tensors.items()], str(path))
    return path


def evaluate(path, data_path):
    results, _ = evaluation.evaluate(parse(EVAL, "", ["--data_path", str(data_path), "--ckpt", str(path), *TEST]))
    return {name: value for name, value in results.items() if name != "ckpt"}


def test_its_checkpoints_evaluate_like_ours(data_path, tmp_path):
    weights = values_of(disturbed_meta(data_path))
    ours = write({f"net.{name}": value for name, value in weights.items()}, tmp_path / "ours.ckpt")
    theirs = write(modelzoo_tensors(weights), tmp_path / "theirs.ckpt")
    older = write({f"network.{name.removeprefix('meta_optim.')}": value
                   for name, value in modelzoo_tensors(weights).items()}, tmp_path / "older.ckpt")
    results = evaluate(ours, data_path)
    assert results["mean"] > 0.4                                       # not what guessing gets, whatever the weights
    assert evaluate(theirs, data_path) == results
    assert checkpoint.load(older).tensors.keys() >= checkpoint.load(ours).tensors.keys()


@pytest.mark.parametrize(("changes", "message"), [
    ({"meta_optim.outer_netwithloss._backbone.net.3.bias": None, "meta_optim.outer_netwithloss._backbone.net.4.beta":
      None}, r"does not hold net\.3\.bias \(64,\), net\.4\.beta \(64,\), which"),
    ({"other.net.0.bias": np.ones(64), "other.net.13.bias": np.ones(5)},
     r"meta_optim\.outer\S+net\.0\.bias and other\.net\.0\.bias, meta_optim\S+net\.13\.bias and other\.net\.13\.bias"),
    ({f"{OUTER}net.4.gamma": np.full(64, 0.9)}, r"holds net\.4\.gamma \(64,\), which this network does not have"),
], ids=["missing", "clash", "gamma"])
def test_what_does_not_fit_is_refused_by_name(data_path, tmp_path, changes, message):
    meta = disturbed_meta(data_path)
    tensors = modelzoo_tensors(values_of(meta)) | changes
    path = write({name: value for name, value in tensors.items() if value is not None}, tmp_path / "theirs.ckpt")
    with pytest.raises(InputError, match=message):
        checkpoint.load(path).put_into(meta)
