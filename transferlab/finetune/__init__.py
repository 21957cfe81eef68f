"""Fine-tuning: what stays frozen, how fast each layer learns, and what regularises the weights."""

from transferlab.finetune.freezing import (
    BATCH_STATS,
    Frozen,
    freeze,
    mode_is_held,
    trainable,
    unfreeze,
)
from transferlab.finetune.groups import layer_decay
from transferlab.finetune.mixing import mixup
from transferlab.finetune.penalties import L1, L2, L2SP
from transferlab.finetune.schedules import gradual_unfreezing, lp_ft
from transferlab.models.layers import blocks

__all__ = [
    "BATCH_STATS",
    "L1",
    "L2",
    "L2SP",
    "Frozen",
    "blocks",
    "freeze",
    "gradual_unfreezing",
    "layer_decay",
    "lp_ft",
    "mixup",
    "mode_is_held",
    "trainable",
    "unfreeze",
]
