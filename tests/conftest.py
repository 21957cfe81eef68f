"""What the tests share: real data when it is there, tiny data, the devices of this machine."""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from transferlab.data import MemoryDataset
from transferlab.device import prefer_device
from transferlab.train import take_step

HERE = Path(__file__).parent


def _shared_folder() -> Path:
    named = os.environ.get("TRANSFERLAB_DATA")
    return Path(named) if named else HERE.parent.parent / "shared" / "data"


@pytest.fixture
def shared_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of real data and weights, also told to the package; skips when it is absent."""
    folder = _shared_folder()
    if not (folder / "README.md").is_file():
        pytest.skip(f"needs real data and weights; {folder} is not there (set TRANSFERLAB_DATA)")
    monkeypatch.setenv("TRANSFERLAB_DATA", str(folder))
    return folder


@pytest.fixture(scope="session")
def shared_data_session() -> Path:
    """As `shared_data`, for fixtures that decode once for a whole file."""
    folder = _shared_folder()
    if not (folder / "README.md").is_file():
        pytest.skip(f"needs real data and weights; {folder} is not there (set TRANSFERLAB_DATA)")
    return folder


@pytest.fixture(params=["cpu", "cuda"])
def each_device(request: pytest.FixtureRequest) -> str:
    """The CPU, and the GPU where there is one."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU; torch.cuda.is_available() is False here")
    return request.param


@pytest.fixture(autouse=True)
def no_preferred_device() -> Iterator[None]:
    """What one lesson said of its device must not reach the next test."""
    yield
    prefer_device(None)


@pytest.fixture
def interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[int], contextlib.AbstractContextManager]:
    """Return a context in which somebody presses Ctrl-C after so many steps of `fit`."""

    @contextlib.contextmanager
    def after(steps: int) -> Iterator[None]:
        taken = itertools.count()

        def step(*arguments):
            if next(taken) == steps:
                raise KeyboardInterrupt
            return take_step(*arguments)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("transferlab.train.take_step", step)
            yield

    return after


@pytest.fixture
def points() -> Callable[..., MemoryDataset]:
    """Return a function that makes `n` random points of `width` numbers, with labels by a rule."""

    def make(n: int = 23, width: int = 5, classes: int = 3, seed: int = 0) -> MemoryDataset:
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(n, width, generator=generator)
        rule = torch.randn(width, classes, generator=generator)
        y = (x @ rule).argmax(1)
        return MemoryDataset(x, y, [f"class {i}" for i in range(classes)], "points")

    return make
