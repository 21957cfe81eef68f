"""Sets `requires_grad` and believes the features frozen; BatchNorm's statistics still move.

expected: buffers of BatchNorm moved
"""

from transferlab import freeze, load_backbone


def prepare(start, num_classes, seed):
    weights = None if start == "from scratch" else "letters"
    model = load_backbone("small_cnn", weights=weights, num_classes=num_classes, seed=seed)
    if start == "head only":
        for parameter in model.features.parameters():
            parameter.requires_grad = False
    elif start == "last block":
        freeze(model, until="block5")
    return model
