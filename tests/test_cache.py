"""The cache of the lessons: one call is computed once, another one anew, and it stays small."""

import os
import time
from pathlib import Path

import pytest
import torch

from transferlab import InputError, cache, evaluate, fit
from transferlab.cache import cache_folder, cache_state, train_once
from transferlab.data import MemoryDataset
from transferlab.models import mlp


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("TRANSFERLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def data(points) -> MemoryDataset:
    return points(40)


calls = []  # a list, as a number would be a setting of the function


def counted(model, data, **options):
    calls.append(options)
    return fit(model, data, **options)


def trained(data: MemoryDataset, weights: int = 0, **options):
    """Train one network through the cache; return it, its history, and whether it was trained."""
    torch.manual_seed(weights)
    model = mlp(3, (5,))
    before = len(calls)
    history = train_once(counted, model, data, **{"epochs": 3, "lr": 0.01, "seed": 0, **options})
    return model, history, len(calls) > before


def test_the_second_call_loads_what_the_first_has_trained(data):
    one, first, was_trained = trained(data)
    assert was_trained
    two, second, was_trained = trained(data)
    assert not was_trained
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert second == first and evaluate(two, data).loss == evaluate(one, data).loss


@pytest.mark.parametrize("other", ["seed", "epochs", "weights", "data", "labels", "code"])
def test_any_other_call_is_trained_anew(other, data, points, monkeypatch):
    trained(data)
    changed = {"seed": {"seed": 1}, "epochs": {"epochs": 4}, "weights": {"weights": 1}}
    if other == "data":
        data = MemoryDataset(data.x + 1e-6, data.y, data.classes, data.name)
    if other == "labels":
        data = MemoryDataset(data.x, data.y.roll(1), data.classes, data.name)
    if other == "code":
        monkeypatch.setattr(cache, "code_hash", lambda: "other")
    assert trained(data, **changed.get(other, {}))[2]


def test_a_damaged_file_is_trained_again(data, folder):
    wanted, _, _ = trained(data)
    [file] = folder.glob("*-trained.safetensors")
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    model, _, was_trained = trained(data)
    assert was_trained and torch.equal(model.head.weight, wanted.head.weight)
    assert not trained(data)[2]


def test_nothing_half_written_stays_when_training_is_interrupted(data, folder):
    def stopped(model, data, **options):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_once(stopped, mlp(3, (5,)), data)
    assert not list(folder.glob("*"))


def test_a_cache_that_belongs_to_somebody_else_is_read_and_stops_nothing(
    data, folder, monkeypatch, capsys
):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied", str(folder))

    trained(data)
    monkeypatch.setattr(Path, "touch", refuse)
    assert not trained(data)[2], "it is read"
    monkeypatch.setattr(cache, "write_weights", refuse)
    _, history, was_trained = trained(data, epochs=2)
    assert was_trained and len(history.loss) == 2
    assert "trained, but not kept in the cache: [Errno 13]" in capsys.readouterr().out


def test_what_was_used_longest_ago_goes_first(folder, monkeypatch):
    folder.mkdir()
    now = time.time()
    for age, name in enumerate(["new.safetensors", "middle.x.npy", "middle.json", "old.json"]):
        (folder / name).write_bytes(bytes(400))
        os.utime(folder / name, (now - 100 * age,) * 2)
    monkeypatch.setattr(cache, "MOST_BYTES", 1200)
    assert f"{folder}: 0 of 0 MiB; delete the folder" in cache_state()
    assert sorted(file.name for file in folder.iterdir()) == [
        "middle.json",
        "middle.x.npy",
        "new.safetensors",
    ]
    monkeypatch.setattr(cache, "MOST_BYTES", 1000)
    cache_folder()  # an entry goes as a whole
    assert [file.name for file in folder.iterdir()] == ["new.safetensors"]


def test_a_file_in_the_place_of_the_folder_gets_a_sentence(folder):
    folder.write_text("")
    with pytest.raises(InputError, match="is a file; set TRANSFERLAB_CACHE to a folder"):
        cache_folder()
