"""Replaces the decoder of the autoencoder that was handed over.

expected: Who still needs its decoder has none now
"""

from torch import nn


def encoder_with_head(autoencoder, num_classes):
    autoencoder.decoder = nn.Linear(500, num_classes)
    return autoencoder
