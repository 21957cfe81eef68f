"""Generated speech: what is said, and how; spectrograms against sums written out by hand."""

import math
import wave

import numpy as np
import pytest
import torch

from transferlab import InputError, evaluate, fit
from transferlab.applications.speech import (
    SPEAKERS,
    fresh_tones,
    log_mel,
    speak,
    spectrograms,
    spoken_digits,
    tones,
)
from transferlab.applications.speech.sounds import (
    RATE,
    SOUNDS,
    WORDS,
    _clicks,
    _letters,
    mel_filters,
)
from transferlab.data import FreshDataset, batches, few_shot
from transferlab.models import small_cnn


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---- the data set --------------------------------------------------------------------------------


def test_shape_range_and_classes():
    data = tones(1000, seconds=0.25)
    assert data.x.shape == (1000, 2000)
    assert data.x.dtype == torch.float32
    assert data.x.abs().max() <= 1 and data.x.isfinite().all()
    assert data.classes == list(WORDS) and len(set(WORDS)) == 20
    counts = data.y.bincount(minlength=20)
    assert (counts > 25).all() and (counts < 80).all()  # 50 expected


def test_one_seed_is_one_set():
    torch.manual_seed(1)
    first = tones(20, seed=3)
    torch.manual_seed(2)
    second, other = tones(20, seed=3), tones(20, seed=4)
    assert torch.equal(first.x, second.x) and torch.equal(first.y, second.y)
    assert not torch.equal(first.x, other.x)


def test_one_sound_has_both_labels():
    words, contours = tones(50, seed=1), tones(50, seed=1, label="contour")
    assert torch.equal(words.x, contours.x)
    assert contours.classes == ["flat", "rising", "falling", "arched"]
    assert not torch.equal(words.y, contours.y)


def test_own_words():
    data = tones(30, words=("a", "mama mia"), seconds=0.5)
    assert data.classes == ["a", "mama mia"]
    assert set(data.y.tolist()) == {0, 1}


def test_fresh_tones_are_new_in_every_epoch():
    loader = batches(fresh_tones(20, seconds=0.2), 10, generator=generator())
    one, two = (torch.cat([x for x, _ in loader]) for _ in range(2))
    assert one.shape == (20, 1600)
    assert not torch.equal(one, two)


def test_a_small_network_learns_the_words():
    train, unseen = (spectrograms(tones(n, n, 0.25, WORDS[:5])) for n in (600, 200))
    model = small_cnn(5, shape=train.x.shape[1:], widths=(8, 8, 16, 16, 32))
    fit(model, train, epochs=4, batch_size=32, lr=1e-2, device="cpu")
    assert evaluate(model, unseen, device="cpu").accuracy > 0.5  # chance: 0.2


@pytest.mark.parametrize("make", [tones, fresh_tones])
def test_bad_arguments_are_refused(make):
    with pytest.raises(InputError, match="=0; expected at least 1"):
        make(0)
    with pytest.raises(InputError, match="label='mood' is unknown; expected 'word' or 'contour'"):
        make(10, label="mood")
    with pytest.raises(InputError, match=r"seconds=0.01; expected at least 0.1"):
        make(10, seconds=0.01)
    with pytest.raises(InputError, match="found the text 'hello'; expected letters of 'aeioumsz '"):
        make(10, words=("ama", "hello"))
    with pytest.raises(InputError, match="found the text ' '; expected letters"):
        make(10, words=("ama", " "))
    with pytest.raises(InputError, match="found no text; expected at least one"):
        make(10, words=())


# ---- the voice -----------------------------------------------------------------------------------


def test_texts_of_any_length_can_be_spoken():
    """What a lesson on sequences needs: another text in each waveform, silence behind it."""
    sound = speak(["a", "mai sou zeu", "osi"], generator(), seconds=2.5)
    assert sound.shape == (3, 20_000)
    power = sound.square().unfold(1, 400, 400).mean(2)
    loud = (power > 0.1 * power.amax(1, keepdim=True)).sum(1)
    assert loud[0] < loud[2] < loud[1]


def test_a_long_text_is_spoken_faster_and_to_its_end():
    sound = speak(["aeiou" * 10] * 4, generator(), seconds=1.0)
    power = sound.square().unfold(1, 400, 400).mean(2)
    spoken = power[:, 3:17]
    assert (spoken > 0.5 * spoken.mean(1, keepdim=True)).all()


def test_a_text_stands_between_two_pauses():
    letters, is_spoken = _letters(["as", "u"])
    spelled = ["".join(list(SOUNDS)[i] for i in row) for row in letters.tolist()]
    assert spelled == [" as ", " u  "]
    assert is_spoken.tolist() == [[False, True, True, False], [False, True, False, False]]


@pytest.mark.parametrize("pitch", [100.0, 160.0, 250.0])
def test_pitch_is_what_was_asked_for(pitch):
    """One second of a steady voice repeats itself after one period, and not before."""
    sound = _clicks(torch.full((1, 200), pitch), torch.tensor([730.0, 1090, 2440]).view(1, 3, 1))
    wave = sound.flatten().double()
    lags = torch.arange(20, int(1.5 * RATE / pitch))
    alike = torch.stack([(wave[lag:] * wave[:-lag]).mean() for lag in lags.tolist()])
    assert RATE / lags[alike.argmax()].item() == pytest.approx(pitch, rel=0.02)


def test_formants_are_where_the_table_says():
    """Each formant is a peak of the spectrum: more power there than halfway to the next one."""
    formants = torch.tensor([500.0, 1500, 2500]).view(1, 3, 1)
    spectrum = (
        torch.fft.rfft(_clicks(torch.full((1, 200), 50.0), formants).flatten()).abs().square()
    )

    def power(hertz: float) -> float:  # within 50 Hz, one click's distance
        return spectrum[int(hertz) - 50 : int(hertz) + 50].sum().item()

    for formant in (500, 1500, 2500):
        assert power(formant) > 5 * power(formant + 500)


def test_vowels_sound_by_their_formants():
    """Averaged over many voices, "i" is stronger than "u" at 2,300 Hz and weaker at 900 Hz."""

    def spectrum(vowel: str) -> torch.Tensor:
        sound = speak([vowel * 3] * 40, generator(), seconds=0.5)
        return (
            torch.fft.rfft(sound).abs().square().mean(0).view(-1)[:2000].unfold(0, 200, 200).sum(1)
        )

    i, u = spectrum("i"), spectrum("u")  # bands of 400 Hz
    assert i[5] / i.sum() > 3 * u[5] / u.sum()
    assert i[2] / i.sum() < u[2] / u.sum() / 3


def test_s_is_a_hiss_and_a_is_not():
    sound = speak(["s", "a"], generator(), seconds=0.5)
    power = torch.fft.rfft(sound).abs().square()
    high = power[:, 1000:].sum(1) / power.sum(1)  # above 2 kHz
    assert high[0] > 0.7 and high[1] < 0.3


def test_contours_move_the_pitch():
    """Counted in clicks: a rising voice makes more of them at the end than a flat one."""
    data = tones(160, seed=5, seconds=0.8, words=("aaaa",), label="contour")
    loudness = log_mel(data.x, mels=1, window=64, hop=8)[:, 0, 0]
    power = data.x.square().unfold(1, 80, 80).mean(2)
    spoken = power > 0.1 * power.amax(1, keepdim=True)
    shares = {}
    for row, name in enumerate(data.classes):
        these = data.y == row
        shares[name] = _clicks_per_third(loudness[these], spoken[these])
    flat = shares["flat"]
    assert shares["rising"][2] / shares["rising"][0] > 1.2 * flat[2] / flat[0]
    assert shares["falling"][2] / shares["falling"][0] < flat[2] / flat[0] / 1.2
    assert shares["arched"][1] / shares["arched"][0] > 1.1 * flat[1] / flat[0]


def _clicks_per_third(loudness: torch.Tensor, spoken: torch.Tensor) -> list[float]:
    """Count the peaks of the loudness (one each click) in the three thirds of what is spoken."""
    counts = np.zeros(3)
    for curve, mask in zip(loudness.numpy(), spoken, strict=True):
        where = mask.nonzero().flatten() * 10  # from 80 samples to 8
        first, last = int(where[0]) + 10, int(where[-1])
        part = curve[first:last]
        peaks = np.flatnonzero((part[1:-1] > part[:-2]) & (part[1:-1] >= part[2:]))
        counts += np.histogram(peaks, bins=3, range=(0, len(part)))[0]
    return counts.tolist()


# ---- the spectrogram -----------------------------------------------------------------------------


def mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)


def test_the_mel_scale():
    """HTK's scale: 1,000 Hz is 1,000 mel, and the bands are equally wide on it."""
    assert mel(1000) == pytest.approx(1000, abs=0.1)
    filters = mel_filters(16_000, 9, 65_536)  # so many frequencies that each middle is hit
    middles = filters.argmax(1) * 16_000 / 65_536
    steps = np.diff([0, *(mel(f) for f in middles.tolist()), mel(8000)])
    assert np.allclose(steps, mel(8000) / 10, rtol=1e-3)


def test_filters_are_triangles_that_add_up_to_one():
    filters = mel_filters(8000, 20, 1024)
    assert filters.shape == (20, 513)
    assert filters.min() == 0 and filters.max() <= 1
    hertz = torch.arange(513) * 8000 / 1024
    first, last = (hertz[filters[row].argmax()] for row in (0, -1))
    between = (hertz > first + 8) & (hertz < last - 8)
    assert torch.allclose(filters.sum(0)[between], torch.ones(1, dtype=torch.float64))


def test_log_mel_is_the_sum_written_out():
    """A Hann window, a Fourier sum, squares, triangles and a logarithm: no FFT, no matrices."""
    rate, mels, window, hop = 8000, 5, 64, 40
    sound = torch.rand(1, 200, generator=generator(), dtype=torch.float64) - 0.5
    padded = np.pad(sound[0].numpy(), window // 2)
    corners = [700 * (10 ** (mel(rate / 2) * i / (mels + 1) / 2595) - 1) for i in range(mels + 2)]
    expected = np.zeros((mels, 200 // hop + 1))
    for frame in range(200 // hop + 1):
        power = []
        for k in range(window // 2 + 1):
            total = 0j
            for i in range(window):
                hann = 0.5 - 0.5 * math.cos(2 * math.pi * i / window)
                angle = -2 * math.pi * k * i / window
                total += padded[frame * hop + i] * hann * complex(math.cos(angle), math.sin(angle))
            power.append(abs(total) ** 2)
        for band in range(mels):
            low, middle, high = corners[band : band + 3]
            total = 0.0
            for k, p in enumerate(power):
                f = k * rate / window
                total += p * max(0, min((f - low) / (middle - low), (high - f) / (high - middle)))
            expected[band, frame] = 10 * math.log10(total)
    found = log_mel(sound, rate, mels, window, hop)
    assert found.shape == (1, 1, mels, 6)
    assert np.allclose(found[0, 0].numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("hertz", [200, 1000, 3000])
def test_a_pure_tone_is_loudest_in_its_band(hertz):
    sound = (2 * math.pi * hertz * torch.arange(8000) / 8000).sin()[None]
    loudest = log_mel(sound)[0, 0, :, 30].argmax().item()
    assert abs((loudest + 1) * mel(4000) / 33 - mel(hertz)) < mel(4000) / 33


def test_twice_as_loud_is_six_decibels_more():
    sound = speak(["ama"], generator())
    assert torch.allclose(log_mel(2 * sound), log_mel(sound) + 20 * math.log10(2), atol=1e-2)


def test_log_mel_on_each_device(each_device):
    sound = speak(["ama", "osi"], generator())
    assert torch.allclose(log_mel(sound.to(each_device)).cpu(), log_mel(sound), atol=1e-2)


def test_what_log_mel_cannot_do():
    with pytest.raises(InputError, match=r"found torch.float32 of shape \(100,\); expected floats"):
        log_mel(torch.zeros(100))
    with pytest.raises(InputError, match=r"found torch\.int16"):
        log_mel(torch.zeros(2, 8000, dtype=torch.int16))
    with pytest.raises(InputError, match="mels=100 is too many for windows of 256 samples"):
        log_mel(torch.zeros(2, 8000), mels=100)


def test_spectrograms_are_images_from_0_to_1_whatever_the_loudness():
    data = tones(30, seed=2)
    images = spectrograms(data)
    assert images.x.shape == (30, 1, 32, 63)
    assert images.x.min() >= 0
    assert torch.equal(images.x.amax((1, 2, 3)), torch.ones(30))
    assert torch.equal(images.y, data.y) and images.classes == data.classes
    data.x *= 0.5
    assert torch.allclose(spectrograms(data).x, images.x, atol=1e-3)
    assert spectrograms(data, mels=16, hop=250).x.shape == (30, 1, 16, 33)


def test_fresh_tones_become_fresh_spectrograms():
    images = spectrograms(fresh_tones(20, seconds=0.5))
    assert isinstance(images, FreshDataset) and len(images) == 20
    x, y = next(iter(batches(images, 4, generator=generator(7))))
    waveform, same = next(iter(batches(fresh_tones(20, seconds=0.5), 4, generator=generator(7))))
    assert x.shape == (4, 1, 32, 32)
    assert torch.equal(y, same)
    assert log_mel(waveform).flatten(1).argmax(1).equal(x.flatten(1).argmax(1))


def test_spoken_digits_become_spectrograms_in_the_same_way(shared_data):
    few = few_shot(spoken_digits(part="train"), 2)
    images = spectrograms(few)
    assert images.x.shape == (20, 1, 32, 63)
    assert images.x.min() == 0 and images.x.max() == 1
    assert images.classes == [str(digit) for digit in range(10)]


# ---- real recordings -----------------------------------------------------------------------------


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
    test, train = spoken_digits(part="test"), spoken_digits(part="train")
    assert (test.x.shape, train.x.shape) == ((1, 8000), (1, 8000))
    assert test.x[0, :4].tolist() == [-1, 0.5, 2**-15, 0] and not test.x[0, 4:].any()
    assert torch.equal(train.x[0] * 2**15, torch.arange(8000.0))
    assert (test.y.tolist(), train.y.tolist()) == ([3], [8])


def test_absent_recordings_name_the_variable(monkeypatch):
    monkeypatch.delenv("TRANSFERLAB_DATA", raising=False)
    with pytest.raises(InputError, match=r"'spoken_digits'.*set TRANSFERLAB_DATA"):
        spoken_digits()


def test_recordings_of_another_kind_are_named(monkeypatch, tmp_path):
    folder = tmp_path / "spoken_digits"
    folder.mkdir()
    monkeypatch.setenv("TRANSFERLAB_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"holds no recording of any speaker; expected files like"):
        spoken_digits(part="train")
    file = folder / "3_ann_7.wav"
    record(file, [0, 0], rate=44_100, channels=2)
    with pytest.raises(InputError, match=r"3_ann_7.wav has 44100 Hz, 16 bits and 2 channels"):
        spoken_digits(part="train")
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(InputError, match=r"3_ann_7.wav is missing or damaged"):
        spoken_digits(part="train")
    file.rename(folder / "three.wav")
    with pytest.raises(InputError, match=r"three.wav: expected a name like 7_theo_12.wav"):
        spoken_digits(part="train")


def test_recordings_by_speaker(monkeypatch, tmp_path):
    folder = tmp_path / "spoken_digits"
    folder.mkdir()
    monkeypatch.setenv("TRANSFERLAB_DATA", str(tmp_path))
    for name in ("3_theo_0", "5_theo_9", "3_george_1"):
        record(folder / f"{name}.wav", [int(name[0])])
    assert spoken_digits(["theo"]).y.tolist() == [3, 5]  # whatever their part
    assert spoken_digits(["george", "theo"]).y.tolist() == [3, 3, 5]
    with pytest.raises(InputError, match=r"found speakers=\['anna'\]; expected some of george"):
        spoken_digits(["anna"])
    with pytest.raises(InputError, match=r"found speakers=\[\]"):
        spoken_digits([])
    with pytest.raises(InputError, match="holds no recording of lucas"):
        spoken_digits(["lucas"])


def test_spoken_digits_of_each_speaker(shared_data):
    for speaker in SPEAKERS:
        assert spoken_digits([speaker]).y.bincount().tolist() == [15] * 10


def test_spoken_digits(shared_data):
    train, test = spoken_digits(part="train"), spoken_digits(part="test")
    assert (train.x.shape, test.x.shape) == ((600, 8000), (300, 8000))
    assert train.y.bincount().tolist() == [60] * 10
    assert test.y.bincount().tolist() == [30] * 10
    assert train.x.abs().amax(1).min() > 0  # no recording is empty
    assert train.x.abs().max() <= 1
