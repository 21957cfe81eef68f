"""The device, the CPU quota, and every source of randomness."""

import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from transferlab.errors import InputError

DEVICES = ("auto", "cpu", "cuda", "mps")
_preferred: str | None = None  # what "auto" means in this process, if `prefer_device` was called


def prefer_device(name: str | None) -> None:
    """Set what "auto" means from now on; None: the GPU if there is one, otherwise the CPU.

    A lesson sets it once, in `lesson.start`, so none of its other cells names a device.
    """
    global _preferred
    _preferred = None
    _preferred = None if name is None else str(choose_device(name))


def choose_device(name: str | torch.device = "auto") -> torch.device:
    """Return the device called `name`.

    "auto" is the device set by `prefer_device`, or else the GPU if there is one, otherwise the CPU.
    Each process that torchrun started gets its own GPU.
    """
    if str(name) == "auto" and _preferred is not None:
        name = _preferred
    kind = str(name).partition(":")[0]
    if kind not in DEVICES:
        raise InputError(f"device={str(name)!r} is unknown; expected one of {', '.join(DEVICES)}.")
    if kind == "auto":
        name = kind = "cuda" if torch.cuda.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": _mps_is_available()}
    if not available[kind]:
        raise InputError(f"device={str(name)!r} was asked for, but torch finds none here; use cpu.")
    if str(name) == "cuda" and "LOCAL_RANK" in os.environ:
        number, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if number >= count:
            raise InputError(f"torchrun started more processes than the {count} GPUs found here.")
        return torch.device("cuda", number)
    return torch.device(name)


def _mps_is_available() -> bool:
    return torch.backends.mps.is_available()


def cpu_quota() -> float:
    """Return how many CPU cores this process may use.

    A container often sees all cores of its host but may use only a share of them. Starting one
    thread per visible core then makes everything slower, so the smaller number counts.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = float(len(os.sched_getaffinity(0)))
    else:
        cores = float(os.cpu_count() or 1)
    with contextlib.suppress(OSError, ValueError):  # cgroup v2: "200000 100000" is two cores
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, int(quota) / int(period))
    with contextlib.suppress(OSError, ValueError):  # cgroup v1
        folder = Path("/sys/fs/cgroup/cpu")
        quota_us = int((folder / "cpu.cfs_quota_us").read_text())
        if quota_us > 0:
            cores = min(cores, quota_us / int((folder / "cpu.cfs_period_us").read_text()))
    return cores


def rng_state(device: torch.device) -> dict[str, Any]:
    """Return the state of every random number generator that training may use."""
    name, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [name, torch.from_numpy(keys.copy()), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def set_rng_state(state: dict[str, Any], device: torch.device) -> None:
    """Set every random number generator to a state that `rng_state` returned."""
    random.setstate(state["python"])
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy(), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"], device)


@contextlib.contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Start every generator from `seed`, and make cuDNN choose deterministic algorithms.

    Afterwards the caller's generators continue from where they were.
    """
    device = torch.device(device)
    before = rng_state(device)
    cudnn = torch.backends.cudnn
    choices = cudnn.deterministic, cudnn.benchmark
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = choices
        set_rng_state(before, device)
