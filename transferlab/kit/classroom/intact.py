"""Has code replaced anything that a check relies on? Compared by identity, before and after.

A check calls `torch.equal`, `len`, `isinstance`. An answer that replaces one of them decides the
check. So all functions and classes of the loaded modules are noted before the first answer runs.
"""

import builtins
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

# What checks rely on, as patterns of the names of modules. (Not torch's compiler, which would cost
# seconds, and not torch.optim, which wraps the steps of its optimizers itself.)
MODULES = re.compile(
    r"builtins|math|operator|numpy(\.[a-z]\w*)*|torch|torch\._tensor|torchvision(\.[a-z]\w*)*"
    r"|torch\.(autograd|fft|functional|linalg|nn|random|special|testing|utils\.data)(\.[a-z]\w*)*"
    r"|transferlab(\.\w+)*"
)
# What they use most, compared after each statement: an answer may put back what it has replaced.
CORE = ("builtins", "math", "numpy", "torch", "torch.Tensor", "torch.nn.Module")
WRAPPED = "manual_seed"  # by torch itself, as soon as the first optimizer is used
FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType)
WANTED = (*FUNCTIONS, type, types.ModuleType, types.MethodDescriptorType, property)
Noted = dict[str, tuple[Any, Any]]  # name -> value, and the code when it is a function


def watch() -> Callable[[bool], list[str]]:
    """Return a function that names what was replaced since; `True` asks for the core alone."""
    noted = [(name, owner, set(vars(owner)), relied_on(vars(owner))) for name, owner in _owners()]
    core = [entry for entry in noted if entry[0] in CORE]

    def replaced(core_only: bool) -> list[str]:
        found = [
            f"{name}.{key}"
            for name, owner, keys, before in (core if core_only else noted)
            for key in _changed(owner, keys, before)
        ]
        traced = sys.gettrace() is not None or sys.getprofile() is not None
        return found + ["sys.settrace"] * traced

    return replaced


def _owners() -> Iterator[tuple[str, Any]]:
    """Yield the modules, and the classes in them, each once."""
    seen = set()
    for name, module in sorted(sys.modules.items()):
        if not MODULES.fullmatch(name) or type(module) is not types.ModuleType:
            continue
        yield name, module
        for key, value in list(vars(module).items()):
            # isinstance would ask the value for its class; deprecated names answer with warnings
            if issubclass(type(value), type) and id(value) not in seen:
                seen.add(id(value))
                if MODULES.fullmatch(str(value.__dict__.get("__module__", "builtins"))):
                    yield f"{name}.{key}", value


def relied_on(names: Mapping[str, Any]) -> Noted:
    """Return the functions, classes and modules of a namespace."""
    return {
        key: (value, value.__code__ if type(value) is types.FunctionType else None)
        for key, value in list(names.items())
        if issubclass(type(value), WANTED) and key != WRAPPED
    }


def _changed(owner: Any, keys: set[str], before: Noted) -> Iterator[str]:
    now = vars(owner)
    for key, (value, code) in before.items():
        if now.get(key) is not value or (code and value.__code__ is not code):
            yield key
    for key in now.keys() - keys:  # a new name hides a builtin, or what a class has inherited
        hidden = owner.__mro__[1:] if isinstance(owner, type) else [builtins]
        if type(now[key]) in FUNCTIONS and any(key in vars(other) for other in hidden):
            yield key
