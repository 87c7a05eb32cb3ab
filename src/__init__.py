"""MAML and its relatives for MindSpore: a few-shot classifier, and the parts to train one of your own.

What is offered here is imported when it is first used, for MindSpore takes seconds.
"""
import importlib
from typing import TYPE_CHECKING, Any

if __name__ != "mindspore_maml":   # as `src`, the folder's name, every class would be there a second time
    raise ImportError(f"{__name__} is the folder of the package mindspore_maml; expected an import of that name, with "
                      f"the folder above it on Python's path")

if TYPE_CHECKING:
    from mindspore_maml.classifier import FewShotClassifier
    from mindspore_maml.data_preprocess import load_images
    from mindspore_maml.inner_loop import InnerLoop
    from mindspore_maml.layers.network import Network
    from mindspore_maml.learner import Learner
    from mindspore_maml.meta import Meta
    from mindspore_maml.OmniglotIter import OmniglotIter, split_classes

__version__ = "1.1.0"
__all__ = ["FewShotClassifier", "InnerLoop", "Learner", "Meta", "Network", "OmniglotIter", "load_images",
           "split_classes"]
_MODULES = {"FewShotClassifier": "classifier", "InnerLoop": "inner_loop", "Learner": "learner", "Meta": "meta",
            "Network": "layers.network", "OmniglotIter": "OmniglotIter", "load_images": "data_preprocess",
            "split_classes": "OmniglotIter"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(globals().keys() | _MODULES.keys())
