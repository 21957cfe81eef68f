"""The small U-Net: one score per pixel, from the layers of a backbone."""

import pytest
import torch

from transferlab import InputError, fit, freeze
from transferlab.applications.scenes import scenes
from transferlab.applications.segmentation import UNet
from transferlab.models import small_cnn

WIDTHS = (4, 4, 6, 6, 8)


def unet(num_classes: int = 8) -> UNet:
    torch.manual_seed(0)
    return UNet(small_cnn(7, (3, 20, 20), WIDTHS), num_classes)


def test_every_pixel_gets_a_score_per_class():
    assert unet()(torch.rand(2, 3, 32, 48)).shape == (2, 8, 32, 48)
    with pytest.raises(InputError, match="num_classes=0: expected at least 1"):
        unet(0)


def test_the_fine_map_reaches_the_output_directly():
    """With the coarse part of every mix set to zero, a pixel still decides about its own class."""
    model = unet().eval()
    last = model.decoder[-1][0].weight.data
    last[:, : -WIDTHS[0]] = 0  # what comes from below
    x = torch.rand(1, 3, 32, 32)
    changed = x.clone()
    changed[..., 16, 16] = 1 - changed[..., 16, 16]
    moved = (model(x) - model(changed)).abs().sum(1)[0]
    rows, columns = moved.nonzero(as_tuple=True)
    assert moved[16, 16] > 0
    assert rows.min() >= 14 and rows.max() <= 18 and columns.min() >= 14 and columns.max() <= 18


def test_the_encoder_can_be_frozen_and_the_decoder_learns():
    few, model = scenes(8), unet()
    frozen = freeze(model, until="decoder")

    def loss(network, batch):
        x, rows = batch
        return torch.nn.functional.cross_entropy(network(x), few.masks[rows])

    history = fit(model, few.numbered(), epochs=20, lr=1e-2, loss_fn=loss, device="cpu")
    frozen.assert_unchanged()
    assert {name.split(".")[0] for name in frozen.tensors} == {"encoder"}
    assert history.loss[-1] < 0.6 * history.loss[0]
