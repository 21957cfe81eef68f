"""Measures against numbers made by hand, and intervals against SciPy."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional as F

from transferlab import InputError, evaluate, freeze
from transferlab.data import MemoryDataset, digits
from transferlab.metrics import class_scores, interval
from transferlab.models import small_cnn


class Scores(nn.Module):
    """The input is the scores, so every number below can be made by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x + self.nothing


@pytest.fixture
def five() -> MemoryDataset:
    x = torch.tensor(
        [[9.0, 0, 0], [9.0, 0, 0], [0, 9.0, 0], [0, 0, 9.0], [0, 0, 9.0]],
    )
    return MemoryDataset(x, torch.tensor([0, 1, 1, 1, 2]), ["a", "b", "c"])


def test_numbers_made_by_hand_with_a_last_small_batch(five, each_device):
    found = evaluate(Scores(), five, batch_size=4, device=each_device)
    assert found.accuracy == 3 / 5
    assert found.confusion.tolist() == [[1, 0, 0], [1, 1, 1], [0, 0, 1]]  # rows: the truth
    right = np.log(np.exp(9) + 2) - 9
    wrong = np.log(np.exp(9) + 2)
    assert found.loss == pytest.approx((3 * right + 2 * wrong) / 5, rel=1e-6)
    assert found.classes == ["a", "b", "c"]
    assert str(found) == f"accuracy 60.0%, loss {found.loss:.3f} on 5 samples"


def test_a_mean_of_batch_means_would_be_another_number(five):
    parts = [evaluate(Scores(), five.subset(torch.arange(i, min(i + 4, 5)))) for i in (0, 4)]
    naive = np.mean([part.accuracy for part in parts])
    assert naive == 0.75  # (2/4 + 1/1) / 2
    assert evaluate(Scores(), five, batch_size=4).accuracy == 0.6


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 5, 512])
def test_the_batch_size_does_not_matter(five, batch_size):
    one, other = evaluate(Scores(), five), evaluate(Scores(), five, batch_size=batch_size)
    assert (one.loss, one.accuracy) == (other.loss, other.accuracy)


def test_evaluation_mode_is_used_and_every_mode_is_restored():
    torch.manual_seed(0)
    model = small_cnn()
    data = digits().subset(torch.arange(50))
    model.train()
    model.features.block2.eval()
    modes = [m.training for m in model.modules()]
    statistics = model.features.block1.bn.running_mean.clone()
    first, second = evaluate(model, data), evaluate(model, data, batch_size=7)
    assert [m.training for m in model.modules()] == modes
    assert torch.equal(model.features.block1.bn.running_mean, statistics)
    assert first.loss == pytest.approx(second.loss, rel=1e-5)
    expected = F.cross_entropy(model.eval()(data.x), data.y).item()
    assert first.loss == pytest.approx(expected, rel=1e-5)


def test_modes_are_restored_after_an_error():
    model = small_cnn().train()
    wrong = MemoryDataset(torch.rand(4, 1, 9, 9), torch.zeros(4, dtype=torch.int64), ["a"])
    with pytest.raises(InputError, match=r"expects inputs of shape \(N, 1, 8, 8\)"):
        evaluate(model, wrong)
    assert all(m.training for m in model.modules())


def test_a_frozen_model_is_evaluated_and_stays_frozen():
    torch.manual_seed(0)
    model = small_cnn()
    freeze(model, batch_stats="batch")
    evaluate(model, digits().subset(torch.arange(50)))
    model.train()
    assert model.features.block1.bn.training
    assert not model.features.block1.bn.track_running_stats


def test_predictions_come_in_the_order_of_the_data(five):
    scores, y = class_scores(Scores(), five, batch_size=2, device="cpu")
    assert torch.equal(scores, five.x)
    assert torch.equal(y, five.y)
    assert not scores.requires_grad


def test_outputs_without_a_name_are_numbered():
    data = MemoryDataset(torch.zeros(2, 3), torch.tensor([0, 1]), ["a", "b"])
    assert evaluate(Scores(), data).classes == ["a", "b", "2"]
    data = MemoryDataset(torch.zeros(2, 3), torch.tensor([0, 1]), "abcde")
    assert evaluate(Scores(), data).classes == ["a", "b", "c"]


def test_labels_beyond_the_outputs_get_one_sentence():
    data = MemoryDataset(torch.zeros(2, 3), torch.tensor([0, 4]), "abcde")
    with pytest.raises(InputError, match=r"label 4, but the model has 3 outputs; .* 0 to 2"):
        evaluate(Scores(), data)


@pytest.mark.parametrize("n", [2, 3, 5, 30])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_interval_is_students(n, level):
    values = np.random.default_rng(n).normal(3, 2, n)
    low, high = stats.t.interval(level, n - 1, values.mean(), stats.sem(values))
    found = interval(values.tolist(), level)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)
    assert found.mean == pytest.approx(values.mean(), rel=1e-12)
    assert found.n == n


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    found = [interval(rng.normal(1.0, 1.0, 5)) for _ in range(2000)]
    share = np.mean([i.low <= 1.0 <= i.high for i in found])
    assert 0.935 < share < 0.965  # three standard errors of 0.95 at 2,000 draws


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([1.0], "at least 2 runs; found 1"),
        ([], "at least 2 runs; found 0"),
        ([1.0, float("nan")], "finite values; found"),
    ],
)
def test_too_few_or_broken_runs_are_refused(values, sentence):
    with pytest.raises(InputError, match=sentence):
        interval(values)
