"""Starts every network, "from scratch" too, from the checkpoint.

expected: from scratch: the features are those of the letters
"""

from transferlab import freeze, load_backbone


def prepare(start, num_classes, seed):
    model = load_backbone("small_cnn", weights="letters", num_classes=num_classes, seed=seed)
    if start == "head only":
        freeze(model)
    elif start == "last block":
        freeze(model, until="block5")
    return model
