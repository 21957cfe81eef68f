"""Checkpoints: whole or not at all, and read without running code."""

import os
import pickle
import random
from pathlib import Path

import pytest
import torch

from transferlab import InputError
from transferlab.checkpoint import load_checkpoint, save_checkpoint

CONTENT = {"model": {"w": torch.arange(64.0)}, "history": {"loss": [1.0, 0.5]}, "name": "ours"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "new folder" / "run.ckpt"
    save_checkpoint(path, CONTENT)
    return path


def same(found: dict) -> bool:
    return (
        torch.equal(found["model"]["w"], CONTENT["model"]["w"])
        and found["history"] == CONTENT["history"]
        and found["name"] == "ours"
    )


def test_what_is_written_is_read(path):
    assert same(load_checkpoint(path))
    assert [p.name for p in path.parent.iterdir()] == ["run.ckpt"]


def test_a_failed_write_leaves_the_old_file_and_no_litter(path):
    before = path.read_bytes()
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        save_checkpoint(path, {"cannot be saved": lambda: None})
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["run.ckpt"]


def test_a_full_disk_leaves_the_old_file(path, monkeypatch):
    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, {"name": "new"})
    assert same(load_checkpoint(path))
    assert [p.name for p in path.parent.iterdir()] == ["run.ckpt"]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.99])
def test_a_cut_file_is_refused_by_name(path, share):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(
        InputError, match=r"run\.ckpt is cut short or is not a checkpoint"
    ) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_no_altered_byte_changes_what_is_read(path):
    """Any single flipped bit is refused in a sentence, or lies where nothing is stored."""
    whole, pick, refused = path.read_bytes(), random.Random(0), 0
    for position in pick.sample(range(len(whole)), 400):
        altered = bytearray(whole)
        altered[position] ^= 1 << pick.randrange(8)
        path.write_bytes(altered)
        try:
            assert same(load_checkpoint(path)), position
        except InputError as error:
            assert "run.ckpt" in str(error) and "\n" not in str(error), position
            refused += 1
    assert refused > 100


def test_an_altered_tensor_is_refused(path):
    whole = bytearray(path.read_bytes())
    where = whole.index(torch.arange(64.0).numpy().tobytes())
    whole[where + 8] ^= 1
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"run\.ckpt was altered: the checksum of .* is wrong"):
        load_checkpoint(path)


class Attack:
    def __init__(self, trace: Path) -> None:
        self.trace = str(trace)

    def __reduce__(self):
        return (os.mkdir, (self.trace,))


def test_a_checkpoint_that_would_run_code_is_refused_and_does_not_run(tmp_path):
    trace, path = tmp_path / "it ran", tmp_path / "evil.ckpt"
    torch.save({"format": "transferlab checkpoint 3", "model": Attack(trace)}, path)
    with pytest.raises(InputError, match=r"evil\.ckpt holds more than tensors.*could run code"):
        load_checkpoint(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)  # the naive way
    assert trace.exists()


def test_files_of_others_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"w": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"weights\.pth is not a checkpoint that fit\(\) wrote"):
        load_checkpoint(path)
    with pytest.raises(InputError, match=r"none\.ckpt does not exist"):
        load_checkpoint(tmp_path / "none.ckpt")
    text = tmp_path / "page.ckpt"
    text.write_text("<html>not found</html>")
    with pytest.raises(InputError, match=r"page\.ckpt is cut short or is not a checkpoint"):
        load_checkpoint(text)
