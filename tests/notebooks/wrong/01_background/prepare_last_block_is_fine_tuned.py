"""Forgets "last block", so that it is the same as "fine-tuned".

expected: last block: 12 parameters too many get a gradient
"""

from transferlab import freeze, load_backbone


def prepare(start, num_classes, seed):
    weights = None if start == "from scratch" else "letters"
    model = load_backbone("small_cnn", weights=weights, num_classes=num_classes, seed=seed)
    if start == "head only":
        freeze(model)
    return model
