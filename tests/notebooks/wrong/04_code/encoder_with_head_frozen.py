"""Freezes the encoder, although it should be open to fine-tuning.

expected: open to fine-tuning
"""

import copy

from torch import nn


def encoder_with_head(autoencoder, num_classes):
    encoder = copy.deepcopy(autoencoder.encoder).requires_grad_(False)
    return nn.Sequential(encoder, nn.Linear(500, num_classes))
