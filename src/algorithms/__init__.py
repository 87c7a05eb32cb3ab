"""Algorithms beside MAML that share its inner loop; `ALGORITHMS` names them all, and `module:Class` one's own."""
from mindspore_maml.algorithms.classifier import Classifier
from mindspore_maml.algorithms.maml_plus_plus import MAMLPlusPlus
from mindspore_maml.algorithms.meta_sgd import MetaSGD
from mindspore_maml.algorithms.reptile import Reptile
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.own_code import find_class
from mindspore_maml.meta import Meta

ALGORITHMS = {"maml": Meta, "maml++": MAMLPlusPlus, "meta-sgd": MetaSGD, "reptile": Reptile,
              "classifier": Classifier}


def find_algorithm(name: str) -> type[Meta]:
    """The class of an algorithm: one of `ALGORITHMS`, or `module:Class`, also from the working directory.

    Raises
    ------
    InputError
        Where there is no such module or class, or the class is not a `Meta`.
    """
    try:
        return ALGORITHMS[name] if name in ALGORITHMS else find_class(name, Meta)
    except InputError as error:
        raise InputError(f"--algorithm {name}: {error}") from error
