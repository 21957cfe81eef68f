"""Keeps the head that tells 37 letters apart.

expected: a new task needs a new head
"""

from transferlab import freeze, load_backbone


def prepare(start, num_classes, seed):
    if start == "from scratch":
        return load_backbone("small_cnn", num_classes=num_classes, seed=seed)
    model = load_backbone("small_cnn", weights="letters", seed=seed)
    if start == "head only":
        freeze(model)
    elif start == "last block":
        freeze(model, until="block5")
    return model
