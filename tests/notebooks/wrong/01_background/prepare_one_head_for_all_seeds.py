"""Uses one fixed seed, so that all runs start alike.

expected: seeds 0 and 1 give the same head
"""

from transferlab import freeze, load_backbone


def prepare(start, num_classes, seed):
    weights = None if start == "from scratch" else "letters"
    model = load_backbone("small_cnn", weights=weights, num_classes=num_classes, seed=0)
    if start == "head only":
        freeze(model)
    elif start == "last block":
        freeze(model, until="block5")
    return model
