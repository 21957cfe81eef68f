"""Treats "head only" like "fine-tuned".

expected: They would be trained as well
"""

from transferlab import freeze, load_backbone


def prepare(start, num_classes, seed):
    weights = None if start == "from scratch" else "letters"
    model = load_backbone("small_cnn", weights=weights, num_classes=num_classes, seed=seed)
    if start == "last block":
        freeze(model, until="block5")
    return model
