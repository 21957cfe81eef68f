"""Takes `until` for the last frozen layer; it is the first trainable one.

expected: last block: 3 parameters too many get a gradient, such as features.block4.conv.weight
"""

from transferlab import freeze, load_backbone


def prepare(start, num_classes, seed):
    weights = None if start == "from scratch" else "letters"
    model = load_backbone("small_cnn", weights=weights, num_classes=num_classes, seed=seed)
    if start == "head only":
        freeze(model)
    elif start == "last block":
        freeze(model, until="block4")
    return model
