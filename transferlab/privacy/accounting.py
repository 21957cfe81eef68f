"""Accounting: how much privacy a run of DP-SGD spends."""

import functools
import math
from types import ModuleType

from transferlab.errors import InputError

# Orders of the Rényi divergence; the bound takes the best. opacus' own list has more fractions,
# which are slow to compute, and ends at 63, before the best order when there is much noise.
ORDERS = [1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, *range(4, 64), *(2**i for i in range(6, 13))]


@functools.cache
def spent_epsilon(noise: float, rate: float, steps: int, delta: float) -> float:
    """Return the epsilon that `steps` steps of DP-SGD spend.

    It is opacus' Rényi accountant: an upper bound, a few percent above its slower PRV accountant.

    Source: Mironov, Talwar and Zhang, Rényi Differential Privacy of the Sampled Gaussian Mechanism
    (2019).

    Args:
        noise: the noise multiplier σ.
        rate: the probability q that a sample is in a batch.
        steps: how many batches were drawn.
    """
    if noise == 0:
        return math.inf
    accountant = import_opacus().accountants.RDPAccountant()
    accountant.history = [(noise, rate, steps)]
    return max(0.0, float(accountant.get_epsilon(delta, alphas=ORDERS)))


@functools.cache
def noise_for(epsilon: float, rate: float, steps: int, delta: float) -> float:
    """Return the smallest noise multiplier, nearly, with which the steps spend at most epsilon."""
    try:
        return import_opacus().accountants.utils.get_noise_multiplier(
            target_epsilon=epsilon,
            target_delta=delta,
            sample_rate=rate,
            steps=steps,
            accountant="rdp",
            alphas=ORDERS,
        )
    except ValueError as error:
        raise InputError(
            f"epsilon={epsilon:g} is out of reach of any noise in {steps} steps; expected more."
        ) from error


def import_opacus() -> ModuleType:
    """Return opacus, which is imported only here: it is large and seldom needed."""
    try:
        import opacus
    except ImportError as error:
        raise InputError(
            "private training needs the package opacus, which is not installed; "
            "run: pip install opacus"
        ) from error
    return opacus
