"""Checkpoints: resume a run bit for bit, and refuse any other run, naming the difference.

A checkpoint is written completely or not at all, and read without running code.
"""

import errno
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from transferlab.device import rng_state, set_rng_state
from transferlab.errors import InputError
from transferlab.files import real_path, written_whole
from transferlab.fingerprints import describe, short_hash
from transferlab.history import History
from transferlab.models.layers import mode_is_held
from transferlab.scale import gather_from_processes, process_rank

FORMAT = "transferlab checkpoint 3"
Settings = dict[str, Any]  # name → a number, a text ("#…" is a hash), or a list of texts


# ---- the file ------------------------------------------------------------------------------------


def save_checkpoint(path: str | Path, content: dict[str, Any]) -> None:
    """Write a checkpoint of tensors, numbers, strings, lists and dicts, whole or not at all."""
    with written_whole(path) as unfinished, unfinished.open("wb") as file:
        torch.save({"format": FORMAT, **content}, file)


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, onto the CPU; refuse a cut, altered or foreign file.

    A sound file that cannot be read now (permissions, too many open files) is never called damaged:
    the error quotes the system's.
    """
    path = real_path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected a checkpoint.")
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a checkpoint.")
    try:
        return _read(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        try:
            # torch's files are zip archives with a checksum per record: verify all of them.
            with zipfile.ZipFile(file) as archive:
                broken = archive.testzip()
        except MemoryError:
            raise
        except Exception as error:  # zipfile has a dozen kinds of exceptions for altered bytes
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                raise
            raise InputError(f"{path} is cut short or is not a checkpoint; delete it.") from error
        if broken is not None:
            raise InputError(f"{path} was altered: the checksum of {broken} is wrong; delete it.")
        file.seek(0)
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise InputError(
                f"{path} holds more than tensors and was not opened, because it could run code; "
                "expected a checkpoint that fit() wrote."
            ) from error
        except (RuntimeError, ValueError, KeyError) as error:
            raise InputError(f"{path} is damaged; delete it.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path} is not a checkpoint that fit() wrote, in this version's format.")
    return content


# ---- the state of a run --------------------------------------------------------------------------


def capture(
    parts: Mapping[str, Any], order: torch.Generator, history: History, device: torch.device
) -> dict[str, Any]:
    """Return everything that a run needs to resume as if it had never stopped.

    Args:
        parts: the objects with a `state_dict`: model, optimizer, scheduler, penalty, …; by name.
        order: the generator that shuffles the data.
    """
    return {
        **{name: part.state_dict() for name, part in parts.items()},
        "rng": gather_from_processes(rng_state(device)),
        "order": order.get_state(),
        "history": asdict(history),
        "left as": describe_freezing(parts["model"]),
    }


def restore(
    saved: dict[str, Any],
    parts: Mapping[str, Any],
    order: torch.Generator,
    history: History,
    device: torch.device,
) -> None:
    """Restore the state of a checkpoint; the arguments are those of `capture`."""
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    if process_rank() < len(saved["rng"]):  # an additional process starts from its seed
        set_rng_state(saved["rng"][process_rank()], device)
    order.set_state(saved["order"])
    for name, values in saved["history"].items():
        setattr(history, name, values)


# ---- which run it is -----------------------------------------------------------------------------


def describe_model(model: nn.Module) -> Settings:
    """Return what identifies a model before training: its architecture and its weights."""
    return {
        "model": repr(model).splitlines(),
        **describe_freezing(model),
        "starting weights": short_hash(model.state_dict().items()),
    }


def describe_freezing(model: nn.Module) -> Settings:
    """Return which parameters are trainable, and which layers `freeze` keeps in one mode."""
    held = {name: m.training for name, m in model.named_modules() if mode_is_held(m)}
    return {
        "trainable parameters": [n for n, p in model.named_parameters() if p.requires_grad],
        "layers kept in one mode": [f"{name} training={mode}" for name, mode in held.items()],
    }


def describe_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module) -> Settings:
    """Return an optimizer's class, and names, shapes and options of its parameter groups."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    settings: Settings = {
        "optimizer": type(optimizer).__name__,
        "parameter groups": len(optimizer.param_groups),
    }
    for number, group in enumerate(optimizer.param_groups):
        where = f" of group {number}" if len(optimizer.param_groups) > 1 else ""
        settings[f"parameters{where}"] = [
            f"{names.get(parameter, 'unnamed')} {tuple(parameter.shape)}"
            for parameter in group["params"]
        ]
        for option, value in group.items():
            if option != "params":
                settings[f"{option}{where}"] = describe(value, option)
    return settings


def check_same_run(
    saved: dict[str, Any],
    settings: Settings,
    model: nn.Module,
    penalty: Any,
    total_steps: int,
    steps_per_epoch: int,
    path: str | Path,
) -> None:
    """Refuse the checkpoint of another run, before anything is changed."""
    _check_shapes(saved["model"], model, path)
    if settings["starting weights"] == short_hash(saved["model"].items()):
        # This same run trained the model, as when a notebook's cell is run again.
        left_as = {"starting weights": settings["starting weights"], **saved["left as"]}
        settings = {
            name: saved["settings"][name] if left_as.get(name) == value else value
            for name, value in settings.items()
        }
    for name, value in settings.items():
        if (before := saved["settings"].get(name)) != value:
            raise InputError(
                f"{path} belongs to another run: {_difference(name, before, value)}; "
                "use the same settings or another file."
            )
    _check_moments(saved["optimizer"], saved["settings"], path)
    _check_anchor(saved.get("penalty", {}), penalty, path)
    _check_steps(saved["history"]["steps"], total_steps, steps_per_epoch, path)


def check_processes_agree(settings: Settings) -> None:
    """Refuse to train when the processes of torchrun have different settings."""
    first, *others = gather_from_processes(settings)
    for rank, other in enumerate(others, start=1):
        for name in first:
            if other.get(name) != first[name]:
                difference = _difference(name, first[name], other.get(name), f"process {rank}")
                raise InputError(
                    f"the processes differ: process 0: {difference}; "
                    "start them with the same script and data."
                )


def _difference(name: str, before: Any, now: Any, who: str = "this run") -> str:
    """Say how two values of a setting differ."""
    if isinstance(before, list) and isinstance(now, list):
        length = max(len(before), len(now))
        pairs = zip(_padded(before, length), _padded(now, length), strict=True)
        one, two = next(pair for pair in pairs if pair[0] != pair[1])
        return f"in {name} it has {one.strip() or 'nothing'}, {who} {two.strip() or 'nothing'}"
    if str(before).startswith("#") or str(now).startswith("#"):
        return f"it has other {name} than {who}"
    return f"it has {name}={before}, {who} {name}={now}"


def _padded(texts: Sequence[str], length: int) -> list[str]:
    return [*texts, *[""] * (length - len(texts))]


def _check_shapes(saved: dict[str, Tensor], model: nn.Module, path: str | Path) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in saved.items()}
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if shapes != expected:
        name = sorted(shapes.items() ^ expected.items())[0][0]
        raise InputError(
            f"{path} belongs to another architecture: {name} has shape {shapes.get(name)}; "
            f"expected {expected.get(name)}."
        )


def _check_moments(saved: dict[str, Any], settings: Settings, path: str | Path) -> None:
    """Refuse moments of other shapes than their parameters.

    torch loads them without an error, and a fused optimizer then writes out of bounds.
    """
    names = [
        text
        for key, texts in settings.items()
        if key == "parameters" or key.startswith("parameters of group")
        for text in texts
    ]
    for number, moments in saved["state"].items():
        for kind, moment in moments.items():
            is_number = not isinstance(moment, Tensor) or moment.ndim == 0  # such as the steps
            if not is_number and not names[number].endswith(f" {tuple(moment.shape)}"):
                raise InputError(
                    f"{path} is damaged: {kind} of {names[number]} has shape "
                    f"{tuple(moment.shape)}; delete it."
                )


def _check_anchor(saved: dict[str, Any], penalty: Any, path: str | Path) -> None:
    """Refuse a penalty that is anchored at other weights than the run's."""
    given = {} if penalty is None else penalty.state_dict()
    if given and describe(given, "penalty") != describe(saved, "penalty"):
        raise InputError(f"{path} belongs to another run: its penalty is anchored elsewhere.")


def _check_steps(
    steps: Sequence[int], total_steps: int, steps_per_epoch: int, path: str | Path
) -> None:
    if steps and steps[-1] > total_steps:
        raise InputError(
            f"{path} has taken {steps[-1]} steps already; this run asks for {total_steps}. "
            "Ask for more, or use another file."
        )
    if steps and steps[-1] < total_steps and steps[-1] % steps_per_epoch:
        raise InputError(
            f"{path} ends after {steps[-1]} steps, in the middle of an epoch of {steps_per_epoch}; "
            f"it cannot be resumed to {total_steps}. Use another file."
        )
