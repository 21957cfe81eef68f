"""Chapter 4: what the lessons say about torch and torchvision."""

import warnings

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

HEADS = {"vgg16": "classifier.6", "resnet50": "fc", "inception_v3": "fc"}


@pytest.mark.parametrize(("name", "expected"), HEADS.items())
def test_the_last_layer_has_two_names(name: str, expected: str) -> None:
    options = {"init_weights": False} if name == "inception_v3" else {}
    with torch.device("meta"):
        network = getattr(torchvision.models, name)(**options)
    layers = [layer for layer, m in network.named_modules() if isinstance(m, nn.Linear)]
    assert layers[-1] == expected


def test_a_vgg_with_a_new_fc_has_its_thousand_outputs() -> None:
    with torch.device("meta"):
        network = torchvision.models.vgg16()
        network.fc = nn.Linear(4096, 10)
        assert network(torch.empty(1, 3, 32, 32)).shape == (1, 1000)


def test_batchnorm_undoes_a_shift_and_a_scale_of_its_input() -> None:
    """Away from the border: why moving statistics make up for a missing normalisation."""
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=1e-12)).double().train()
    x = torch.rand(8, 3, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(layer(0.3 * x + 5), layer(x))


def test_adam_keeps_two_numbers_for_each_trained_one_and_a_counter() -> None:
    model = nn.Sequential(nn.Linear(5, 3), nn.Linear(3, 2))
    model[0].requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.rand(4, 5)).sum().backward()
    optimizer.step()
    kept = sum(t.numel() for state in optimizer.state.values() for t in state.values())
    trained = [p for p in model.parameters() if p.requires_grad]
    assert kept == 2 * sum(p.numel() for p in trained) + len(trained)


def test_uneven_parts_count_by_their_size() -> None:
    torch.manual_seed(0)
    model, x, y = nn.Linear(4, 3).double(), torch.rand(3, 4).double(), torch.tensor([0, 1, 2])

    def gradient(rows: slice) -> torch.Tensor:
        loss = F.cross_entropy(model(x[rows]), y[rows])
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, model.parameters())])

    whole, two, one = (gradient(rows) for rows in (slice(0, 3), slice(0, 2), slice(2, 3)))
    torch.testing.assert_close(2 / 3 * two + 1 / 3 * one, whole)
    assert ((two + one) / 2 - whole).abs().max() > 1e-3


def test_a_small_step_is_lost_in_bfloat16() -> None:
    weight, step = torch.tensor(1.0).bfloat16(), torch.tensor(0.001).bfloat16()
    assert weight + step == weight


def test_one_output_is_compared_with_784_pixels_and_torch_only_warns() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loss = F.mse_loss(torch.zeros(2, 1), torch.ones(2, 784))
    assert loss == 1
    assert len(caught) == 1


def test_a_sigmoid_before_the_loss_cuts_a_very_wrong_score() -> None:
    score, truth = torch.tensor([-200.0]), torch.tensor([1.0])
    assert F.binary_cross_entropy(score.sigmoid(), truth) == 100
    assert F.binary_cross_entropy_with_logits(score, truth) == 200
