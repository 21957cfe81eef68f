"""Treats "head only" like "fine-tuned".

expected: They would be trained as well; that is fine-tuning
"""

from transferlab import load_backbone


def prepare(start, num_classes, seed):
    weights = None if start == "from scratch" else "letters"
    return load_backbone("small_cnn", weights=weights, num_classes=num_classes, seed=seed)
