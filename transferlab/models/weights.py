"""Reading weights safely: the file's hash, its format, its keys and its shapes are checked."""

import json
import pickle
import re
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from transferlab.errors import InputError
from transferlab.files import sha256, written_whole

SHIPPED = Path(__file__).parents[1] / "weights"  # small checkpoints that come with the package
PREFIXES = ("module.", "_orig_mod.")  # left behind by DataParallel and torch.compile


def shipped() -> list[str]:
    """Return the names of the checkpoints that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def card(name: str) -> dict[str, Any]:
    """Return the card of a shipped checkpoint: data, command, seed, metrics, sha256."""
    path = SHIPPED / f"{name}.json"
    if not path.is_file():
        raise InputError(f"no checkpoint {name!r} is shipped; there are {', '.join(shipped())}.")
    return json.loads(path.read_text(encoding="utf-8"))


def read_weights(path: str | Path, expected_sha256: str | None = None) -> dict[str, Tensor]:
    """Read a state dict from a `.safetensors` file or from a torch file, without running code.

    A torch file is opened with `weights_only=True`; a checkpoint that holds its state dict under
    `state_dict` or `model` is unpacked, and the prefixes of wrappers are removed. The
    hash is compared with `expected_sha256`, or with the eight digits that torch's file names end
    in (`resnet50-11ad3fa6.pth`).
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a file of weights.")
    expected = expected_sha256 or _hash_in_name(path.name)
    if expected and not (actual := sha256(path)).startswith(expected):
        raise InputError(
            f"{path} is damaged or altered: its SHA-256 begins with {actual[: len(expected)]}; "
            f"expected {expected}. Delete it and download it again."
        )
    message = f"{path} is cut short or is not a file of weights."
    try:
        if path.suffix == ".safetensors":
            content = safetensors.torch.load_file(path)
        else:
            with path.open("rb") as file:
                start = file.read(2)
            if start != b"PK" and start[:1] != b"\x80":  # neither of torch's two formats
                raise InputError(message)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds more than tensors and was not opened, because it could run code; "
            "expected a state dict, saved with torch.save(model.state_dict(), path)."
        ) from error
    except InputError:
        raise
    except Exception as error:  # a damaged pickle raises a dozen kinds of exceptions
        raise InputError(message) from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not _is_state_dict(content):
        raise InputError(f"{path} holds no state dict; expected names with one tensor each.")
    return {_without_prefix(name): tensor for name, tensor in content.items()}


def write_weights(
    path: str | Path, state: dict[str, Tensor], note: dict[str, Any], dtype: torch.dtype | None
) -> None:
    """Write a state dict and a note to a `.safetensors` file, completely or not at all."""
    tensors = {
        name: tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor
        for name, tensor in state.items()
    }
    tensors = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    # One entry: safetensors writes several in any order, and the file's hash would differ.
    content = safetensors.torch.save(tensors, metadata={"transferlab": json.dumps(note)})
    with written_whole(path) as unfinished:
        unfinished.write_bytes(content)


def read_note(weights: str | Path, architecture: str) -> dict[str, Any]:
    """Return what `save_weights` noted beside the tensors; {} for files from elsewhere.

    A note that names another architecture than the one asked for is an error.
    """
    path = Path(weights).expanduser()
    if str(weights) in shipped():
        path = SHIPPED / f"{weights}.safetensors"
    if path.suffix != ".safetensors" or not path.is_file():
        return {}
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            note = json.loads((file.metadata() or {}).get("transferlab", "{}"))
    except (OSError, SafetensorError, ValueError):
        return {}  # read_weights says what is wrong with the file
    if note.get("architecture", architecture) != architecture:
        raise InputError(
            f"weights {str(weights)!r} belong to {note['architecture']}, not to {architecture}."
        )
    if "shape" in note:
        note["shape"] = tuple(note["shape"])
    return note


def is_backbone_layout(state: dict[str, Tensor]) -> bool:
    """Return whether a state dict has the names of our backbones, not those of another library."""
    return all(key.startswith(("features.", "head.")) for key in state)


def _is_state_dict(content: Any) -> bool:
    if not isinstance(content, dict) or not content:
        return False
    return all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items())


def _hash_in_name(name: str) -> str:
    """Return the hash that a file's name ends in, or "" (a date or a number of steps is none)."""
    match = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    if match is None or match.group(1).isdigit():
        return ""
    return match.group(1)


def _without_prefix(name: str) -> str:
    while name.startswith(PREFIXES):  # more than one wrapper leaves more than one prefix
        name = name.partition(".")[2]
    return name


def load_into(model: nn.Module, weights: dict[str, Tensor], source: str) -> None:
    """Copy weights into a model; refuse those of another architecture, changing nothing.

    Args:
        source: where the weights came from, for the message.
    """
    own = model.state_dict()
    optional = {name for name in own if name.endswith("num_batches_tracked")}
    missing = sorted(own.keys() - weights.keys() - optional)
    unexpected = sorted(weights.keys() - own.keys())
    reshaped = [n for n in own.keys() & weights.keys() if own[n].shape != weights[n].shape]
    if missing or unexpected:
        raise InputError(
            f"{source} belongs to another architecture: {len(missing)} tensors are missing"
            f"{_example(missing)}, {len(unexpected)} are unknown{_example(unexpected)}."
        )
    if reshaped:
        name = sorted(reshaped)[0]
        raise InputError(
            f"{source} belongs to another architecture: {name} has shape "
            f"{tuple(weights[name].shape)}; expected {tuple(own[name].shape)}."
        )
    model.load_state_dict(weights, strict=False)  # only num_batches_tracked may be absent


def _example(names: list[str]) -> str:
    return f" (such as {names[0]})" if names else ""
