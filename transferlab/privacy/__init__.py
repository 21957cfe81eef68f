"""Privacy: membership inference, and training that protects against it."""

from transferlab.privacy.accounting import noise_for, spent_epsilon
from transferlab.privacy.dp_sgd import (
    PrivateHistory,
    fit_private,
    per_sample_gradients,
    replace_batch_norm,
)
from transferlab.privacy.membership import Attack, membership_inference, roc_curve

__all__ = [
    "Attack",
    "PrivateHistory",
    "fit_private",
    "membership_inference",
    "noise_for",
    "per_sample_gradients",
    "replace_batch_norm",
    "roc_curve",
    "spent_epsilon",
]
