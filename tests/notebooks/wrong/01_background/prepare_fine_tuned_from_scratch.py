"""Loads the checkpoint for the frozen starts only; "fine-tuned" starts from random weights.

expected: this is a start from scratch, whatever it is called
"""

from transferlab import freeze, load_backbone


def prepare(start, num_classes, seed):
    weights = "letters" if start in ("head only", "last block") else None
    model = load_backbone("small_cnn", weights=weights, num_classes=num_classes, seed=seed)
    if start == "head only":
        freeze(model)
    elif start == "last block":
        freeze(model, until="block5")
    return model
