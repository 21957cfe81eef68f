"""Freezes every parameter, the new head with them.

expected: All parameters are frozen, the head too
"""

from transferlab import freeze, load_backbone


def prepare(start, num_classes, seed):
    weights = None if start == "from scratch" else "letters"
    model = load_backbone("small_cnn", weights=weights, num_classes=num_classes, seed=seed)
    if start == "head only":
        model.requires_grad_(False)
    elif start == "last block":
        freeze(model, until="block5")
    return model
