"""Freezes the last block instead of everything before it.

expected: last block: features.block5.conv.weight gets no gradient
"""

from transferlab import freeze, load_backbone


def prepare(start, num_classes, seed):
    weights = None if start == "from scratch" else "letters"
    model = load_backbone("small_cnn", weights=weights, num_classes=num_classes, seed=seed)
    if start == "head only":
        freeze(model)
    elif start == "last block":
        model.features.block5.requires_grad_(False)
    return model
