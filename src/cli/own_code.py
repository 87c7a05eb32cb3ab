"""Classes of the user's own, named as `module:Class`: a layer, an algorithm."""
import importlib
import sys
from pathlib import Path
from typing import TypeVar

from mindspore_maml.cli.errors import InputError

Base = TypeVar("Base")


def find_class(name: str, base: type[Base]) -> type[Base]:
    """The class that `module:Class` names, a subclass of `base`; the module may lie in the working directory, too.

    Raises
    ------
    InputError
        Where there is no such module or class, or the class is no such subclass.
    """
    module_name, _, class_name = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:   # whatever the user's module raises
        raise InputError(f"module {module_name!r} cannot be imported ({type(error).__name__}: "
                         f"{(str(error).splitlines() or [''])[0]}); expected it in {here} or on PYTHONPATH") from error
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise InputError(f"{module_name} has {'no' if found is None else 'another kind of'} {class_name}; "
                         f"expected a subclass of {base.__module__}.{base.__name__}")
    return found
