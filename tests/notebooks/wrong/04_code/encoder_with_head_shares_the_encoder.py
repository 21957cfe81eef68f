"""Takes the autoencoder's own encoder, not a copy.

expected: both hold the same encoder
"""

from torch import nn


def encoder_with_head(autoencoder, num_classes):
    return nn.Sequential(autoencoder.encoder, nn.Linear(500, num_classes))
