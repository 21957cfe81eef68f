"""Rank correlation against SciPy, and what a handful of models can prove."""

import math

import numpy as np
import pytest
from scipy import stats

from transferlab import InputError
from transferlab.select import rank_correlation, smallest_convincing


@pytest.mark.parametrize("n", [3, 5, 6, 8])
def test_the_p_value_is_exact(n):
    draw = np.random.default_rng(n)
    for _ in range(3):
        x, y = draw.normal(size=(2, n))
        found = rank_correlation(x, y)
        exact = stats.kendalltau(x, y, method="exact")
        assert found.kendall == pytest.approx(exact.statistic)
        assert found.p == pytest.approx(exact.pvalue)
        assert found.spearman == pytest.approx(stats.spearmanr(x, y).statistic)
        assert found.weighted == pytest.approx(stats.weightedtau(x, y).statistic)
        assert found.n == n


def test_many_models_are_compared_with_drawn_orders():
    draw = np.random.default_rng(0)
    x = draw.normal(size=12)
    y = x + draw.normal(size=12)
    exact = stats.kendalltau(x, y, method="exact").pvalue
    assert rank_correlation(x, y).p == pytest.approx(exact, abs=0.01)  # 3 standard errors
    assert rank_correlation(x, y) == rank_correlation(x, y)


def test_ties_count_in_the_orders_too():
    x, y = [1, 1, 2, 3], [1, 2, 3, 4]
    # 12 different orders of x; 1 agrees and 1 disagrees as much
    assert rank_correlation(x, y).p == pytest.approx(2 / 12)
    assert rank_correlation(x, y).kendall == pytest.approx(5 / math.sqrt(5 * 6))


def test_the_top_counts_more_in_the_weighted_one():
    accuracies = [1, 2, 3, 4, 5, 6]
    swapped_top, swapped_bottom = [1, 2, 3, 4, 6, 5], [2, 1, 3, 4, 5, 6]
    top, bottom = (rank_correlation(s, accuracies) for s in (swapped_top, swapped_bottom))
    assert top.kendall == bottom.kendall
    assert top.weighted < bottom.weighted


def test_six_models_prove_little():
    assert [smallest_convincing(n) for n in (3, 4)] == [None, None]
    assert smallest_convincing(5) == 1
    assert smallest_convincing(6) == pytest.approx(13 / 15)


@pytest.mark.parametrize("n", [5, 6, 7, 8])
def test_the_bar_is_where_the_p_value_crosses_the_level(n):
    def with_inversions(k: int):
        moved = [k, *range(k), *range(k + 1, n)]  # the k-th stands before k smaller ones
        return rank_correlation(moved, range(n))

    pairs = n * (n - 1) / 2
    k = round((1 - smallest_convincing(n)) / 2 * pairs)
    assert with_inversions(k).kendall == pytest.approx(smallest_convincing(n))
    assert with_inversions(k).p <= 0.05 < with_inversions(k + 1).p


def test_equal_values_have_no_order():
    found = rank_correlation([1, 1, 1], [1, 2, 3])
    assert math.isnan(found.kendall) and math.isnan(found.p)


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        ([1, 2], [1, 2], r"3 or more; found shapes \(2,\) and \(2,\)"),
        ([1, 2, 3], [1, 2], r"found shapes \(3,\) and \(2,\)"),
        ([1, 2, math.nan], [1, 2, 3], "finite values"),
    ],
)
def test_bad_lists_get_one_sentence(x, y, sentence):
    with pytest.raises(InputError, match=sentence):
        rank_correlation(x, y)
