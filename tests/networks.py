"""Small networks for the tests, one of each shape the presets use."""
import numpy as np
from mindspore import Tensor

from mindspore_maml.inner_loop import InnerLoop
from mindspore_maml.layers.network import Network

WAYS, SIZE = 3, 12

CONV = {"layer": "conv2d", "filters": 3, "kernel": 3}
STRIDED = {**CONV, "stride": 2, "padding": 1, "bias": False}

NETWORKS = {
    "strided": [STRIDED, {"layer": "bn", "eps": 1e-3}, {"layer": "relu"},
                STRIDED, {"layer": "bn", "eps": 1e-3}, {"layer": "relu"},
                {"layer": "reduce_mean"}, {"layer": "linear"}],
    "strided with biases": [{**STRIDED, "bias": True}, {"layer": "bn"}, {"layer": "relu"},
                            {**STRIDED, "bias": True}, {"layer": "bn"}, {"layer": "relu"},
                            {"layer": "reduce_mean"}, {"layer": "linear"}],
    "pooled": [CONV, {"layer": "bn", "gamma": True}, {"layer": "relu"}, {"layer": "max_pool2d"},
               CONV, {"layer": "bn", "gamma": True}, {"layer": "relu"}, {"layer": "max_pool2d"},
               {"layer": "flatten"}, {"layer": "linear", "init": "uniform"}],
    "pooled before relu": [{**CONV, "stride": 2, "padding": 2}, {"layer": "bn", "gamma": True},
                           {"layer": "max_pool2d"}, {"layer": "relu"},
                           {**CONV, "stride": 2, "padding": 2}, {"layer": "relu"}, {"layer": "bn", "gamma": True},
                           {"layer": "max_pool2d"}, {"layer": "flatten"}, {"layer": "linear"}],
    "without normalisation": [{**CONV, "filters": 2}, {"layer": "relu"}, {**CONV, "stride": 2},
                              {"layer": "max_pool2d", "kernel": 3, "stride": 1},
                              {"layer": "flatten"}, {"layer": "linear", "units": 4}, {"layer": "bn"},
                              {"layer": "relu"}, {"layer": "linear"}],
    "no relu between": [STRIDED, {"layer": "bn"}, {**CONV, "stride": 2, "padding": 1}, {"layer": "bn"},
                        {"layer": "relu"}, {"layer": "flatten"}, {"layer": "linear"}],
    "dense": [{"layer": "max_pool2d"}, {"layer": "flatten"}, {"layer": "linear", "units": 6},
              {"layer": "relu"}, {"layer": "linear", "bias": False}],
    # from here on with layers whose derivatives follow from their forward
    "normalised image by image": [{"layer": "group_norm", "gamma": True}, {**CONV, "filters": 4, "padding": 1},
                                  {"layer": "group_norm", "groups": 2}, {"layer": "gelu"}, {"layer": "avg_pool2d"},
                                  {"layer": "reduce_mean"}, {"layer": "linear"}],
    "residual": [{"layer": "avg_pool2d"}, CONV, {"layer": "bn", "gamma": True}, {"layer": "leaky_relu", "slope": 0.1},
                 {"layer": "residual", "layers": [{**CONV, "padding": 1}, {"layer": "dropout", "rate": 0.3},
                                                  {"layer": "bn"}, {"layer": "gelu"}]},
                 {"layer": "reduce_mean"}, {"layer": "dropout"}, {"layer": "linear"}],
    "own": [{"layer": "max_pool2d"}, {"layer": "own_layers:Softplus"}, {**STRIDED, "bias": True},
            {"layer": "own_layers:Softplus", "sharpness": 2.0}, {"layer": "reduce_mean"}, {"layer": "linear"}],
    "residual first": [{"layer": "residual", "layers": [{"layer": "conv2d", "filters": 1, "padding": 1,
                                                         "bias": False}, {"layer": "bn"}]},
                       STRIDED, {"layer": "relu"}, {"layer": "reduce_mean"}, {"layer": "linear"}],
}


def inner(**changes):
    """An inner loop of two steps."""
    return InnerLoop(**{"steps": 2, "steps_test": 2, "rate": 0.3} | changes)


def network(layers, channels=1):
    """A network whose biases, gammas and betas are not at their special starting values."""
    net = Network(layers, channels, SIZE, WAYS, seed=3)
    draws = np.random.default_rng(4)
    for parameter in net.parameters:
        parameter.set_data(parameter + Tensor(draws.normal(0, 0.1, parameter.shape).astype(np.float32)))
    return net
