"""Real sets by name: found on the disk, and said where to put them when not."""

import gzip
import struct
import wave

import numpy as np
import pytest
import torch

from transferlab import InputError
from transferlab.data import SPEAKERS, labels, load, real, spoken_digits


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
    with pytest.raises(InputError, match=r"'spoken_digits'.*TRANSFERLAB_DATA"):
        load("spoken_digits")
    with pytest.raises(InputError, match=r"'rt_polarity'.*a folder that holds text/"):
        load("rt_polarity")


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


def record(file, samples: list[int], rate: int = 8000, channels: int = 1) -> None:
    """Write a wav file."""
    with wave.open(str(file), "wb") as recording:
        recording.setparams((channels, 2, rate, 0, "NONE", ""))
        recording.writeframes(np.array(samples, "<i2").tobytes())


def test_recordings_are_cut_or_filled_to_one_second(monkeypatch, tmp_path):
    folder = tmp_path / "spoken_digits"
    folder.mkdir()
    monkeypatch.setenv("TRANSFERLAB_DATA", str(tmp_path))
    record(folder / "3_ann_0.wav", [-32768, 16384, 1])
    record(folder / "8_ann_5.wav", list(range(9000)))
    test, train = load("spoken_digits", "test"), load("spoken_digits")
    assert (test.x.shape, train.x.shape) == ((1, 8000), (1, 8000))
    assert test.x[0, :4].tolist() == [-1, 0.5, 2**-15, 0] and not test.x[0, 4:].any()
    assert torch.equal(train.x[0] * 2**15, torch.arange(8000.0))
    assert (test.y.tolist(), train.y.tolist()) == ([3], [8])


def test_recordings_of_another_kind_are_named(monkeypatch, tmp_path):
    folder = tmp_path / "spoken_digits"
    folder.mkdir()
    monkeypatch.setenv("TRANSFERLAB_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"holds no recording for train; expected files like"):
        load("spoken_digits")
    file = folder / "3_ann_7.wav"
    record(file, [0, 0], rate=44_100, channels=2)
    with pytest.raises(InputError, match=r"3_ann_7.wav has 44100 Hz, 16 bits and 2 channels"):
        load("spoken_digits")
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(InputError, match=r"3_ann_7.wav is missing or damaged"):
        load("spoken_digits")
    file.rename(folder / "three.wav")
    with pytest.raises(InputError, match=r"three.wav: expected a name like 7_theo_12.wav"):
        load("spoken_digits")


def test_recordings_by_speaker(monkeypatch, tmp_path):
    folder = tmp_path / "spoken_digits"
    folder.mkdir()
    monkeypatch.setenv("TRANSFERLAB_DATA", str(tmp_path))
    for name in ("3_theo_0", "5_theo_9", "3_george_1"):
        record(folder / f"{name}.wav", [int(name[0])])
    assert spoken_digits(["theo"]).y.tolist() == [3, 5]  # the parts of `load` do not matter
    assert spoken_digits(["george", "theo"]).y.tolist() == [3, 3, 5]
    with pytest.raises(InputError, match=r"found speakers=\['anna'\]; expected some of george"):
        spoken_digits(["anna"])
    with pytest.raises(InputError, match=r"found speakers=\[\]"):
        spoken_digits([])
    with pytest.raises(InputError, match="holds no recording for lucas"):
        spoken_digits(["lucas"])


def test_spoken_digits_of_each_speaker(shared_data):
    for speaker in SPEAKERS:
        assert spoken_digits([speaker]).y.bincount().tolist() == [15] * 10


def test_spoken_digits(shared_data):
    train, test = load("spoken_digits"), load("spoken_digits", "test")
    assert (train.x.shape, test.x.shape) == ((600, 8000), (300, 8000))
    assert train.y.bincount().tolist() == [60] * 10
    assert test.y.bincount().tolist() == [30] * 10
    assert train.x.abs().amax(1).min() > 0  # no recording is empty
    assert train.x.abs().max() <= 1


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
    assert set(found) == set(real.NAMES)


def test_damaged_mnist_files_are_named(tmp_path, monkeypatch):
    folder = tmp_path / "mnist" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    monkeypatch.setenv("TRANSFERLAB_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte.gz is missing or damaged"):
        load("mnist")
    (folder / "train-images-idx3-ubyte.gz").write_bytes(b"not a gz file")
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte.gz is missing or damaged"):
        load("mnist")


def test_film_reviews_by_hand(monkeypatch, tmp_path):
    (tmp_path / "text").mkdir()
    monkeypatch.setenv("TRANSFERLAB_DATA", str(tmp_path))
    assert not real.present()["rt_polarity"]
    for ending, word in (("neg", "dull"), ("pos", "fine")):
        lines = "".join(f"{word} {i} .\n" for i in range(7))
        (tmp_path / "text" / f"rt-polarity.{ending}").write_text(lines, encoding="utf-8")
    assert real.present()["rt_polarity"]
    train, test = load("rt_polarity"), load("rt_polarity", "test")
    assert test.texts == ["dull 0 .", "dull 5 .", "fine 0 .", "fine 5 ."]
    assert test.y.tolist() == [0, 0, 1, 1] and test.classes == ["negative", "positive"]
    assert len(train) == 10 and not set(train.texts) & set(test.texts)
    (tmp_path / "text" / "rt-polarity.pos").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"rt-polarity\.pos is missing or not UTF-8"):
        load("rt_polarity")


def test_real_film_reviews(shared_data, monkeypatch):
    monkeypatch.setenv("TRANSFERLAB_DATA", str(shared_data))
    train, test = load("rt_polarity"), load("rt_polarity", "test")
    assert len(train) + len(test) == 10_662
    assert test.y.bincount().tolist() == [1067, 1067]
    assert not [text for text in train.texts if not text.strip()]
