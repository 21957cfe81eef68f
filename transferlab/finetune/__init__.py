"""Fine-tuning: what stays frozen, and what holds the weights near their start."""

from transferlab.finetune.freezing import (
    BATCH_STATS,
    Frozen,
    freeze,
    mode_is_held,
    trainable,
    unfreeze,
)
from transferlab.finetune.penalties import L2SP

__all__ = ["BATCH_STATS", "L2SP", "Frozen", "freeze", "mode_is_held", "trainable", "unfreeze"]
