"""The commands: each runs one program of the package, and ends the process with its status.

The files at the top of the checkout call them, and so do `maml-train`, `maml-eval` and the others that pip installs.
"""
import functools
import sys

from mindspore_maml.cli.program import run_module

train = functools.partial(run_module, "mindspore_maml.programs.train")
evaluate = functools.partial(run_module, "mindspore_maml.programs.evaluate")
predict = functools.partial(run_module, "mindspore_maml.programs.predict")
export = functools.partial(run_module, "mindspore_maml.programs.export")
plot = functools.partial(run_module, "mindspore_maml.programs.plot")
demo = functools.partial(run_module, "mindspore_maml.programs.demo")
data = functools.partial(run_module, "mindspore_maml.data_preprocess")


if __name__ == "__main__":   # python -m mindspore_maml.commands train FLAGS
    {"train": train, "evaluate": evaluate}[sys.argv.pop(1)]()
