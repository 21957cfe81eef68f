"""Replaces the decoder of the autoencoder that was handed over.

expected: Whoever needs its decoder has lost it
"""

from torch import nn


def encoder_with_head(autoencoder, num_classes):
    autoencoder.decoder = nn.Linear(500, num_classes)
    return autoencoder
