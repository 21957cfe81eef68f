"""Puts the head behind the decoder.

expected: The decoder is still in it
"""

import copy

from torch import nn


def encoder_with_head(autoencoder, num_classes):
    return nn.Sequential(copy.deepcopy(autoencoder), nn.Linear(784, num_classes))
