"""A recurrent network that reads a spectrogram from both ends, and what is built on it.

Sources: Cho et al., Learning Phrase Representations Using RNN Encoder–Decoder for Statistical
Machine Translation (2014), for the gated recurrent unit, as torch computes it: with the reset
after the product, as in the paper's first version on arXiv (the published one has it before);
Schuster and Paliwal, Bidirectional Recurrent Neural Networks (1997).
"""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from transferlab.errors import InputError
from transferlab.models.backbone import Backbone, Normalize


class Recurrent(nn.Module):
    """Read each spectrogram frame by frame. (N, 1, mels, frames) → (N, frames, width)

    One layer of gated recurrent units reads forwards, another one backwards, so the state of a
    frame depends on the whole sound. The two states are concatenated: `width` is 2 · hidden.

    Spectrograms have values in 0..1, most of them small. They are normalised with 0.3 and 0.3, near
    the mean and deviation of generated words, without which the units learn slowly.

    Attributes:
        gru: both layers, as torch's own module.
    """

    def __init__(self, mels: int, hidden: int = 48) -> None:
        super().__init__()
        if mels < 1 or hidden < 1:
            raise InputError(f"Recurrent: found {mels=} and {hidden=}; expected at least 1 each.")
        self.gru = nn.GRU(mels, hidden, batch_first=True, bidirectional=True)
        self.normalize = Normalize(mean=[0.3], std=[0.3])
        self.mels, self.width = mels, 2 * hidden

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the states after each frame.

        Args:
            lengths: how many frames each sound has, shape (N,); what follows is padding. It is not
                read, and its states are 0. None: every frame is sound.
        """
        if x.ndim != 4 or x.shape[1:3] != (1, self.mels):
            raise InputError(
                f"Recurrent expects spectrograms of shape (N, 1, {self.mels}, frames); "
                f"found {tuple(x.shape)}."
            )
        frames = self.normalize(x)[:, 0].transpose(1, 2)  # (N, frames, mels)
        if lengths is None:
            return self.gru(frames)[0]
        _check_lengths(lengths, *frames.shape[:2])
        packed = pack_padded_sequence(frames, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(
            self.gru(packed)[0], batch_first=True, total_length=frames.shape[1]
        )
        return states


def _check_lengths(lengths: Tensor, n: int, frames: int) -> None:
    if lengths.shape != (n,) or lengths.min() < 1 or lengths.max() > frames:
        raise InputError(
            f"Recurrent: found lengths={lengths.tolist()}; "
            f"expected {n} numbers of frames, each 1 to {frames}."
        )


class MeanOverTime(nn.Module):
    """The mean of the states over all frames. (N, frames, width) → (N, width)"""

    def forward(self, states: Tensor) -> Tensor:
        return states.mean(dim=1)


def small_gru(
    num_classes: int = 10, shape: tuple[int, int, int] = (1, 24, 24), hidden: int = 48
) -> Backbone:
    """Return a classifier of spectrograms: recurrent states → mean over time → classes.

    Its recurrent part is `backbone.features.recurrent`, which a `Transcriber` can take over.

    Args:
        shape: (1, mels, frames) of the spectrograms.
    """
    recurrent = Recurrent(shape[1], hidden)
    features = nn.Sequential(OrderedDict(recurrent=recurrent, pool=MeanOverTime()))
    return Backbone(features, recurrent.width, num_classes, shape=shape, name="small_gru")


class Transcriber(nn.Module):
    """Speech to text: scores for each symbol, step by step. (N, 1, mels, frames) → (N, T, S)

    A moment is the mean of `join` states: a spoken symbol takes many frames, and the fewer moments
    there are, the sooner the CTC loss finds where it is said. T = ⌈frames / join⌉.

    S is the number of symbols and one more: score 0 belongs to the blank, score i to symbol i of a
    text as `transferlab.applications.speech.ctc` spells it.

    Attributes:
        recurrent: the part that can be pre-trained.
        head: a linear layer, the same one at every moment.
    """

    def __init__(self, recurrent: Recurrent, symbols: int, join: int = 3) -> None:
        super().__init__()
        if symbols < 1 or join < 1:
            raise InputError(
                f"Transcriber: found {symbols=} and {join=}; expected at least 1 each."
            )
        self.recurrent, self.join = recurrent, join
        self.head = nn.Linear(recurrent.width, symbols + 1)

    def forward(self, x: Tensor) -> Tensor:
        states = self.recurrent(x).transpose(1, 2)  # (N, width, frames)
        moments = F.avg_pool1d(states, self.join, ceil_mode=True)  # the last one may be shorter
        return self.head(moments.transpose(1, 2))
