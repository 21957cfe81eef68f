"""Fingerprints: a short text that differs whenever the data differ."""

import hashlib
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset

from transferlab.data.dataset import MemoryDataset
from transferlab.data.folders import ImageFolder
from transferlab.errors import InputError


def fingerprint(dataset: Dataset) -> Any:
    """Return what decides the samples of a data set, as something that JSON can hold.

    Equal fingerprints mean equal samples in equal order. Tensors are hashed. Of the files of an
    image folder the names, the sizes and the times of the last change are taken: a look at these
    costs almost nothing, and every way of changing a file changes its `ctime`. A data set of your
    own can have a method `fingerprint()`.
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
    if type(dataset) is ImageFolder:
        return {
            "name": dataset.name,
            "classes": dataset.classes,
            "files": len(dataset),
            "sha256 of names, sizes and times": _hash_files(dataset),
            "transform": _describe(dataset.transform),
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


def hash_tensors(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """Return the SHA-256 of tensors with their names, types and shapes."""
    digest = hashlib.sha256()
    for name, tensor in tensors:
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor_bytes(tensor))
    return digest.hexdigest()


def tensor_bytes(tensor: Tensor) -> memoryview:
    """Return the numbers of a tensor as bytes, without a copy when they lie in one piece."""
    flat = tensor.detach().cpu().contiguous().flatten()
    return memoryview(flat.view(torch.uint8).numpy())


def _hash_files(data: ImageFolder) -> str:
    digest = hashlib.sha256()
    for file, label in zip(data.files, data.targets, strict=True):
        status = file.stat()
        name = f"{file.parent.name}/{file.name}"  # where the folder itself lies does not matter
        facts = (name, label, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        digest.update(f"{facts}\n".encode())
    return digest.hexdigest()


def _describe(transform: Any) -> str:
    """Return a transform's own words; refuse one that only says where it lies in memory."""
    text = repr(transform)
    if " at 0x" in text:
        raise InputError(
            f"the transform {text} does not say what it does, so nothing that is computed with it "
            "is kept on disk; expected one whose text says so, such as backbone.transform."
        )
    return text
