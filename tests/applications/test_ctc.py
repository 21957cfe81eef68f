"""CTC against sums over all paths, and edit distances counted by hand."""

import itertools
import math

import pytest
import torch

from transferlab import InputError
from transferlab.applications.speech.ctc import (
    ctc_loss,
    edit_distance,
    error_rate,
    greedy_decode,
    spell,
)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ([], []),
        ([0, 0], []),
        ([1, 1, 2], [1, 2]),
        ([1, 0, 1], [1, 1]),
        ([0, 3, 3, 0, 0, 3, 2, 2], [3, 3, 2]),
    ],
)
def test_repeats_are_merged_before_blanks_are_dropped(path, text):
    assert spell(path) == text


@pytest.mark.parametrize("text", [[1], [1, 2], [1, 1], [2, 1, 2]])
def test_the_loss_is_minus_log_of_the_sum_over_all_paths(text):
    """Three symbols, five frames: all 3⁵ paths are tried."""
    scores = torch.randn(1, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    probability = scores[0].softmax(dim=1)
    total = sum(
        math.prod(probability[t, symbol].item() for t, symbol in enumerate(path))
        for path in itertools.product(range(3), repeat=5)
        if spell(path) == text
    )
    assert ctc_loss(scores, torch.tensor([text])).item() == pytest.approx(-math.log(total))


def test_the_loss_is_the_mean_over_texts_of_any_length():
    scores = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(2))
    texts = torch.tensor([[1, 2, 3], [2, 0, 0], [3, 3, 0]])
    alone = [ctc_loss(scores[i : i + 1], texts[i : i + 1]).item() for i in range(3)]
    assert ctc_loss(scores, texts).item() == pytest.approx(sum(alone) / 3, rel=1e-5)
    longer = torch.cat([texts, torch.zeros(3, 2, dtype=torch.int64)], dim=1)
    assert torch.equal(ctc_loss(scores, longer), ctc_loss(scores, texts))


def test_the_loss_has_a_finite_gradient():
    scores = torch.zeros(2, 4, 3, requires_grad=True)
    ctc_loss(scores, torch.tensor([[1, 1], [2, 0]])).backward()
    assert scores.grad.isfinite().all() and scores.grad.any()


def test_a_text_without_a_path_is_refused():
    scores = torch.zeros(1, 2, 3)
    assert ctc_loss(scores, torch.tensor([[1, 2]])).isfinite()
    with pytest.raises(InputError, match="a text needs 3 frames; found 2"):
        ctc_loss(scores, torch.tensor([[1, 1]]))  # a blank must stand between


def test_the_best_path_is_spelled():
    scores = torch.nn.functional.one_hot(torch.tensor([[1, 1, 0, 1, 2], [0, 0, 2, 2, 0]])).float()
    assert greedy_decode(scores) == [[1, 1, 2], [2]]


def test_the_best_path_need_not_be_the_most_probable_text():
    """The blank is best in both frames (0.36), yet the text `a` is more probable (0.64)."""
    scores = torch.tensor([[[0.6, 0.4], [0.6, 0.4]]]).log()
    assert greedy_decode(scores) == [[]]
    assert (-ctc_loss(scores, torch.tensor([[1]]))).exp() > 0.36


@pytest.mark.parametrize(
    ("one", "two", "edits"),
    [
        ("", "", 0),
        ("abc", "abc", 0),
        ("", "abc", 3),
        ("abc", "", 3),
        ("kitten", "sitting", 3),
        ("flaw", "lawn", 2),
        ("ab", "ba", 2),
        ([1, 2, 3], [1, 3], 1),
    ],
)
def test_edit_distance(one, two, edits):
    assert edit_distance(one, two) == edits
    assert edit_distance(two, one) == edits


def test_the_error_rate_counts_edits_over_all_texts():
    assert error_rate([[1, 2], [3]], [[1, 2], [3, 4]]) == 1 / 4
    assert error_rate([[1, 1, 1]], [[2]]) == 3  # more edits than symbols
    assert error_rate([[], []], [[1], [1, 2]]) == 1
    with pytest.raises(InputError, match="1 texts for 2 true ones"):
        error_rate([[1]], [[1], [2]])
    with pytest.raises(InputError, match="with 0 symbols"):
        error_rate([[1]], [[]])
