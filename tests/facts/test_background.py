"""Chapter 1: what the lessons use without proving it again."""

import torch
from torch import nn


def test_batchnorm_normalises_then_multiplies_by_gamma_and_adds_beta() -> None:
    torch.manual_seed(0)
    layer = nn.BatchNorm2d(3).double()
    nn.init.normal_(layer.weight)  # γ
    nn.init.normal_(layer.bias)  # β
    x = 2 + 3 * torch.randn(8, 3, 4, 4, dtype=torch.float64)
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
    gamma, beta = (p.detach().view(1, 3, 1, 1) for p in (layer.weight, layer.bias))
    expected = gamma * (x - mean) / (variance + layer.eps).sqrt() + beta
    torch.testing.assert_close(layer(x).detach(), expected)


def test_many_layers_without_a_bend_are_one_layer() -> None:
    """Why a network needs nonlinear layers: the product of two matrices is a matrix."""
    torch.manual_seed(0)
    two = nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 3)).double()
    one = nn.Linear(5, 3).double()
    with torch.no_grad():
        one.weight.copy_(two[1].weight @ two[0].weight)
        one.bias.copy_(two[1].weight @ two[0].bias + two[1].bias)
    x = torch.randn(4, 5, dtype=torch.float64)
    torch.testing.assert_close(two(x), one(x))
