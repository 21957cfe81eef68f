"""Do two rankings agree? Rank correlation, and its p-value by permutations."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transferlab.errors import InputError

EXACT_UP_TO = 8  # models: 8! = 40,320 permutations; for more models, some are drawn
DRAWN_PERMUTATIONS = 20_000


@dataclass(frozen=True)
class Correlation:
    """How far the order of two lists agrees: 1 is the same order, −1 the opposite one.

    Attributes:
        kendall: τ, the share of pairs in the same order minus the share in opposite order.
        weighted: τ in which pairs near the top count more (it matters which model is best).
        spearman: ρ, the correlation of the ranks.
        p: share of all permutations of the models for which |τ| is at least as large. NaN, like the
            correlations, when all values of one list are equal.
        n: how many models.
    """

    kendall: float
    weighted: float
    spearman: float
    p: float
    n: int


def rank_correlation(scores: Sequence[float], accuracies: Sequence[float]) -> Correlation:
    """Return the rank correlation of two lists, with its permutation p-value (two-sided).

    The p-value is exact for 8 models or fewer; for more, 20,000 permutations are drawn.

    Sources: Kendall, A New Measure of Rank Correlation (1938); Vigna, A Weighted Correlation Index
    for Rankings with Ties (2015), as used by You et al. for LogME.
    """
    from scipy import stats  # here, because it takes a second to import

    x, y = (np.asarray(values, dtype=np.float64) for values in (scores, accuracies))
    if x.shape != y.shape or x.ndim != 1 or len(x) < 3:
        raise InputError(
            "a rank correlation needs two lists of one length, 3 or more; "
            f"found shapes {x.shape} and {y.shape}."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("a rank correlation needs finite values; found NaN or infinite ones.")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return Correlation(*[math.nan] * 4, n=len(x))
    return Correlation(
        kendall=float(stats.kendalltau(x, y).statistic),
        weighted=float(stats.weightedtau(x, y).statistic),
        spearman=float(stats.spearmanr(x, y).statistic),
        p=_p_value(x, y),
        n=len(x),
    )


def _p_value(x: np.ndarray, y: np.ndarray) -> float:
    """Return the share of permutations of y that agree or disagree with x at least as much."""
    n = len(x)
    if n <= EXACT_UP_TO:
        orders = np.array(list(itertools.permutations(range(n))))
    else:
        rng = np.random.default_rng(0)
        drawn = [rng.permutation(n) for _ in range(DRAWN_PERMUTATIONS)]
        orders = np.array([np.arange(n), *drawn])  # the observed order is one of them
    # Kendall's sum over pairs: +1 for a pair in the same order in x and y, −1 for the opposite.
    in_x, in_y = (np.sign(v[:, None] - v).astype(np.int8) for v in (x, y))
    reordered = in_y[orders[:, :, None], orders[:, None, :]]  # (orders, n, n)
    agreement = abs((in_x * reordered).sum((1, 2), dtype=np.int64))
    return float(np.mean(agreement >= abs((in_x * in_y).sum(dtype=np.int64))))


def smallest_convincing(n: int, level: float = 0.05) -> float | None:
    """Return the smallest τ of n models, all different, that has p ≤ level; None if there is none.

    A pair in the wrong order is an inversion. How many orders have k inversions is counted model by
    model: the m-th can be put before 0, 1, … or m − 1 of the earlier ones.
    """
    orders = np.ones(1)
    for m in range(2, n + 1):
        orders = np.convolve(orders, np.ones(m))
    two_sided = 2 * np.cumsum(orders) / math.factorial(n)
    inversions = int((two_sided <= level).sum()) - 1  # the most that are still convincing
    return None if inversions < 0 else 1 - 4 * inversions / (n * (n - 1))
