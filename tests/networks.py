"""Small networks for the tests, one of each shape the presets use."""

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
    "without normalisation": [CONV, {"layer": "relu"}, {**CONV, "stride": 2, "padding": 1},
                              {"layer": "max_pool2d", "kernel": 3, "stride": 1},
                              {"layer": "flatten"}, {"layer": "linear", "units": 4}, {"layer": "bn"},
                              {"layer": "relu"}, {"layer": "linear"}],
    "dense": [{"layer": "max_pool2d"}, {"layer": "flatten"}, {"layer": "linear", "units": 6},
              {"layer": "relu"}, {"layer": "linear", "bias": False}],
}
