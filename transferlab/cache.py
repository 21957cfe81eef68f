"""One cache for all lessons: features and trained weights that would be computed again.

It lies in the folder that TRANSFERLAB_CACHE names, otherwise in ~/.cache/transferlab/computed.
Everything in it can be computed again, so it may be deleted at any time.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from transferlab.device import choose_device
from transferlab.errors import InputError
from transferlab.files import hash_tensors, hash_text
from transferlab.fingerprints import describe
from transferlab.history import History
from transferlab.models.weights import load_into, read_note, read_weights, write_weights

MOST_BYTES = 2**30
PACKAGE = Path(__file__).parent


def cache_folder() -> Path:
    """Return the folder of the cache; if it is too full, what was used longest ago goes first.

    >>> features = extract_features(model, photos, cache=cache_folder())
    """
    folder = Path(os.environ.get("TRANSFERLAB_CACHE") or "~/.cache/transferlab/computed")
    folder = folder.expanduser()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"the cache {folder} is a file; set TRANSFERLAB_CACHE to a folder.")
    _make_room(folder)
    return folder


def cache_state() -> str:
    """Return where the cache is, how large it is, and how to empty it."""
    folder = cache_folder()
    used = sum(size for _, size, _ in _entries(folder)) / 2**20
    return f"{folder}: {used:.0f} of {MOST_BYTES / 2**20:.0f} MiB; delete the folder to empty it"


def train_once(
    train: Callable[..., History], model: nn.Module, *data: Any, **options: Any
) -> History:
    """Call `train(model, *data, **options)`, or load what the same call has made before.

    >>> train_once(pretrain.contrastive, model, images, steps=300, seed=0)

    The same call: the same function, starting weights, data and options, the same code of this
    package, torch and kind of device. The network is trained in place either way.

    Args:
        train: a function that trains its first argument in place and returns the History.
        data, options: what else the function takes. Its result must hang on nothing but these, so
            give it a seed.
    """
    note = {
        "call": hash_text(describe([train, data, options], "the call")),
        "network": hash_text(repr(model)),
        "starting weights": hash_tensors(model.state_dict().items()),
        "code": code_hash(),
        "torch": torch.__version__,
        "device": choose_device(options.get("device", "auto")).type,
    }
    path = cache_folder() / f"{hash_text(json.dumps(note))[:16]}-trained.safetensors"
    if path.is_file():
        # A damaged file is no reason to stop: it is trained and written again.
        with contextlib.suppress(InputError, KeyError, TypeError):
            kept = read_note(path)
            if kept["of"] == note:
                history = History(**kept["history"])
                load_into(model, read_weights(path), str(path))
                with contextlib.suppress(OSError):  # it may belong to another user
                    path.touch()  # used just now
                return history
    history = train(model, *data, **options)
    content = {"of": note, "history": dataclasses.asdict(history)}
    try:
        write_weights(path, model.state_dict(), content, None)
    except (OSError, InputError) as error:  # a folder of another user's: go on without
        print(f"trained, but not kept in the cache: {error}")
    return history


@functools.cache
def code_hash() -> str:
    """Return the SHA-256 of the code of this package that can change what a training gives."""
    digest = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
        if file.relative_to(PACKAGE).parts[0] not in ("kit", "plots"):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _make_room(folder: Path) -> None:
    entries = sorted(_entries(folder))
    total = sum(size for _, size, _ in entries)
    for _, size, files in entries:
        if total <= MOST_BYTES:
            break
        for file in files:
            with contextlib.suppress(OSError):  # open on Windows, or removed by another process
                file.unlink()
        total -= size


def _entries(folder: Path) -> list[tuple[float, int, list[Path]]]:
    """Return time of the last use, size and files of each entry."""
    groups: dict[str, list[Path]] = {}
    for file in folder.glob("[!.]*"):
        groups.setdefault(file.name.partition(".")[0], []).append(file)
    entries = []
    for files in groups.values():
        with contextlib.suppress(OSError):  # removed by another process just now
            facts = [file.stat() for file in files]
            used = max(fact.st_mtime for fact in facts)
            entries.append((used, sum(fact.st_size for fact in facts), files))
    return entries
