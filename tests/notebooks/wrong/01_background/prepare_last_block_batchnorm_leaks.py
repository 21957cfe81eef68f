"""Freezes the first blocks by `requires_grad`; their BatchNorm statistics still move.

expected: last block: no gradient, and still 12 buffers of BatchNorm moved
"""

from transferlab import freeze, load_backbone


def prepare(start, num_classes, seed):
    weights = None if start == "from scratch" else "letters"
    model = load_backbone("small_cnn", weights=weights, num_classes=num_classes, seed=seed)
    if start == "head only":
        freeze(model)
    elif start == "last block":
        model.requires_grad_(False)
        model.features.block5.requires_grad_(True)
        model.head.requires_grad_(True)
    return model
