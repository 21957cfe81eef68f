"""Your own texts, sounds and images: what is read, and one sentence for what cannot be."""

import math
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile

from transferlab import InputError
from transferlab.applications.readers import (
    image_table,
    read_wav,
    sound_folder,
    text_csv,
    text_folder,
)


@pytest.fixture
def files(tmp_path: Path):
    """Return a function that writes files and returns their folder."""

    def write(contents: dict[str, str | bytes]) -> Path:
        for name, content in contents.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return write


def refuse(call, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


# ---- texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        'id,text,label\n7,"Good, really.",pos\n8,Bad!,neg\n',
        "label;text\npos;Good, really.\nneg;Bad!\n",
        "label\ttext\r\npos\tGood, really.\r\nneg\tBad!\r\n",
        "label\ttext\npos\tGood, really.\nneg\tBad!\n".encode("utf-16"),
        b"\xef\xbb\xbf" + b'text,label\n"Good, really.",pos\n\n"Bad!",neg\n',
    ],
)
def test_a_csv_file_of_texts(files, text):
    found = text_csv(files({"hotels.csv": text}) / "hotels.csv")
    assert found.texts == ["Good, really.", "Bad!"]
    assert (found.y.tolist(), found.classes, found.name) == ([1, 0], ["neg", "pos"], "hotels")


def test_a_csv_file_with_other_names_and_lines_in_its_cells(files):
    path = files({"a.csv": 'review,stars\n"One.\nTwo ""three"".",1\n好,0\n'}) / "a.csv"
    found = text_csv(path, text="review", label="stars", classes=["bad", "good"])
    assert found.texts == ['One.\nTwo "three".', "好"]
    assert (found.y.tolist(), found.classes) == ([1, 0], ["bad", "good"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("review,label\nx,0\n", r"no column 'text'; .* Name the column of texts with text=\."),
        ("text,stars\nx,0\n", r"no column 'label'; .* Name the column of labels with label=\."),
        ("Text,label\nx,0\n", "no column 'text'; .*; the nearest is 'Text'"),
        ("text,label\n", "holds a header line and no rows; expected one row per text"),
        ("text,label\nx,a\n,b\n", "row 3, column 'text': missing value ''; expected a text"),
        ("text,label\nx,a\ny,\n", "row 3, column 'label': missing value ''; expected a label"),
        ("text,label\nx,a\ny\n", "row 3: found 1 values; expected 2"),
        ("text,label\nx, y,a\nz,b\n", "row 2: found 3 values; expected 2"),
        ("text,label\nx,a\ny,a\n", "every row has the label 'a'; expected two classes or more"),
        (
            "text,label\nx,a\ny,7\nz,b\n",
            "row 3, column 'label': found '7'; expected what the other",
        ),
        ("text,text,label\nx,y,a\n", "has 2 columns 'text'; expected one"),
        ('text,label\n"x,a\n' + "y,b\n" * 40_000, "field larger than field limit .* quotation"),
        ('label,text\na,x\nb,"y\na,z\n', "row 4: unexpected end of data; .* quotation marks"),
        ('label,text\na,x\nb,"y" z\n', "row 3: ',' expected after '\"'; .* quotation marks"),
        (b"text,label\nx,a\n\xe4,b\n", "a.csv is not UTF-8 text"),
        (b"PK\3\4rest", "is no text but a compressed file, an Excel file"),
    ],
)
def test_a_csv_file_of_texts_that_cannot_be_used(files, text, sentence):
    refuse(lambda: text_csv(files({"a.csv": text}) / "a.csv"), sentence)


def test_one_column_is_not_both(files):
    path = files({"a.csv": "text,label\nx,a\n"}) / "a.csv"
    refuse(lambda: text_csv(path, text="label"), "text='label' and label='label'; expected two")


def test_a_folder_of_texts(files):
    folder = files(
        {
            "neg/1.txt": b"\xef\xbb\xbfBad.",
            "pos/b.TXT": "Good.\nVery.",
            "pos/deep/a.txt": "好。",
            "pos/.DS_Store": b"\0",
        }
    )
    found = text_folder(folder)
    assert found.texts == ["Bad.", "Good.\nVery.", "好。"]
    assert (found.y.tolist(), found.classes, found.name) == ([0, 1, 1], ["neg", "pos"], folder.name)
    other = text_folder(folder, classes=["pos", "none", "neg"])  # a part may lack a class
    assert (other.y.tolist(), other.classes) == ([2, 0, 0], ["pos", "none", "neg"])


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [
        ({"a/1.txt": b"\xe4", "b/1.txt": "x"}, r"a/1\.txt is not UTF-8 text"),
        ({"a/1.txt": "x".encode("utf-16"), "b/1.txt": "x"}, r"a/1\.txt is not UTF-8 text"),
        ({"a/1.txt": "x", "b/2.txt": " \n"}, r"b/2\.txt is empty; expected a text"),
        ({"a/1.txt": "x", "b/2.pdf": "x"}, r"/b holds no file \.txt; expected files ending in"),
        ({"a/1.txt": "x"}, "holds the folders 'a'; expected one per class, two or more"),
        ({"1.txt": "x"}, "holds the folders ; expected one per class"),
        (
            {"train/a/1.txt": "x", "test/a/1.txt": "x"},
            "holds the folders 'test', 'train'; expected",
        ),
    ],
)
def test_a_folder_of_texts_that_cannot_be_used(files, contents, sentence):
    folder = files(contents)
    refuse(lambda: text_folder(folder), sentence)


def test_what_is_no_text_is_left_out_and_said_and_a_strange_folder_refused(files):
    folder = files({"a/1.txt": "x", "b/1.txt": "y", "b/1.pdf": "z", "notes.md": "n"})
    with pytest.warns(UserWarning, match=r"left out, not \.txt: notes\.md, b/1\.pdf\."):
        assert len(text_folder(folder)) == 2
    refuse(lambda: text_folder(folder, ["a", "c"]), "folders 'a', 'b'; expected .*: 'a', 'c'")
    refuse(lambda: text_folder(folder / "none"), "none is not a folder; expected one folder per")


# ---- sounds --------------------------------------------------------------------------------------


def wave_bytes(sound: np.ndarray, rate: int, bits: int, kind: int = 1) -> bytes:
    """Return a wav file, written out; `sound` of shape (samples, channels) in -1..1."""
    if kind == 3:
        raw = sound.astype("<f4").tobytes()
    elif bits == 8:
        raw = (np.round(sound * 127) + 128).astype(np.uint8).tobytes()
    else:
        whole = np.round(sound * (2 ** (bits - 1) - 1)).astype("<i4")
        raw = whole.reshape(-1, 1).view(np.uint8)[:, : bits // 8].tobytes()
    channels = sound.shape[1]
    block = channels * bits // 8
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, kind, channels, rate, rate * block, block, bits)
    body = b"WAVE" + head + struct.pack("<4sI", b"data", len(raw)) + raw
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def sine(rate: int, seconds: float = 0.5, channels: int = 1) -> np.ndarray:
    time = np.arange(round(rate * seconds)) / rate
    return 0.5 * np.sin(2 * math.pi * 400 * time)[:, None].repeat(channels, 1)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize(("bits", "kind"), [(8, 1), (16, 1), (24, 1), (32, 1), (32, 3)])
def test_wav_files_of_all_bits(files, bits, kind, channels):
    sound = sine(44_100, channels=channels)
    folder = files({"a.wav": wave_bytes(sound, 44_100, bits, kind)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rate, found = read_wav(folder / "a.wav")
    assert rate == 44_100 and found.dtype == torch.float32
    expected = torch.tensor(sound[:, 0], dtype=torch.float32)
    torch.testing.assert_close(found, expected, atol=2 / 2 ** min(bits - 1, 15), rtol=0)


def test_channels_are_averaged(files):
    both = np.concatenate([sine(8000), np.zeros((4000, 1))], axis=1)
    _, found = read_wav(files({"a.wav": wave_bytes(both, 8000, 32, 3)}) / "a.wav")
    torch.testing.assert_close(found, torch.tensor(sine(8000)[:, 0] / 2, dtype=torch.float32))


GOOD = wave_bytes(sine(8000), 8000, 16)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is missing, damaged, compressed or no wav file"),
        (b"ID3" + bytes(500), "is missing, damaged, compressed or no wav file"),
        (GOOD[:1000], "is missing, .*Reached EOF prematurely"),
        (GOOD[:44], "is missing, .*Reached EOF prematurely"),
        (GOOD[:20], "is missing, damaged"),
        (GOOD[:20] + b"\x07\0" + GOOD[22:], "is .*compressed or no wav file .*MULAW"),
        (GOOD[:20] + b"\x02\0" + GOOD[22:], "is .*compressed or no wav file .*ADPCM"),
        (GOOD[:20] + b"\x55\0" + GOOD[22:], "is .*compressed or no wav file .*MPEGLAYER3"),
        (wave_bytes(np.zeros((0, 1)), 8000, 16), r"lasts 0\.000 s; expected 0\.05 s or more"),
        (wave_bytes(sine(8000, 0.02), 8000, 16), r"lasts 0\.020 s; expected 0\.05 s or more"),
        (wave_bytes(np.zeros((8000, 1)), 8000, 16), "holds silence only"),
        (
            wave_bytes(np.full((8000, 1), math.nan), 8000, 32, 3),
            r"holds .*numbers that are not in −1\.\.1",
        ),
        (wave_bytes(9000 * sine(8000), 8000, 32, 3), r"holds .*numbers that are not in −1\.\.1"),
    ],
)
def test_a_recording_that_cannot_be_used(files, content, sentence):
    folder = files({"a/bad.wav": content, "b/good.wav": GOOD})
    refuse(lambda: sound_folder(folder), r"a/bad\.wav " + sentence)


@pytest.mark.parametrize("rate", [4000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_other_rates_are_resampled_and_said(files, rate):
    folder = files({"a/1.wav": GOOD, "b/1.wav": wave_bytes(sine(rate, channels=2), rate, 24)})
    with pytest.warns(UserWarning, match=f"1 of 2 files had {rate} Hz and now have 8000 Hz"):
        found = sound_folder(folder)
    assert found.x.shape == (2, 8000) and found.classes == ["a", "b"]
    inner = slice(200, 3800)  # filters need some samples at both ends
    torch.testing.assert_close(found.x[1, inner], found.x[0, inner], atol=0.01, rtol=0)
    assert not found.x[:, 4100:].any()  # silence follows


def test_what_a_lower_rate_cannot_hold_is_gone(files):
    """6 kHz at 48 kHz: every sixth sample would be a tone of 2 kHz."""
    time = np.arange(24_000)[:, None] / 48_000
    high = wave_bytes(0.5 * np.sin(2 * math.pi * 6000 * time), 48_000, 16)
    with pytest.warns(UserWarning, match="48000 Hz"):
        found = sound_folder(files({"a/1.wav": high, "b/1.wav": GOOD}))
    assert found.x[0, 200:3800].abs().max() < 0.01


def test_long_recordings_are_cut_and_said(files):
    folder = files({"a/1.wav": GOOD, "b/1.wav": wave_bytes(sine(8000, 2.0), 8000, 16)})
    with pytest.warns(UserWarning, match=r"1 of 2 files were longer than 1\.0 s and are cut"):
        assert sound_folder(folder).x.shape == (2, 8000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sound_folder(folder, seconds=2).x.shape == (2, 16_000)
    refuse(lambda: sound_folder(folder, seconds=0), r"seconds=0; expected at least 1 sample and")
    refuse(lambda: sound_folder(folder, rate=0), "rate=0, seconds=1.0; expected at least 1 sample")


def test_a_folder_without_wav_files(files):
    folder = files({"a/1.mp3": b"ID3", "b/1.wav": GOOD})
    refuse(lambda: sound_folder(folder), r"a holds no file \.wav; expected files ending in \.wav")


def test_it_reads_what_scipy_writes(files, tmp_path):
    files({"a/1.wav": GOOD, "b/1.wav": b""})
    wavfile.write(tmp_path / "b" / "1.wav", 8000, sine(8000)[:, 0])  # 64-bit floats
    found = sound_folder(tmp_path)
    torch.testing.assert_close(found.x[0], found.x[1], atol=1e-4, rtol=0)


# ---- images by a table ---------------------------------------------------------------------------


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name, colour in (("red.png", (255, 0, 0)), ("blue.png", (0, 0, 255))):
        Image.new("RGB", (4, 3), colour).save(tmp_path / "images" / name)
    return tmp_path


@pytest.mark.parametrize("separator", ["/", "\\"])
def test_images_by_a_table(images, separator):
    table = images / "labels.csv"
    rows = [
        f"images{separator}{name},{label}" for name, label in (("red.png", "b"), ("blue.png", "a"))
    ]
    table.write_text("\n".join(["file,label", *rows]))
    found = image_table(table)
    assert (found.targets, found.classes, found.name) == ([1, 0], ["a", "b"], "labels")
    x, y = found[0]
    assert x.shape == (3, 3, 4) and x[:, 0, 0].tolist() == [255, 0, 0] and y == 1
    assert image_table(table, transform=lambda picture: picture.size)[1] == ((4, 3), 0)


def test_paths_from_the_home_folder(images, files, monkeypatch):
    monkeypatch.setenv("HOME", str(images))
    files({"t.csv": "file,label\nred.png,a\nblue.png,b\n", "d/a/1.txt": "x", "d/b/1.txt": "y"})
    assert len(image_table("~/t.csv", "~/images")) == len(text_folder("~/d")) == 2


def test_images_in_another_folder_and_other_names(images):
    (images / "t.csv").write_text("kind;photo;by\n1;red.png;me\n0;blue.png;you\n")
    found = image_table(images / "t.csv", images / "images", "photo", "kind", ["cold", "warm"])
    assert [file.name for file in found.files] == ["red.png", "blue.png"]
    assert (found.targets, found.classes) == ([1, 0], ["cold", "warm"])


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("red.png,a\ngreen.png,b\n", r"green\.png, which does not exist; expected an image file"),
        ("red.png,a\nred,b\n", "/red, which does not exist; expected an image file"),
        ("red.png,a\nred.png,b\n", r"red\.png twice with different labels; expected one"),
        ("red.png,a\n,b\n", "row 3, column 'file': missing value ''; expected a file"),
        ("red.png,a\nt.csv,b\n", r"t\.csv is damaged or not an image"),
        ("red.png,a\nblue.png,a\n", "every row has the label 'a'; expected two classes"),
        ("", "holds a header line and no rows; expected one row per file"),
    ],
)
def test_a_table_of_images_that_cannot_be_used(images, rows, sentence):
    (images / "images" / "t.csv").write_text("file,label\n" + rows)
    refuse(lambda: image_table(images / "images" / "t.csv"), sentence)
