"""Ends the classifier with a softmax.

expected: would apply the softmax a second time
"""

import copy

from torch import nn


def encoder_with_head(autoencoder, num_classes):
    head = nn.Linear(500, num_classes)
    return nn.Sequential(copy.deepcopy(autoencoder.encoder), head, nn.Softmax(dim=1))
