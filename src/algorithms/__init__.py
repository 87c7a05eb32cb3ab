"""Algorithms beside MAML that share its inner loop; `ALGORITHMS` names them all."""
from src.algorithms.maml_plus_plus import MAMLPlusPlus
from src.algorithms.meta_sgd import MetaSGD
from src.algorithms.reptile import Reptile
from src.meta import Meta

ALGORITHMS = {"maml": Meta, "maml++": MAMLPlusPlus, "meta-sgd": MetaSGD, "reptile": Reptile}
