"""Takes the first samples of every class; the seed changes nothing.

expected: Seeds 0 to 4 all give the same draw
"""

import torch


def draw_labels(labels, per_class, seed):
    first = [(labels == label).nonzero().flatten()[:per_class] for label in labels.unique()]
    return torch.cat(first)
