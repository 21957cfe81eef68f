"""Values on their way into the sandbox and out of it: as JSON, never unpickled, types kept.

What comes out was made by a process that ran a student's code. So only data of known types counts:
numbers, texts, lists, tables, tensors and arrays. An object that claims to equal everything arrives
as the name of its class.
"""

import base64
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

KINDS = "biufc"  # of numpy's types: booleans, integers, floats, complex numbers
MOST_DIMENSIONS = 16
SEQUENCES = {kind.__name__: kind for kind in (list, tuple, set, frozenset)}
NEAR = {"rtol": 1e-4, "atol": 1e-6, "equal_nan": True}  # float32 has seven digits


class Here(str):
    """An argument that cannot travel, such as a network: the code that makes it on arrival."""


def encode(value: object) -> Any:
    """Return a value as what JSON can hold; `decode` is the way back."""
    kind = type(value)  # the exact one: an heir may have methods of its own
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is Here:
        return {"here": str(value)}
    if kind in SEQUENCES.values():
        return {kind.__name__: [encode(part) for part in value]}
    if kind is dict:
        return {"dict": [[encode(key), encode(part)] for key, part in value.items()]}
    if kind in (torch.Tensor, torch.nn.Parameter):
        tensor = value.detach().cpu()
        tensor = tensor.float() if tensor.dtype == torch.bfloat16 else tensor  # numpy has none
        return {"tensor": _array(tensor.resolve_neg().resolve_conj().numpy())}
    if kind is np.ndarray and value.dtype.kind in KINDS:
        return {"array": _array(value)}
    if issubclass(kind, np.generic) and kind.__module__ == "numpy":
        return encode(value.item())
    return {"other": kind.__name__}


def _array(array: np.ndarray) -> list[Any]:
    content = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return [array.dtype.str, list(array.shape), content]


def decode(coded: Any, namespace: Mapping[str, Any] | None = None) -> Any:
    """Return the value again; code to be run on arrival needs a namespace to run in.

    Raises:
        ValueError: what arrived is none of our making.
    """
    if coded is None or isinstance(coded, bool | int | float | str):
        return coded
    try:
        ((kind, content),) = coded.items()
        if kind in SEQUENCES:
            return SEQUENCES[kind](decode(part, namespace) for part in content)
        if kind == "dict":
            return {decode(key): decode(part, namespace) for key, part in content}
        if kind in ("tensor", "array"):
            array = _from_bytes(*content)
            return torch.from_numpy(array) if kind == "tensor" else array
        if kind == "here" and namespace is not None:
            return eval(content, dict(namespace))
    except (AttributeError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(str(error)) from error
    raise ValueError(f"a value of the type {content!s:.60}")


def _from_bytes(kind: str, shape: list[int], content: str) -> np.ndarray:
    form, raw = np.dtype(kind), base64.b64decode(content, validate=True)
    if form.kind not in KINDS or len(shape) > MOST_DIMENSIONS:
        raise ValueError(f"an array of the type {form} with {len(shape)} dimensions")
    if any(type(n) is not int or n < 0 for n in shape):
        raise ValueError("a shape with other than whole numbers")
    if math.prod(shape) * form.itemsize != len(raw):
        raise ValueError("an array whose shape does not fit its bytes")
    return np.frombuffer(raw, form).reshape(shape).copy()


def alike(expected: object, found: object) -> bool:
    """Return whether two values say the same.

    A number counts whether it stands alone, in a tensor or in an array; a row of numbers, whether
    it is a list, a tuple, a tensor or an array. Numbers may differ by a rounding error.
    """
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and expected.keys() == found.keys()
            and all(alike(expected[key], found[key]) for key in expected)
        )
    ours, theirs = _numbers(expected), _numbers(found)
    if ours is not None and theirs is not None:
        if ours.ndim == 0 and theirs.size == 1:
            theirs = theirs.reshape(())
        return ours.shape == theirs.shape and bool(np.allclose(ours, theirs, **NEAR))
    if isinstance(expected, list | tuple):
        return (
            isinstance(found, list | tuple)
            and len(expected) == len(found)
            and all(map(alike, expected, found))
        )
    if isinstance(expected, set | frozenset):
        try:
            return expected == set(found)
        except TypeError:
            return False
    return type(expected) is type(found) and expected == found


def _numbers(value: object) -> np.ndarray | None:
    """Return a value as an array of numbers; None when it is something else."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, list | tuple):
        parts = [_numbers(part) for part in value]
        if any(part is None for part in parts) or len({part.shape for part in parts}) > 1:
            return None
        return np.stack(parts) if parts else np.zeros(0)
    if isinstance(value, bool | int | float | np.ndarray):
        try:
            return np.asarray(value, dtype=complex if np.iscomplexobj(value) else float)
        except OverflowError:  # a whole number beyond all floats
            return None
    return None


def shown(value: object, longest: int = 120) -> str:
    """Return a value as a sentence can hold it."""
    if isinstance(value, torch.Tensor | np.ndarray) and value.size and math.prod(value.shape) > 8:
        return f"{type(value).__name__.lower()} of shape {tuple(value.shape)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
