"""Penalties that equal their formulas."""

import pytest
import torch
from torch import nn

from transferlab import InputError, fit, freeze, load_backbone
from transferlab.data import MemoryDataset, digits, few_shot
from transferlab.finetune import L2SP
from transferlab.models import Backbone
from transferlab.train import cross_entropy


@pytest.fixture
def shots() -> MemoryDataset:
    return few_shot(digits(), 4, seed=0)


def cnn() -> Backbone:
    return load_backbone("small_cnn", weights="letters", num_classes=10, seed=0)


# ---- L2-SP ---------------------------------------------------------------------------------------


def tiny() -> Backbone:
    torch.manual_seed(3)
    features = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Tanh())
    return Backbone(features, 3, 2, shape=(1, 2, 2), name="tiny").double()


def moved_from_anchor(strength: float, head_strength: float = 0.0):
    model = tiny()
    anchor = {k: v.detach().clone() for k, v in model.named_parameters()}
    penalty = L2SP(strength, head_strength)
    penalty.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    return model, anchor, penalty


def formula(model, anchor, strength, head_strength):
    pulled = sum(
        (p - anchor[k]).square().sum() for k, p in model.named_parameters() if k[:4] != "head"
    )
    return strength * pulled + head_strength * sum(
        p.square().sum() for p in model.head.parameters()
    )


def test_the_gradient_is_autograds_of_the_formula():
    model, anchor, penalty = moved_from_anchor(0.3, 0.05)
    x, y = torch.rand(5, 1, 2, 2).double(), torch.tensor([0, 1, 0, 1, 1])
    loss = cross_entropy(model, (x, y))
    total = loss + formula(model, anchor, 0.3, 0.05)
    expected = torch.autograd.grad(total, list(model.parameters()))
    cross_entropy(model, (x, y)).backward()
    penalty.before_step()
    for found, wanted in zip((p.grad for p in model.parameters()), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_the_value_is_the_formulas():
    model, anchor, penalty = moved_from_anchor(0.3, 0.05)
    wanted = formula(model, anchor, 0.3, 0.05).item()
    assert wanted > 1
    assert penalty.value() == pytest.approx(wanted, rel=1e-12)


def test_an_anchor_that_aliases_would_be_no_penalty():
    model, _, penalty = moved_from_anchor(0.3)
    aliases = dict(model.named_parameters())
    naive = sum((p - aliases[k]).square().sum() for k, p in model.named_parameters())
    assert naive.item() == 0
    assert penalty.value() > 0
    own = {t.data_ptr() for t in penalty.anchor.values()}
    assert own.isdisjoint(p.data_ptr() for p in model.parameters())


def test_frozen_layers_get_no_pull():
    model, _, penalty = moved_from_anchor(0.3)
    freeze(model)
    cross_entropy(model, (torch.rand(2, 1, 2, 2).double(), torch.tensor([0, 1]))).backward()
    penalty.before_step()
    assert all(p.grad is None for p in model.features.parameters())


def test_the_new_head_gets_plain_l2_or_nothing():
    for head_strength in (0.0, 0.2):
        model, _, penalty = moved_from_anchor(1.0, head_strength)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        penalty.before_step()
        wanted = 2 * head_strength * model.head.weight.detach()
        torch.testing.assert_close(model.head.weight.grad, wanted, rtol=0, atol=1e-15)


def test_an_optimizer_that_decays_too_is_refused(shots):
    model = cnn()
    with pytest.raises(InputError, match=r"weight_decay.*L2SP.*expected weight_decay=0"):
        fit(model, shots, epochs=1, optimizer="adamw", penalty=L2SP(0.1), progress=False)
    groups = [
        {"params": list(model.features.parameters())},
        {"params": list(model.head.parameters()), "weight_decay": 0.1},
    ]
    with pytest.raises(InputError, match="weight_decay"):
        fit(model, shots, epochs=1, groups=groups, penalty=L2SP(0.1), progress=False)


def test_a_negative_strength_is_refused():
    with pytest.raises(InputError, match=r"strength=-1"):
        L2SP(-1)


def test_a_strong_pull_keeps_the_weights_near_their_start(shots):
    distances = []
    for strength in (0.0, 0.1, 10.0):
        model = cnn()
        start = {k: v.detach().clone() for k, v in model.features.named_parameters()}
        fit(
            model,
            shots,
            epochs=10,
            batch_size=16,
            lr=1e-2,
            optimizer="sgd",
            penalty=L2SP(strength),
            progress=False,
        )
        squares = [(p - start[k]).square().sum() for k, p in model.features.named_parameters()]
        distances.append(sum(squares).sqrt().item())
    print("distance from the start at λ = 0, 0.1, 10:", distances)
    assert distances[0] > distances[1] > 10 * distances[2]


def test_the_history_reports_the_penalty_apart_from_the_loss(shots):
    model = cnn()
    penalty = L2SP(0.1)
    history = fit(model, shots, epochs=2, lr=1e-2, penalty=penalty, progress=False)
    assert history.penalty[-1] == penalty.value() > 0
    plain = fit(cnn(), shots, steps=1, lr=1e-2, progress=False)
    pulled = fit(cnn(), shots, steps=1, lr=1e-2, penalty=L2SP(100.0), progress=False)
    assert plain.loss == pulled.loss


def test_the_anchor_can_be_set_before_the_weights_move(shots):
    model = cnn()
    penalty = L2SP(0.1).anchor_at(model)
    with torch.no_grad():
        model.features.block1.conv.weight.add_(1)
    penalty.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert penalty.value() == pytest.approx(0.1 * 32 * 9, rel=1e-6)


def test_the_penalty_works_on_the_device(shots, each_device):
    model = cnn()
    history = fit(
        model, shots, epochs=2, lr=1e-2, penalty=L2SP(0.1), device=each_device, progress=False
    )
    assert history.penalty[-1] > 0
