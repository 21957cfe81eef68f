"""Sounds: generated words, recorded digits, and their spectrograms.

Generated are short words sung by many voices.

A vowel is a series of pulses from the vocal folds, each of which makes the mouth resonate at a few
frequencies, the formants. These frequencies determine the vowel, the rate of the pulses the pitch.
That is enough for words that a network, and with some effort a person, can distinguish.

Sources: Peterson and Barney, Control Methods Used in a Study of the Vowels (1952), for formants;
Rodet, Time-Domain Formant-Wave-Function Synthesis (1984), for the decaying sines.
"""

import functools
import math
import re
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from transferlab.data.dataset import FreshDataset, MemoryDataset
from transferlab.data.places import real_folder
from transferlab.data.sets.generated import Draw, pool
from transferlab.errors import InputError

RATE = 8000  # samples per second, as in the spoken digits
# How each letter sounds: three formants in Hz, then how loud the voice and the hiss are.
SOUNDS = {
    "a": (730, 1090, 2440, 1.0, 0.0),
    "e": (530, 1840, 2480, 1.0, 0.0),
    "i": (270, 2290, 3010, 1.0, 0.0),
    "o": (570, 840, 2410, 1.0, 0.0),
    "u": (300, 870, 2240, 1.0, 0.0),
    "m": (250, 1100, 2200, 0.3, 0.0),
    "s": (400, 1700, 2600, 0.0, 0.4),
    "z": (300, 1700, 2600, 0.3, 0.3),
    " ": (500, 1500, 2500, 0.0, 0.0),
}
WORDS = (
    "ama", "asa", "emi", "eso", "ima", "izu", "ome", "osi", "uma", "uze",
    "mai", "meo", "mou", "sau", "sei", "soa", "zai", "zeu", "zio", "zua",
)  # fmt: skip
# How the pitch moves during a word, in octaves: from its beginning to its end, and in its middle.
CONTOURS = {"flat": (0.0, 0.0), "rising": (0.7, 0.0), "falling": (-0.7, 0.0), "arched": (0.0, 0.7)}
FRAME = 40  # samples during which formants and pitch stay the same: 5 ms
LOUDNESS = (1.0, 0.6, 0.3)  # of the three formants
BANDWIDTH = 80.0  # of a formant in Hz: how fast it dies away


def speak(
    texts: Sequence[str],
    generator: torch.Generator,
    seconds: float = 1.0,
    contours: Tensor | None = None,
) -> Tensor:
    """Speak each text once; return waveforms at 8 kHz, shape (N, samples), in −1..1.

    Every text has its own voice: pitch, size of the mouth, speed, loudness, a little noise.
    A text that is too long is spoken faster.

    Args:
        texts: words in the letters of SOUNDS; a space is a pause.
        seconds: length of each waveform; silence follows the text.
        contours: the row in CONTOURS for each text, shape (N,). By default all are flat.
    """
    n, frames = len(texts), math.ceil(seconds * RATE / FRAME)
    letters, is_spoken = _letters(texts)
    slots = letters.shape[1]

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(n, *shape, generator=generator) * (high - low) + low

    # The voice: high voices tend to come from small mouths, whose formants are high.
    size = uniform(0, 1, 1)
    mouth = 0.9 + 0.25 * size + uniform(-0.05, 0.05, 1)
    pitch = 100 * 2 ** (size + uniform(-0.2, 0.4, 1))

    # When each letter ends, counted in frames. A text stands between two pauses.
    length = uniform(14, 30, slots) * uniform(0.6, 1.5, 1) * is_spoken
    length *= (0.9 * frames / length.sum(1, keepdim=True)).clamp_max(1)
    start = uniform(0, 0.6, 1) * (frames - length.sum(1, keepdim=True))
    ends = start + length[:, :-1].cumsum(1)  # the first pause ends at the start
    time = torch.arange(frames).float().repeat(n, 1)
    slot = torch.searchsorted(ends, time, right=True)  # (N, frames)

    # The sound in each frame: letters vary from one to the next, and transitions are smooth.
    sounds = torch.tensor(list(SOUNDS.values()))[letters]  # (N, slots, 5)
    sounds[:, :, :3] *= mouth[:, :, None] * uniform(0.9, 1.1, slots, 3)
    sounds = sounds.gather(1, slot[:, :, None].expand(-1, -1, 5)).transpose(1, 2)
    sounds = F.avg_pool1d(sounds, 7, stride=1, padding=3, count_include_pad=False)
    formants, voice, hiss = sounds.split([3, 1, 1], dim=1)  # (N, 3 or 1, frames)

    if contours is None:
        contours = torch.zeros(n, dtype=torch.int64)
    slope, arch = torch.tensor(list(CONTOURS.values()))[contours].split(1, dim=1)
    strength, drift = uniform(0.5, 1, 1), uniform(-0.15, 0.15, 1)
    progress = ((time - start) / (ends[:, -1:] - start)).clamp(0, 1)
    octaves = strength * slope * (progress - 0.5) + strength * arch * (math.pi * progress).sin()
    pitch = pitch * 2 ** (octaves + drift * progress)

    noise = uniform(-1, 1, frames * FRAME + 1)
    high_noise = noise.diff(dim=1).view(n, frames, FRAME)  # neighbours differ: a hiss
    sound = _clicks(pitch, formants).mul_(voice.view(n, frames, 1))
    sound.addcmul_(hiss.view(n, frames, 1), high_noise)
    sound = sound.flatten(1).mul_(uniform(0.2, 0.6, 1))
    sound.addcmul_(0.1 * uniform(0, 1, 1) ** 4, noise[:, 1:])  # most rooms are quiet, some loud
    return sound[:, : round(seconds * RATE)].clamp_(-1, 1)


def _letters(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Spell texts of different lengths, with a pause before and after each.

    Returns:
        the row in SOUNDS of each letter, and whether it belongs to the text; shape (N, slots).
    """
    if not texts:
        raise InputError("speak: found no text; expected at least one.")
    for text in texts:
        if not text.strip() or set(text) - set(SOUNDS):
            raise InputError(
                f"speak: found the text {text!r}; expected letters of {''.join(SOUNDS)!r}."
            )
    row = {letter: number for number, letter in enumerate(SOUNDS)}
    slots = max(map(len, texts)) + 2
    letters = torch.tensor([[row[letter] for letter in f" {text}".ljust(slots)] for text in texts])
    place, length = torch.arange(slots), torch.tensor([[len(text)] for text in texts])
    return letters, (place > 0) & (place <= length)


def _clicks(pitch: Tensor, formants: Tensor) -> Tensor:
    """Return what the formants, (N, 3, frames), make of clicks at a pitch, (N, frames), both in Hz.

    Each click starts a sine in every formant, which dies away until the next click.
    Shape (N, frames, FRAME).
    """
    frame = FRAME / RATE  # in seconds
    before = (pitch.cumsum(1) - pitch) * frame  # clicks before each frame, not a whole number
    clicks = torch.addcmul(before[:, :, None], pitch[:, :, None], torch.arange(FRAME) / RATE)
    since = clicks.frac_().div_(pitch[:, :, None])  # seconds since the last click
    ringing = torch.zeros_like(since)
    for loudness, formant in zip(LOUDNESS, formants.unbind(1), strict=True):
        ringing.add_((2 * math.pi * formant[:, :, None] * since).sin_(), alpha=loudness)
    return ringing.mul_((-math.pi * BANDWIDTH * since).exp_())


def tones(
    n: int,
    seed: int = 0,
    seconds: float = 1.0,
    words: Sequence[str] = WORDS,
    label: str = "word",
) -> MemoryDataset:
    """Return `n` spoken words as waveforms at 8 kHz, x of shape (n, 8000 · seconds) in −1..1.

    `spectrograms` turns them into images. Two calls that differ only in `label` return the same
    sounds, so one sound can have both labels. Another `n` is another draw, not a longer one.

    Args:
        words: the vocabulary, in the letters of SOUNDS.
        label: "word", or "contour": how the pitch moves, a stand-in for the speaker's emotion.
    """
    draw, classes = _drawing(seconds, words, label)
    return pool(draw, n, seed, classes, "tones", chunk=256)


def fresh_tones(
    samples: int = 25_600,
    seconds: float = 1.0,
    words: Sequence[str] = WORDS,
    label: str = "word",
) -> FreshDataset:
    """Return words that are spoken anew for every batch; `samples` of them count as an epoch."""
    draw, classes = _drawing(seconds, words, label)
    return FreshDataset(draw, samples, classes, "fresh tones")


def _drawing(seconds: float, words: Sequence[str], label: str) -> tuple[Draw, list[str]]:
    if label not in ("word", "contour"):
        raise InputError(f"tones: label={label!r} is unknown; expected 'word' or 'contour'.")
    if not seconds >= 0.1:
        raise InputError(f"tones: seconds={seconds}; expected at least 0.1.")
    _letters(words)

    def draw(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        word = torch.randint(len(words), (n,), generator=generator)
        contour = torch.randint(len(CONTOURS), (n,), generator=generator)
        x = speak([words[i] for i in word.tolist()], generator, seconds, contour)
        return x, word if label == "word" else contour

    return draw, list(words if label == "word" else CONTOURS)


# ---- from sound to image -------------------------------------------------------------------------


def log_mel(
    waveform: Tensor, rate: int = RATE, mels: int = 32, window: int = 256, hop: int = 128
) -> Tensor:
    """Return the log-mel spectrogram in decibels, (N, samples) → (N, 1, mels, frames).

    The power at each frequency, in windows of `window` samples that begin `hop` samples apart, is
    summed in bands that are equally wide on the mel scale, as the ear hears pitch. Frame i is
    centred on sample i · hop; the first band is the lowest.

    Source: Davis and Mermelstein, Comparison of Parametric Representations for Monosyllabic Word
    Recognition in Continuously Spoken Sentences (1980).
    """
    if waveform.ndim != 2 or not waveform.is_floating_point():
        raise InputError(
            f"log_mel: found {waveform.dtype} of shape {tuple(waveform.shape)}; "
            "expected floats of shape (N, samples)."
        )
    spectrum = torch.stft(
        waveform,
        n_fft=window,
        hop_length=hop,
        window=torch.hann_window(window, device=waveform.device, dtype=waveform.dtype),
        center=True,
        pad_mode="constant",
        return_complex=True,
    ).transpose(1, 2)  # (N, frames, frequencies)
    power = spectrum.real.square() + spectrum.imag.square()
    bands = power @ mel_filters(rate, mels, window).to(waveform.device, waveform.dtype).T
    return 10 * bands.clamp_min(1e-10).log10().transpose(1, 2)[:, None]


@functools.cache
def mel_filters(rate: int, mels: int, window: int) -> Tensor:
    """Return the weight of each frequency in each band, shape (mels, window // 2 + 1), float64.

    The bands are triangles: each rises from the middle of the one below to its own middle, where
    its weight is 1, and falls to the middle of the one above. The middles are equally far apart on
    the mel scale, m = 2595 · log10(1 + f / 700) (as in HTK; O'Shaughnessy, Speech Communication,
    1987).
    """
    highest = 2595 * math.log10(1 + rate / 2 / 700)
    corners = 700 * (10 ** (torch.linspace(0, highest, mels + 2, dtype=torch.float64) / 2595) - 1)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    frequency = torch.arange(window // 2 + 1, dtype=torch.float64) * rate / window
    rising, falling = (frequency - low) / (middle - low), (high - frequency) / (high - middle)
    filters = torch.minimum(rising, falling).clamp_min(0)
    if (filters.sum(1) == 0).any():
        raise InputError(
            f"log_mel: mels={mels} is too many for windows of {window} samples, "
            "some bands hold no frequency; expected fewer bands or longer windows."
        )
    return filters


def spectrograms(
    dataset: MemoryDataset | FreshDataset, **options: int
) -> MemoryDataset | FreshDataset:
    """Turn a data set of waveforms, at 8 kHz, into one of images, (1, mels, frames) in 0..1.

    In each image 1 is its loudest point and 0 is 60 decibels or more below: so the distance of
    the microphone does not matter. The options are those of `log_mel`.
    """

    def image(waveform: Tensor) -> Tensor:
        decibels = log_mel(waveform, **options)
        loudest = decibels.amax((1, 2, 3), keepdim=True)
        return (1 + (decibels - loudest) / 60).clamp_min(0)

    if isinstance(dataset, FreshDataset):

        def draw(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            waveform, y = dataset.draw(n, generator)
            return image(waveform), y

        return FreshDataset(draw, dataset.samples, dataset.classes, dataset.name)
    x = torch.cat([image(part) for part in dataset.x.split(256)])
    return MemoryDataset(x, dataset.y, dataset.classes, dataset.name)


# ---- real recordings -----------------------------------------------------------------------------

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")


def spoken_digits(speakers: Sequence[str] | None = None, part: str | None = None) -> MemoryDataset:
    """Return recordings of spoken digits, x of shape (N, 8000): one second each, in −1..1.

    Source: Jackson et al., Free Spoken Digit Dataset (2016, CC BY-SA 4.0). TRANSFERLAB_DATA names
    the folder that holds them.

    Args:
        speakers: names, such as "george"; None: all six. Every speaker is in both parts below; to
            measure how well a network understands a new speaker, split by speaker.
        part: "test" for each speaker's first five recordings of a digit, as the authors split
            them, "train" for the others, None for all.
    """
    folder = real_folder("spoken_digits")
    if speakers is not None and (not speakers or set(speakers) - set(SPEAKERS)):
        raise InputError(
            f"spoken_digits: found speakers={list(speakers)}; "
            f"expected some of {', '.join(SPEAKERS)}."
        )
    if part not in ("train", "test", None):
        raise InputError(f"spoken_digits: part={part!r}; expected 'train', 'test' or None.")
    sounds, digits = [], []
    for file in sorted(folder.glob("*.wav")):
        name = re.fullmatch(r"(\d)_([a-z]+)_(\d+)", file.stem)
        if name is None:
            raise InputError(f"{file}: expected a name like 7_theo_12.wav: digit, speaker, number.")
        digit, speaker, number = name.groups()
        its_part = "test" if int(number) < 5 else "train"
        if (speakers is None or speaker in speakers) and part in (its_part, None):
            sounds.append(_one_second(file))
            digits.append(int(digit))
    if not sounds:
        raise InputError(
            f"{folder} holds no recording of {', '.join(speakers or ('any speaker',))}; "
            "expected files like 7_theo_12.wav."
        )
    names = [str(digit) for digit in range(10)]
    return MemoryDataset(torch.stack(sounds), torch.tensor(digits), names, "spoken_digits")


def _one_second(file: Path) -> Tensor:
    """Read a recording of 8 kHz, 16 bits, one channel; cut it or add silence: (8000,) in -1..1."""
    try:
        with wave.open(str(file)) as recording:
            params = (recording.getframerate(), recording.getsampwidth(), recording.getnchannels())
            raw = recording.readframes(8000)
    except (OSError, EOFError, wave.Error) as error:
        raise InputError(f"{file} is missing or damaged; expected a wav file.") from error
    if params != (8000, 2, 1):
        raise InputError(
            f"{file} has {params[0]} Hz, {8 * params[1]} bits and {params[2]} channels; "
            "expected 8000 Hz, 16 bits and 1."
        )
    sound = torch.zeros(8000)
    samples = torch.from_numpy(np.frombuffer(raw, "<i2").astype(np.float32) / 2**15)
    sound[: len(samples)] = samples
    return sound
