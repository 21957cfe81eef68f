"""Checking a machine: can the course run here, and if not, what needs to be done?"""

import contextlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from transferlab.kit import kernel
from transferlab.kit.classroom.sandbox import which_sandbox

PACKAGES = ("torch", "torchvision", "jupyterlab", "ipykernel", "papermill", "nbconvert", "nbgrader")
# torch 2.n needs torchvision 0.(n + 15); from torch 2.14 on, any torchvision from 0.29 works
OLDEST_TORCH, FREE_TORCH, FREE_TORCHVISION = 11, 14, 29
ENOUGH_DISK_GIB, ENOUGH_MEMORY_GIB = 2, 4


Finding = tuple[str, str, str]  # name, what was found, what to do (or nothing)


def examine(build: Path = Path("build")) -> Iterator[Finding]:
    """Yield what was found, one by one: some of it takes seconds."""
    for part in (_versions, _computing, _room, _offline, _kernel):
        yield from part()
    yield _writable(build)
    yield "sandbox", which_sandbox(), ""


def _versions() -> Iterator[Finding]:
    yield "python", f"{platform.python_version()} ({sys.executable})", ""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
            yield package, found[package], ""
        except PackageNotFoundError:
            yield package, "missing", f"Install {package}: pip install -e '.[notebook,teach]'"
    if "torch" in found and "torchvision" in found:
        sentence = mismatch(found["torch"], found["torchvision"])
        yield "torch + torchvision", "incompatible" if sentence else "compatible", sentence


def mismatch(torch_version: str, torchvision_version: str) -> str:
    """Return what to do when the two are incompatible, or an empty string."""
    torch_minor, vision_minor = (
        int(text.split(".")[1]) for text in (torch_version, torchvision_version)
    )
    if torch_minor < OLDEST_TORCH:
        return f"Install torch 2.{OLDEST_TORCH} or newer; this is {torch_version}."
    free = torch_minor >= FREE_TORCH and vision_minor >= FREE_TORCHVISION
    if free or vision_minor == torch_minor + 15:
        return ""
    wanted = min(torch_minor + 15, FREE_TORCHVISION)
    return (
        f"Install torchvision 0.{wanted}, which belongs to torch {torch_version}; "
        f"this is {torchvision_version}."
    )


def _computing() -> Iterator[Finding]:
    import torch

    from transferlab.device import cpu_quota

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    yield "device", ", ".join(["cpu", *names]), ""
    cores, threads = cpu_quota(), torch.get_num_threads()
    sentence = ""
    if threads > cores + 1:
        sentence = (
            f"Set OMP_NUM_THREADS={max(1, int(cores))}: torch starts {threads} threads, but this "
            f"process may use {cores:g} cores. (`transferlab run` does so by itself.)"
        )
    yield "cpu", f"{cores:g} cores may be used, torch starts {threads} threads", sentence


def _room() -> Iterator[Finding]:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    sentence = "" if free >= ENOUGH_DISK_GIB else f"Free {ENOUGH_DISK_GIB} GiB of disk."
    yield "disk", f"{free:.1f} GiB free", sentence
    memory = psutil.virtual_memory()
    available, total = memory.available / 2**30, memory.total / 2**30
    with contextlib.suppress(OSError, ValueError):  # a container may have less than its host
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text()) / 2**30
        total, available = min(total, limit), min(available, limit)
    sentence = ""
    if available < ENOUGH_MEMORY_GIB:
        sentence = (
            f"Close other programs: two lessons at once may need {ENOUGH_MEMORY_GIB} GiB of memory "
            "(or run one at a time: transferlab run --jobs 1)."
        )
    yield "memory", f"{available:.1f} GiB available of {total:.1f} GiB", sentence


def _offline() -> Iterator[Finding]:
    from transferlab import data, models
    from transferlab.cache import cache_state
    from transferlab.data import places
    from transferlab.data.sets import real
    from transferlab.models.packaged import packages

    yield "embedded data", f"digits ({len(data.digits())} images), letters (drawn when needed)", ""
    shipped = models.shipped()
    sentence = "" if shipped else "Reinstall the package: its shipped weights are missing."
    yield "shipped weights", ", ".join(shipped) or "none", sentence
    present = real.present() | packages()
    yield "real data", ", ".join(n for n, here in present.items() if here) or "none", ""
    yield "missing data", ", ".join(n for n, here in present.items() if not here) or "nothing", ""
    yield "cache", cache_state(), ""
    weights = sorted(
        path.name
        for folder in places.weights_folders()
        if folder.is_dir()
        for path in folder.iterdir()
        if path.suffix in (".pth", ".pt", ".th", ".safetensors")
    )
    yield "real weights", ", ".join(weights) or "none (only `full` needs them)", ""
    for variable in ("TRANSFERLAB_DATA", "TORCH_HOME"):
        value = os.environ.get(variable)
        missing = value and not Path(value).expanduser().is_dir()
        sentence = f"Set {variable} to a folder that exists; {value} does not." if missing else ""
        yield variable, value or "not set", sentence


def _kernel() -> Iterator[Finding]:
    try:
        from jupyter_client.kernelspec import KernelSpecManager
    except ModuleNotFoundError:
        yield "kernel", "missing", "Install Jupyter: pip install -e '.[notebook]'"
        return
    kernels = KernelSpecManager().get_all_specs()
    if "python3" not in kernels:
        yield "kernel", "none is called python3", f"Install the kernel: {kernel.COMMAND}"
        return
    folder, spec = kernels["python3"]["resource_dir"], kernels["python3"]["spec"]
    missing = kernel.environment().keys() - spec.get("env", {}).keys()
    sentence = ""
    if missing:
        sentence = (
            f"Let notebooks compute as fast as the runner: {kernel.COMMAND} "
            f"(the kernel python3 does not set {', '.join(sorted(missing))})"
        )
    yield "kernel", folder, sentence


def _writable(build: Path) -> Finding:
    """Try it: the rights alone do not say whether a system or a full disk allows it."""
    build = build.resolve()
    folder = next(path for path in (build, *build.parents) if os.path.lexists(path))
    try:
        with tempfile.TemporaryDirectory(dir=folder) as probe:
            (Path(probe) / build.name).mkdir()  # the name may be too long
    except OSError as error:
        sentence = f"Make {folder} writable, or name another folder with --build."
        return "build folder", f"{build} cannot be written: {error.strerror}", sentence
    return "build folder", f"{build} can be written", ""
