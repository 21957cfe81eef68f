"""Freezes the last block too, so that "last block" is "head only".

expected: last block: features.block5.conv.weight gets no gradient
"""

from transferlab import freeze, load_backbone


def prepare(start, num_classes, seed):
    weights = None if start == "from scratch" else "letters"
    model = load_backbone("small_cnn", weights=weights, num_classes=num_classes, seed=seed)
    if start in ("head only", "last block"):
        freeze(model)
    return model
