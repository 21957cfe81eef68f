"""The objectives of pre-training."""

import torch

from transferlab import load_backbone
from transferlab.data import letters
from transferlab.pretrain import supervised


def test_supervised_pretraining_learns():
    torch.manual_seed(0)
    model = load_backbone("small_cnn", num_classes=37, seed=0)
    history = supervised(model, letters(1280), steps=15, batch_size=256, device="cpu")
    assert history.steps[-1] == 15
    assert history.loss[-1] < history.loss[0]
