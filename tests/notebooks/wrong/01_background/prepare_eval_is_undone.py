"""Puts the features into evaluation mode once; the training loop's `model.train()` undoes it.

expected: model.train() undoes an earlier eval()
"""

from transferlab import freeze, load_backbone


def prepare(start, num_classes, seed):
    weights = None if start == "from scratch" else "letters"
    model = load_backbone("small_cnn", weights=weights, num_classes=num_classes, seed=seed)
    if start == "head only":
        model.features.requires_grad_(False)
        model.features.eval()
    elif start == "last block":
        freeze(model, until="block5")
    return model
