"""Autoencoders return images; a masked one cannot see what is hidden."""

import pytest
import torch

from transferlab.models import Autoencoder, Backbone, MaskedAutoencoder, mlp, resnet20, small_cnn


@pytest.mark.parametrize(
    "backbone",
    [
        mlp(3, (1, 28, 28), widths=(500,)),
        mlp(3, (3, 4, 5)),
        small_cnn(3),
        small_cnn(3, (3, 12, 9)),
        resnet20(3, (3, 8, 8)),
    ],
    ids=lambda backbone: f"{backbone.name}{backbone.shape}",
)
def test_what_comes_out_has_the_shape_of_what_goes_in(backbone):
    x = torch.rand(2, *backbone.shape)
    hidden = torch.rand(2, 1, *backbone.shape[1:]) < 0.5
    assert Autoencoder(backbone)(x).shape == x.shape
    assert MaskedAutoencoder(backbone)(x, hidden).shape == x.shape


def test_the_decoder_is_small_beside_the_network():
    backbone = small_cnn(3)
    extra = sum(p.numel() for p in Autoencoder(backbone).decoder.parameters())
    assert extra < sum(p.numel() for p in backbone.features.parameters()) / 2


def test_pixels_come_back_as_pixels_not_normalised():
    """The normalisation is on the way in only; a decoder that copies returns the input's mean."""
    features = torch.nn.Flatten()
    backbone = Backbone(features, 4, 2, shape=(1, 2, 2), name="flat", mean=(0.5,), std=(0.25,))
    network, x = Autoencoder(backbone), torch.rand(3, 1, 2, 2)
    seen = []
    features.register_forward_hook(lambda module, args, out: seen.append(args[0]))
    with torch.no_grad():
        network.decoder[-2].weight.zero_()
        network.decoder[-2].bias.fill_(0.7)
        assert torch.equal(network(x), torch.full_like(x, 0.7))
    torch.testing.assert_close(seen[0], (x - 0.5) / 0.25)


@pytest.mark.parametrize("build", [mlp, small_cnn])
def test_hidden_pixels_are_not_seen_and_the_others_are(build):
    network = MaskedAutoencoder(build(3, (3, 8, 8))).eval()
    x = torch.rand(4, 3, 8, 8)
    hidden = torch.rand(4, 1, 8, 8) < 0.5
    other = torch.rand_like(x)
    same = network(torch.where(hidden, other, x), hidden)
    assert torch.equal(network(x, hidden), same)
    assert not torch.equal(network(x, hidden), network(torch.where(hidden, x, other), hidden))


def test_hidden_is_told_from_black():
    network = MaskedAutoencoder(mlp(3, (1, 4, 4)))
    black, nothing = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    assert not torch.equal(network(black, ~nothing), network(black, nothing))


def test_the_value_in_place_of_hidden_pixels_learns_for_each_channel():
    network = MaskedAutoencoder(mlp(3, (3, 4, 4)))
    hidden = torch.rand(2, 1, 4, 4) < 0.5
    network(torch.rand(2, 3, 4, 4), hidden).square().sum().backward()
    assert network.mask_value.grad.shape == (3, 1, 1)
    assert network.mask_value.grad.abs().min() > 0
