"""Freezes the features of every network that starts from the checkpoint.

expected: freezing belongs to the other starts
"""

from transferlab import freeze, load_backbone


def prepare(start, num_classes, seed):
    weights = None if start == "from scratch" else "letters"
    model = load_backbone("small_cnn", weights=weights, num_classes=num_classes, seed=seed)
    if start != "from scratch":
        freeze(model, until="block5" if start == "last block" else "head")
    return model
