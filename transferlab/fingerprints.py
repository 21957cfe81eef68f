"""Fingerprints: a short text that differs whenever data, a function or a setting differs.

`fingerprint` identifies data sets whose features are cached on the disk. `describe` and
`describe_data` identify runs of `fit`, so that a checkpoint is never resumed by another run.
"""

import enum
import functools
import hashlib
import os
import sysconfig
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, Subset

from transferlab.data import FreshDataset, ImageFiles, MemoryDataset, labels
from transferlab.device import seeded
from transferlab.errors import InputError
from transferlab.files import hash_tensors, hash_text

# ---- data sets -----------------------------------------------------------------------------------


def fingerprint(dataset: Dataset) -> Any:
    """Return what determines the samples of a data set, in a form that JSON can hold.

    Equal fingerprints mean equal samples in equal order. Tensors are hashed. For the
    files of an image folder, names, sizes and times of the last change are used: reading them costs
    almost nothing, and every change of a file changes its `ctime`. A data set of your own can have
    a method `fingerprint()`.
    """
    if hasattr(dataset, "fingerprint"):
        return dataset.fingerprint()
    # The exact types: a subclass may return other samples.
    if type(dataset) is MemoryDataset:
        return {
            "name": dataset.name,
            "classes": dataset.classes,
            "shape of x": list(dataset.x.shape),
            "sha256": hash_tensors([("x", dataset.x), ("y", dataset.y)]),
        }
    if type(dataset) is ImageFiles:
        return {
            "name": dataset.name,
            "classes": dataset.classes,
            "files": len(dataset),
            "sha256 of names, sizes and times": _hash_files(dataset),
            "transform": _transform_text(dataset.transform),
        }
    if type(dataset) is Subset:
        positions = torch.as_tensor(dataset.indices)
        return {
            "samples": len(positions),
            "sha256 of their positions": hash_tensors([("positions", positions)]),
            "of": fingerprint(dataset.dataset),
        }
    raise InputError(
        f"a {type(dataset).__name__} cannot be told from another one, so nothing that is computed "
        "from it is kept on disk; expected tensors, an image folder, a part of these, or a method "
        "fingerprint()."
    )


def _hash_files(data: ImageFiles) -> str:
    digest = hashlib.sha256()
    root = os.path.commonpath([file.parent.parent for file in data.files])  # it may move
    for file, label in zip(data.files, data.targets, strict=True):
        status = file.stat()
        facts = (
            str(file.relative_to(root)),
            label,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )
        digest.update(f"{facts}\n".encode())
    return digest.hexdigest()


def _transform_text(transform: Any) -> str:
    """Return a transform's repr; refuse one that is only an address in memory."""
    text = repr(transform)
    if " at 0x" in text:
        raise InputError(
            f"the transform {text} does not say what it does, so nothing that is computed with it "
            "is kept on disk; expected one whose text says so, such as backbone.transform."
        )
    return text


SAMPLE = 16  # inputs that are hashed where hashing all would take long
WHOLE_BYTES = 64 * 2**20  # data in memory up to this size are hashed whole


def describe_data(dataset: Dataset) -> dict[str, Any]:
    """Return what distinguishes a training set from others of the same length, by name.

    A text that begins with "#" is a hash. For a data set that is not in memory, a sample of the
    inputs is read.
    """
    try:
        y = labels(dataset)
        label_hash = short_hash([("labels", torch.as_tensor(y))])
    except InputError:  # the data set has no attribute for its labels
        label_hash = "unknown"
    return {
        "samples": len(dataset),
        "classes": [str(name) for name in getattr(dataset, "classes", [])],
        "labels": label_hash,
        "inputs": _hash_inputs(dataset),
    }


def _hash_inputs(dataset: Dataset) -> str:
    if hasattr(dataset, "fingerprint"):
        return _text_hash(str(dataset.fingerprint()))
    if isinstance(dataset, MemoryDataset):
        x = dataset.x
        if x.nbytes > WHOLE_BYTES:
            x = x[_spread(len(x))]
        return short_hash([("x", x)])
    one, two = _read_sample(dataset), _read_sample(dataset)
    # The inputs of a data set with its own random numbers, which no seed fixes, identify nothing.
    return one if one == two else "random"


def _read_sample(dataset: Dataset) -> str:
    with seeded(0):  # random transforms draw the same each time
        if isinstance(dataset, FreshDataset):
            x, y = dataset.draw(SAMPLE, torch.Generator().manual_seed(0))
            return short_hash([("x", x), ("y", y)])
        samples = [dataset[int(i)][0] for i in _spread(len(dataset))]
        return short_hash((str(i), torch.as_tensor(x)) for i, x in enumerate(samples))


def _spread(n: int) -> Tensor:
    """Return up to `SAMPLE` positions, evenly spread from the first to the last."""
    return torch.linspace(0, n - 1, min(n, SAMPLE)).round().long()


# ---- functions and settings ----------------------------------------------------------------------

NUMBERS_AND_TEXTS = (bool, int, float, complex, str, bytes)
PLAIN = (*NUMBERS_AND_TEXTS, type(None), range, slice, enum.Enum, PurePath, np.generic)
PLAIN += (torch.dtype, torch.device, torch.Size)
# Functions from here are identified by name; the code of others may change between runs.
LIBRARIES = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
    | {str(Path(__file__).parent)}
)


def describe(value: Any, name: str) -> str:
    """Return a text that differs whenever a function or a setting would do something else.

    A function is its qualified name, the values that it captured and its default arguments; one
    of your own also has a hash of its code and the numbers and functions that the code refers to.
    Objects are described by their attributes. A value that contains something indescribable, such
    as an open file or a random number generator, is refused.

    Args:
        name: what `value` is called in the message of a refusal.
    """
    try:
        return _describe(value, ())
    except _CannotDescribeError as error:
        raise InputError(
            f"{name} holds {error}, which does not say what it is, so a checkpoint could not tell "
            "this run from another; expected functions and objects made of numbers, texts and "
            "tensors (or no checkpoint)."
        ) from None


class _CannotDescribeError(Exception):
    """Something has no description but its address in memory."""


def _describe(value: Any, outer: tuple[int, ...]) -> str:
    if isinstance(value, PLAIN):
        return repr(value)
    if id(value) in outer:  # an object that contains itself
        return "…"

    def inside(part: Any) -> str:
        return _describe(part, (*outer, id(value)))

    match value:
        case Tensor():
            return short_hash([("", value)])
        case np.ndarray():
            return _text_hash(f"{value.dtype} {value.shape} {value.tobytes().hex()}")
        case list() | tuple():
            return f"[{', '.join(map(inside, value))}]"
        case set() | frozenset():
            return f"{{{', '.join(sorted(map(inside, value)))}}}"
        case Mapping():
            return f"{{{', '.join(f'{inside(k)}: {inside(v)}' for k, v in value.items())}}}"
        case functools.partial():
            parts = [inside(value.func), *map(inside, value.args), inside(value.keywords)]
            return f"partial({', '.join(parts)})"
        case types.MethodType():
            return f"{inside(value.__func__)} of {inside(value.__self__)}"
        case types.FunctionType():
            return _describe_function(value, inside)
        case type() | types.BuiltinFunctionType():
            return f"{value.__module__}.{value.__qualname__}"
        case types.ModuleType():
            return value.__name__
        case nn.Module():
            # A trainable network changes its weights all the time: use its architecture alone.
            learns = any(parameter.requires_grad for parameter in value.parameters())
            return repr(value) + ("" if learns else short_hash(value.state_dict().items()))
    if hasattr(value, "__dict__"):
        kind = type(value)
        return f"{kind.__module__}.{kind.__qualname__}({inside(vars(value))})"
    text = repr(value)
    if " at 0x" in text:  # only an address in memory
        raise _CannotDescribeError(f"a {type(value).__name__}")
    return text


def _describe_function(function: types.FunctionType, inside: Callable[[Any], str]) -> str:
    code = function.__code__
    facts = {}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            facts[name] = inside(cell.cell_contents)
        except ValueError:  # a variable that has no value yet
            facts[name] = "empty"
    if function.__defaults__ or function.__kwdefaults__:
        facts["defaults"] = inside([function.__defaults__, function.__kwdefaults__])
    if not code.co_filename.startswith(LIBRARIES):
        for name in code.co_names:
            value = function.__globals__.get(name)
            if isinstance(value, (*NUMBERS_AND_TEXTS, tuple, Tensor, types.FunctionType)):
                facts[name] = inside(value)
        facts["code"] = _text_hash(_code_text(code))
    name = f"{function.__module__}.{function.__qualname__}"
    return f"{name}({', '.join(f'{key}={text}' for key, text in facts.items())})"


def _code_text(code: types.CodeType) -> str:
    """Return a function's code as a text, without file names and line numbers."""
    constants = [
        _code_text(constant) if isinstance(constant, types.CodeType) else _describe(constant, ())
        for constant in code.co_consts
    ]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {constants}"


def short_hash(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """Return the beginning of the hash of named tensors, marked as a hash by "#"."""
    return f"#{hash_tensors(tensors)[:16]}"


def _text_hash(text: str) -> str:
    return f"#{hash_text(text)[:16]}"
