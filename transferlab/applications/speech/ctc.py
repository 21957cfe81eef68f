"""Connectionist temporal classification (CTC): from scores per frame to a text, and its errors.

A path names one symbol, or the blank, for each frame. It spells a text: repeats are merged, then
blanks are dropped. A text's probability is the sum over all paths that spell it.

Source: Graves, Fernández, Gomez and Schmidhuber, Connectionist Temporal Classification: Labelling
Unsegmented Sequence Data with Recurrent Neural Networks (2006).
"""

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from transferlab.errors import InputError

BLANK = 0


def spell(path: Sequence[int]) -> list[int]:
    """Return the text of a path: merge repeats, then drop the blanks."""
    before = [BLANK, *path]
    return [
        symbol for last, symbol in zip(before, path, strict=False) if symbol not in (last, BLANK)
    ]


def ctc_loss(scores: Tensor, texts: Tensor) -> Tensor:
    """Return −ln P(text), the mean over the batch, in nats per text.

    Args:
        scores: one for the blank and each symbol in each frame, shape (N, frames, 1 + symbols).
        texts: symbols from 1 up, padded with 0 at the end, shape (N, longest).
    """
    frames = torch.full((len(scores),), scores.shape[1])
    lengths = (texts != BLANK).sum(dim=1)
    _check_fits(texts, lengths, scores.shape[1])
    log_p = scores.log_softmax(dim=2).transpose(0, 1)  # torch wants (frames, N, 1 + symbols)
    total = F.ctc_loss(log_p, texts, frames, lengths, blank=BLANK, reduction="sum")
    return total / len(scores)


def _check_fits(texts: Tensor, lengths: Tensor, frames: int) -> None:
    """Refuse a text that has no path: it needs a frame per symbol, and a blank between repeats."""
    repeats = ((texts[:, 1:] == texts[:, :-1]) & (texts[:, 1:] != BLANK)).sum(dim=1)
    needed = int((lengths + repeats).max())
    if needed > frames:
        raise InputError(f"ctc_loss: a text needs {needed} frames; found {frames}.")


def greedy_decode(scores: Tensor) -> list[list[int]]:
    """Return the text of the best path, the symbol with the largest score in each frame.

    It is not always the most probable text, which may have many paths, but usually so when the
    network is confident.

    Args:
        scores: shape (N, frames, 1 + symbols).
    """
    return [spell(path) for path in scores.argmax(dim=2).tolist()]


def edit_distance(one: Sequence[Hashable], two: Sequence[Hashable]) -> int:
    """Return the fewest insertions, deletions and replacements that turn one text into another.

    Source: Levenshtein, Binary Codes Capable of Correcting Deletions, Insertions, and Reversals
    (1966); the table is that of Wagner and Fischer, The String-to-String Correction Problem (1974).
    """
    row = list(range(len(two) + 1))  # the distances from an empty text to the prefixes of `two`
    for i, a in enumerate(one, start=1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(two, start=1):
            replaced = diagonal + (a != b)
            diagonal, row[j] = row[j], min(replaced, row[j] + 1, row[j - 1] + 1)
    return row[-1]


def error_rate(
    predicted: Sequence[Sequence[Hashable]], true: Sequence[Sequence[Hashable]]
) -> float:
    """Return the edits per true symbol, over all texts together; it can be above 1."""
    if len(predicted) != len(true) or not sum(map(len, true)):
        raise InputError(
            f"error_rate: {len(predicted)} texts for {len(true)} true ones with "
            f"{sum(map(len, true))} symbols; expected the same number, and at least one symbol."
        )
    edits = sum(edit_distance(one, two) for one, two in zip(predicted, true, strict=True))
    return edits / sum(map(len, true))
