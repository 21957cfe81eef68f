"""Speech: sounds and spectrograms, a recurrent network, and CTC, which turns scores into text."""

from transferlab.applications.speech.ctc import (
    ctc_loss,
    edit_distance,
    error_rate,
    greedy_decode,
    spell,
)
from transferlab.applications.speech.recurrent import Recurrent, Transcriber, small_gru
from transferlab.applications.speech.sounds import (
    SPEAKERS,
    fresh_tones,
    log_mel,
    speak,
    spectrograms,
    spoken_digits,
    tones,
)

__all__ = [
    "SPEAKERS",
    "Recurrent",
    "Transcriber",
    "ctc_loss",
    "edit_distance",
    "error_rate",
    "fresh_tones",
    "greedy_decode",
    "log_mel",
    "small_gru",
    "speak",
    "spectrograms",
    "spell",
    "spoken_digits",
    "tones",
]
