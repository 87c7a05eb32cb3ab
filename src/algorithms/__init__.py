"""Algorithms beside MAML that share its inner loop; `ALGORITHMS` names them all."""
from mindspore_maml.algorithms.maml_plus_plus import MAMLPlusPlus
from mindspore_maml.algorithms.meta_sgd import MetaSGD
from mindspore_maml.algorithms.reptile import Reptile
from mindspore_maml.meta import Meta

ALGORITHMS = {"maml": Meta, "maml++": MAMLPlusPlus, "meta-sgd": MetaSGD, "reptile": Reptile}
