"""Reading weights safely: a file's hash, its format, its names and its numbers are checked."""

import contextlib
import errno
import json
import math
import re
import reprlib
import zipfile
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from transferlab.errors import InputError
from transferlab.files import check_writable, hash_tensors, sha256, written_whole
from transferlab.models.packaged import packaged_cards

SHIPPED = Path(__file__).parents[1] / "weights"  # small checkpoints that come with the package
# Where a checkpoint may hold its state dict; the first of them is read.
KEYS = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "ema")
WRAPPERS = ("module.", "_orig_mod.")  # prefixes left behind by DataParallel and torch.compile
OWNERS = (*WRAPPERS, "model.", "net.", "network.", "backbone.", "encoder.")  # Lightning's and more
# The kinds of values in a note, where another kind would do harm.
KINDS = {"note": "dict", "shape": "list of int", "normalized": "bool", "tied": "dict of str"}
KINDS |= {"alpha": "int|float", "preprocessing": "str|NoneType"}
KINDS |= dict.fromkeys(("classes", "columns"), "list of str|NoneType")


def shipped() -> list[str]:
    """Return the names of the checkpoints that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def card(name: str) -> dict[str, Any]:
    """Return the card of a checkpoint: data, metrics, sha256; if shipped, its command and seed."""
    if name in packaged_cards():
        return packaged_cards()[name]
    path = SHIPPED / f"{name}.json"
    if not path.is_file():
        there = ", ".join([*shipped(), *packaged_cards()])
        raise InputError(f"no checkpoint {name!r} is known; there are {there}.")
    return json.loads(path.read_text(encoding="utf-8"))


def read_weights(path: str | Path, expected_sha256: str | None = None) -> dict[str, Tensor]:
    """Read a state dict from a `.safetensors` file or from a torch file, without running code.

    A torch file is opened with `weights_only=True`; a checkpoint that holds its state dict under
    one of `KEYS` is unpacked, and the prefixes of wrappers are removed. Types stay those of the
    file; NaN and infinite numbers are refused.

    Damage is found by the checksums in torch's files and by the hash that `save_weights` notes.
    Torch files from before 2020 and `.safetensors` from elsewhere have neither: give the
    `expected_sha256`, unless the name ends in eight digits of it (`resnet50-11ad3fa6.pth`).
    """
    path = Path(path).expanduser()
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {found}; expected a file of weights.")
    expected = (expected_sha256 or _hash_in_name(path.name)).lower()
    if expected and not (actual := sha256(path)).startswith(expected):
        raise InputError(
            f"{path} is damaged or altered: its SHA-256 begins with {actual[: len(expected)]}; "
            f"expected {expected}. Delete it and download it again."
        )
    content = _read(path)
    state, note = _find_state_dict(content), read_note(path)
    if state is None:
        names = list(content) if isinstance(content, dict) else []
        names.sort(key=lambda name: isinstance(content[name], Tensor))  # first what is none
        held = ", ".join(map(reprlib.repr, names[:8])) or f"no names ({type(content).__name__})"
        raise InputError(
            f"{path} holds {held}; expected a state dict (names with one tensor each), alone or "
            f"under one of {', '.join(KEYS)}."
        )
    if "sha256" in note and note["sha256"] != _hash(note, state):
        raise InputError(f"{path} was altered: its content no longer matches its hash.")
    _check_numbers(state, path)
    return without_prefix(state, WRAPPERS)


def write_weights(
    path: str | Path, state: dict[str, Tensor], note: dict[str, Any], dtype: torch.dtype | None
) -> None:
    """Write a state dict and a note to a `.safetensors` file, completely or not at all."""
    if dtype is not None and not getattr(dtype, "is_floating_point", False):
        raise InputError(f"dtype={dtype!r}: expected a type such as torch.float16, or None.")
    check_writable(path)
    tensors = {
        name: tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor
        for name, tensor in state.items()
    }
    _check_numbers(tensors, path)
    # Clones, because safetensors refuses layers that share a tensor.
    tensors = {name: tensor.cpu().contiguous().clone() for name, tensor in tensors.items()}
    _check_note(note, path)
    note = {**note, "sha256": _hash(note, tensors)}
    # One entry: safetensors writes several in any order, and the file's hash would differ.
    content = safetensors.torch.save(tensors, metadata={"transferlab": json.dumps(note)})
    with written_whole(path) as unfinished:
        unfinished.write_bytes(content)


def read_note(weights: str | Path, architecture: str | None = None) -> dict[str, Any]:
    """Return what `save_weights` noted beside the tensors; {} for files from elsewhere.

    A note that names another architecture than the one asked for is an error.
    """
    path = Path(weights).expanduser()
    if str(weights) in shipped():
        path = SHIPPED / f"{weights}.safetensors"
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            note = (file.metadata() or {}).get("transferlab", "{}")
    except (OSError, ValueError, SafetensorError):
        return {}  # a torch file; or read_weights says what is wrong with it
    with contextlib.suppress(ValueError, RecursionError):
        note = json.loads(note)
    _check_note(note, path)
    if architecture and note.get("architecture", architecture) != architecture:
        raise InputError(
            f"weights {str(weights)!r} belong to {note['architecture']}, not to {architecture}."
        )
    return note


def load_weights(model: nn.Module, path: str | Path, sha256: str | None = None) -> None:
    """Read what `save_weights` wrote into a backbone of the same kind, such as one of your own.

    The head gets as many outputs as the file has. Another architecture is refused.
    """
    note = read_note(path, model.name)
    state = read_weights(path, sha256)
    if (rows := head_rows(state, path)) != model.num_classes:
        model.replace_head(rows)
    load_into(model, state, str(path), note.get("tied"))
    for what in ("classes", "trained_on", "columns"):
        setattr(model, what, note.get(what))


def is_backbone_layout(state: dict[str, Tensor]) -> bool:
    """Return whether a state dict has the names of our backbones, not those of another library."""
    return all(key.startswith(("features.", "head.")) for key in state)


def head_rows(state: dict[str, Tensor], source: str | Path) -> int:
    """Return how many outputs the head in a backbone's state dict has."""
    weight = state.get("head.weight")
    if weight is None or weight.ndim != 2 or not len(weight):
        raise InputError(f"{source} holds no head; expected tensors head.weight and head.bias.")
    return len(weight)


def without_prefix(state: dict[str, Tensor], prefixes: tuple[str, ...] = OWNERS) -> Any:
    """Remove the prefixes that all names of a state dict share; several wrappers leave several."""
    while shared := [p for p in prefixes if all(name.startswith(p) for name in state)]:
        state = {name.removeprefix(shared[0]): tensor for name, tensor in state.items()}
    return state


def tied_names(model: nn.Module) -> dict[str, str]:
    """Return the parameters that are another one's tensor: name → name of the other one."""
    first: dict[Tensor, str] = {}
    names = model.named_parameters(remove_duplicate=False)
    return {name: first[p] for name, p in names if first.setdefault(p, name) != name}


def load_into(
    model: nn.Module, weights: dict[str, Tensor], source: str, tied: dict[str, str] | None = None
) -> None:
    """Copy weights into a model; refuse those of another architecture, changing nothing.

    Numbers in float16, bfloat16 or float64 are converted to the model's type.

    Args:
        source: where the weights came from, for the message.
        tied: the `tied_names` of the model that was saved.
    """
    own, tied = model.state_dict(), tied or {}
    optional = {name for name in own if name.endswith("num_batches_tracked")}
    missing = sorted(own.keys() - weights.keys() - optional)
    unexpected = sorted(weights.keys() - own.keys())
    both = sorted(own.keys() & weights.keys())
    reshaped = [name for name in both if own[name].shape != weights[name].shape]
    difference = ""
    if missing or unexpected:
        difference = f"{len(missing)} tensors are missing{_example(missing)}, "
        difference += f"{len(unexpected)} are unknown{_example(unexpected)}"
    elif reshaped:
        shapes = [tuple(state[reshaped[0]].shape) for state in (weights, own)]
        difference = f"{reshaped[0]} has shape {shapes[0]}; expected {shapes[1]}"
    if difference:
        raise InputError(
            f"{source} belongs to another architecture: {difference}. A network of your own "
            f"reads it with model.load_state_dict(models.read_weights({source!r}))."
        )
    for name in both:
        found, expected = weights[name].dtype, own[name].dtype
        if found.is_floating_point != expected.is_floating_point:
            raise InputError(f"{source}: {name} is {found}; expected {expected}.")
    parameters = dict(model.named_parameters())
    for name, first in tied.items():
        if {name, first} - parameters.keys() or not torch.equal(weights[name], weights[first]):
            raise InputError(f"{source}: its note has {name} and {first} as one; they differ.")
    model.load_state_dict(weights, strict=False)  # only num_batches_tracked may be absent
    for name, first in tied.items():
        layer, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(layer), leaf, parameters[first])


def _example(names: list[str]) -> str:
    return f" (such as {names[0]})" if names else ""


def _read(path: Path) -> Any:
    """Return what a file holds, without running what it may contain."""
    message = f"{path} is cut short or is not a file of weights."
    try:
        with path.open("rb") as file:
            start = file.read(32)
            if start[8:9] == b"{":  # safetensors: the length of the header, and the header
                return safetensors.torch.load_file(path)
            if start.startswith(b"PK"):  # torch: a zip archive, with a checksum for each record
                with zipfile.ZipFile(file) as archive:
                    if broken := archive.testzip():
                        raise InputError(f"{path} was altered: the checksum of {broken} is wrong.")
            elif b"l\xfc\x9cF\xf9" not in start:  # torch's mark in its files before 1.6
                raise InputError(message)
            file.seek(0)  # the file, not its path: torch would believe the ending of the name
            return torch.load(file, map_location="cpu", weights_only=True)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # damaged bytes raise a dozen kinds of exceptions
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            message = f"{path} cannot be read: {error.strerror}."
        elif re.search(r"nsupported (global|GLOBAL|class)|TorchScript", str(error)):
            message = (
                f"{path} holds more than tensors and was not opened, because it could run code; "
                "expected a state dict. If you trust it, run this where it was made: "
                f"torch.save(torch.load({path.name!r}, weights_only=False).state_dict(), "
                "'weights.pt'); for a checkpoint, with ['state_dict'] instead of .state_dict()."
            )
        raise InputError(message) from error


def _find_state_dict(content: Any, depth: int = 2) -> dict[str, Tensor] | None:
    """Return a state dict that is the content, or is in it under one of `KEYS`."""
    if not isinstance(content, dict):
        return None
    named = all(isinstance(name, str) and name.isprintable() for name in content)
    if content and named and all(isinstance(tensor, Tensor) for tensor in content.values()):
        return content
    inside = (_find_state_dict(content.get(key), depth - 1) for key in KEYS if depth)
    return next((state for state in inside if state), None)


def _check_numbers(tensors: dict[str, Tensor], source: str | Path) -> None:
    """Refuse tensors without a number for each place, and numbers that are not finite."""
    for name, x in tensors.items():
        if x.layout != torch.strided or x.is_quantized or x.is_complex() or x.is_meta:
            found = "sparse, quantized, complex or without numbers"
        elif x.numel() * x.element_size() > x.untyped_storage().nbytes():
            found = f"of shape {tuple(x.shape)} with fewer numbers than that"
        elif not x.float().isfinite().all():
            found = f"of {x.dtype} with NaN, infinite or too large numbers"
        else:
            continue
        raise InputError(f"{source}: {name} is {found}; expected finite numbers.")


def _hash(note: dict[str, Any], state: dict[str, Tensor]) -> str:
    """Return the SHA-256 of a note and of tensors."""
    text = json.dumps({entry: value for entry, value in note.items() if entry != "sha256"})
    return hash_tensors([(text, torch.empty(0)), *sorted(state.items())])


def _check_note(note: Any, path: str | Path) -> None:
    """Refuse a note whose values are of other kinds than those that `save_weights` writes."""
    for entry, value in (note if isinstance(note, dict) else {"note": note}).items():
        kind = type(value).__name__
        if isinstance(value, list | dict):
            values = value if isinstance(value, list) else value.values()
            kind += f" of {'/'.join({type(v).__name__ for v in values}) or 'str'}"
        right = re.fullmatch(KINDS.get(entry, ".*"), kind)
        if right and entry == "shape":  # a network for a larger one would fill the memory
            right = min(value) > 0 and math.prod(value) < 2**24
        if not right:
            found, kinds = reprlib.repr(value), KINDS[entry].replace("|", " or ")
            kinds += ", each positive and none huge" if entry == "shape" else ""
            raise InputError(f"{path}: its note has {entry}={found}; expected {kinds}.")


def _hash_in_name(name: str) -> str:
    """Return the hash that a file's name ends in, or "" (a date or a number of steps is none)."""
    match = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    if match is None or match.group(1).isdigit():
        return ""
    return match.group(1)
