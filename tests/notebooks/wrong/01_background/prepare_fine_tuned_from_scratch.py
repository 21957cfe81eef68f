"""Loads the checkpoint for "head only" only; "fine-tuned" starts from random weights.

expected: this is a start from scratch, whatever it is called
"""

from transferlab import freeze, load_backbone


def prepare(start, num_classes, seed):
    weights = "letters" if start == "head only" else None
    model = load_backbone("small_cnn", weights=weights, num_classes=num_classes, seed=seed)
    if start == "head only":
        freeze(model)
    return model
