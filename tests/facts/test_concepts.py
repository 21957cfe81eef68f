"""Chapter 2: data and model are two things; what moves a frozen weight; what a step costs."""

import copy

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from transferlab import data, fit, freeze, models


def test_training_changes_the_model_and_leaves_the_data() -> None:
    letters = data.letters(64, seed=0)
    kept = copy.deepcopy(letters)
    model = models.mlp(len(letters.classes), shape=(1, 8, 8), widths=(16,))
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    before = model.head.weight.detach().clone()
    fit(model, letters, steps=2)
    assert torch.equal(letters.x, kept.x)
    assert torch.equal(letters.y, kept.y)
    assert not torch.equal(model.head.weight.cpu(), before)
    assert {name: tensor.shape for name, tensor in model.state_dict().items()} == shapes


def moved_by(optimizer: torch.optim.Optimizer, weight: torch.Tensor, old_gradient: str) -> float:
    """Take a step with a gradient, then one with what is left of it; return how far this went."""
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    if old_gradient != "kept":
        optimizer.zero_grad(set_to_none=old_gradient == "None")
    before = weight.detach().clone()
    optimizer.step()
    return (weight.detach() - before).abs().max().item()


SGD = torch.optim.SGD
OPTIMIZERS = {  # does a gradient of zeros move the weight?
    "SGD": (lambda p: SGD(p, lr=0.1), False),
    "SGD with weight decay": (lambda p: SGD(p, lr=0.1, weight_decay=0.1), True),
    "SGD with momentum": (lambda p: SGD(p, lr=0.1, momentum=0.9), True),
    "Adam": (lambda p: torch.optim.Adam(p, lr=0.1), True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_moves_a_weight_that_was_frozen_in_the_middle(name: str) -> None:
    make, zeros_move = OPTIMIZERS[name]
    moved = {}
    for old_gradient in ("kept", "zero", "None"):
        weight = torch.nn.Parameter(torch.full((2,), 3.0, dtype=torch.float64))
        moved[old_gradient] = moved_by(make([weight]), weight, old_gradient)
    assert moved["kept"] > 0
    assert (moved["zero"] > 0) is zeros_move
    assert moved["None"] == 0


def test_weight_decay_shrinks_a_weight_without_a_gradient_by_eta_lambda() -> None:
    weight = torch.nn.Parameter(torch.tensor([3.0], dtype=torch.float64))
    weight.grad = torch.zeros_like(weight)
    SGD([weight], lr=0.1, weight_decay=0.2).step()
    assert weight.item() == pytest.approx((1 - 0.1 * 0.2) * 3, rel=1e-12)


def backward_operations(until: str | None) -> int:
    torch.manual_seed(0)
    model = models.small_cnn()
    if until is not None:
        freeze(model, until=until)
    model.train()
    loss = F.cross_entropy(model(torch.rand(4, 1, 8, 8)), torch.arange(4))
    with FlopCounterMode(display=False) as counter:
        loss.backward()
    return counter.get_total_flops()


def test_the_backward_pass_costs_more_with_each_block_that_is_trained() -> None:
    found = [backward_operations(until) for until in ("head", "block5", "block3", None)]
    assert found == sorted(set(found))
