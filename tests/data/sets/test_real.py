"""Real sets by name: found on the disk, and said where to put them when not."""

import gzip
import struct

import numpy as np
import pytest
import torch

from transferlab import InputError
from transferlab.data import labels, load
from transferlab.data.sets import real


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A machine without data and without a network."""
    monkeypatch.setenv("TRANSFERLAB_DATA", str(tmp_path))
    monkeypatch.setenv("TRANSFERLAB_OFFLINE", "1")
    return tmp_path


@pytest.mark.parametrize("name", real.TORCHVISION_SETS)
def test_an_absent_set_names_the_folder_to_fill(nowhere, name):
    inside = real.TORCHVISION_SETS[name][1]
    with pytest.raises(InputError, match=rf"{name}.*into {nowhere}/torchvision/{inside}") as caught:
        load(name)
    assert "\n" not in str(caught.value)
    assert not any(nowhere.iterdir())  # nothing half-made stays behind


def test_an_absent_folder_names_the_variable(nowhere, monkeypatch):
    with pytest.raises(InputError, match=r"'hymenoptera'.*has no such folder.*TRANSFERLAB_DATA"):
        load("hymenoptera")
    monkeypatch.delenv("TRANSFERLAB_DATA")
    with pytest.raises(InputError, match="TRANSFERLAB_DATA is not set"):
        load("cifar10_jpg")


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match=r"data set 'minst' is unknown; expected one of mnist"):
        load("minst")
    with pytest.raises(InputError, match=r"part='val' is unknown; expected 'train' or 'test'"):
        load("mnist", "val")


def test_mnists_own_format(monkeypatch, tmp_path):
    """Two pictures and two labels, packed by hand as in the files of 1998."""
    raw = tmp_path / "mnist" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    pixels = np.arange(2 * 784, dtype=np.uint8)
    images = struct.pack(">IIII", 2051, 2, 28, 28) + pixels.tobytes()
    (raw / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
    answers = struct.pack(">II", 2049, 2) + bytes([7, 3])
    (raw / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(answers))
    monkeypatch.setenv("TRANSFERLAB_DATA", str(tmp_path))
    data = load("mnist", "test")
    assert np.array_equal(data.x.flatten().numpy(), pixels)
    assert data.y.tolist() == [7, 3]


def test_mnist(shared_data):
    train, test = load("mnist"), load("mnist", "test")
    assert (train.x.shape, test.x.shape) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert train.x.dtype == torch.uint8
    assert train.y[:5].tolist() == [5, 0, 4, 1, 9]
    assert test.y.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_cifar10_as_photos(shared_data):
    train, test = load("cifar10_jpg"), load("cifar10_jpg", "test")
    assert labels(train).bincount().tolist() == [300] * 10
    assert labels(test).bincount().tolist() == [100] * 10
    assert train.classes[0] == "airplane" and train.classes[-1] == "truck"
    assert train[0][0].shape == (3, 32, 32)


def test_ants_and_bees(shared_data):
    with pytest.warns(UserWarning, match="imageNotFound"):
        train = load("hymenoptera")
    test = load("hymenoptera", "test")
    assert (len(train), len(test)) == (244, 153)
    assert train.classes == ["ants", "bees"]


def test_what_is_present(shared_data):
    found = real.present()
    assert found["mnist"] and found["cifar10_jpg"] and found["hymenoptera"]
    assert found["spoken_digits"]
    assert set(found) == {*real.NAMES, *real.OTHERS}


def test_damaged_mnist_files_are_named(tmp_path, monkeypatch):
    folder = tmp_path / "mnist" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    monkeypatch.setenv("TRANSFERLAB_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte.gz is missing or damaged"):
        load("mnist")
    (folder / "train-images-idx3-ubyte.gz").write_bytes(b"not a gz file")
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte.gz is missing or damaged"):
        load("mnist")
