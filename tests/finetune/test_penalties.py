"""Penalties that equal their formulas."""

import itertools

import pytest
import torch
from networks import cnn, narrow, tiny
from torch import nn

from transferlab import InputError, fit, freeze
from transferlab.finetune import L1, L2, L2SP
from transferlab.finetune.penalties import PIECE
from transferlab.train import cross_entropy

OPTIMIZERS = {
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0.1),
    "momentum": lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9),
    "adam": lambda groups: torch.optim.Adam(groups, lr=0.01),
}


def some_batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(5, 1, 2, 2, generator=generator, dtype=torch.float64)
    return x, torch.tensor([0, 1, 0, 1, 1])


def take_steps(model, optimizer, penalty=None, formula=None, steps=6, schedule=None) -> None:
    """Train with a penalty of ours, or with its formula as a part of the loss."""
    if penalty is not None:
        penalty.prepare(model, optimizer)
    for _ in range(steps):
        loss = cross_entropy(model, some_batch())
        optimizer.zero_grad()
        (loss + formula(model) if formula else loss).backward()
        if penalty is not None:
            penalty.add_to_gradients()
        optimizer.step()
        if schedule is not None:
            schedule.step()


def assert_same_weights(one: nn.Module, two: nn.Module, atol: float = 1e-12) -> None:
    for (name, a), b in zip(one.named_parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=atol, msg=lambda m, name=name: f"{name}: {m}")


# ---- all three -----------------------------------------------------------------------------------


def squares(model):
    return 0.03 * sum(p.square().sum() for p in model.parameters())


def absolutes(model):
    return 0.03 * sum(p.abs().sum() for p in model.parameters())


def from_start(model):
    start = dict(tiny().named_parameters())
    pulled = sum(
        (p - start[n].detach()).square().sum()
        for n, p in model.named_parameters()
        if not n.startswith("head.")
    )
    return 0.3 * pulled + 0.05 * sum(p.square().sum() for p in model.head.parameters())


PENALTIES = {
    "L2": (lambda: L2(0.03), squares),
    "L1": (lambda: L1(0.03), absolutes),
    "L2SP": (lambda: L2SP(0.3, 0.05), from_start),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_every_step_is_the_one_of_the_autograd_form(penalty, optimizer):
    make, formula = PENALTIES[penalty]
    ours, theirs, without = tiny(), tiny(), tiny()
    take_steps(ours, OPTIMIZERS[optimizer](ours.parameters()), make())
    take_steps(theirs, OPTIMIZERS[optimizer](theirs.parameters()), formula=formula)
    take_steps(without, OPTIMIZERS[optimizer](without.parameters()))
    assert_same_weights(ours, theirs)
    with pytest.raises(AssertionError):
        assert_same_weights(ours, without, atol=1e-4)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_value_is_the_formulas_in_float64(penalty):
    make, formula = PENALTIES[penalty]
    model = tiny()
    bound = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    take_steps(model, optimizer, bound)
    assert bound.value() == pytest.approx(formula(model).item(), rel=1e-12)


def test_the_value_is_summed_in_float64():
    """In float32, each square and each sum would lose digits."""
    layer = nn.Linear(10, 10, bias=False)
    nn.init.constant_(layer.weight, 0.1)
    exact = 100 * layer.weight[0, 0].double().item() ** 2
    penalty = L2(1.0)
    penalty.prepare(layer, torch.optim.SGD(layer.parameters()))
    assert penalty.value() == pytest.approx(exact, rel=1e-15)
    assert layer.weight.square().sum().item() != pytest.approx(exact, rel=1e-15)


@pytest.mark.parametrize(
    "penalty", [L2(0.1), L1(0.1), L2SP(0.1, 0.1), L2SP(0.1, 0.1, decoupled=True)]
)
def test_frozen_layers_are_left_alone(penalty):
    model = tiny()
    penalty.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    part = freeze(model)
    cross_entropy(model, some_batch()).backward()
    penalty.add_to_gradients()
    assert all(p.grad is None for p in model.features.parameters())
    part.assert_unchanged()


@pytest.mark.parametrize("penalty", [L2, L1])
def test_layers_of_every_size_are_reached(penalty):
    """Work is done in pieces of about a million numbers; none may be forgotten."""
    sizes = (3, PIECE // 2, PIECE // 2 - 1, 5, 2 * PIECE, PIECE, 7)
    layers = nn.ParameterList(torch.ones(size) for size in sizes)
    bound = penalty(0.5)
    bound.prepare(layers, torch.optim.SGD(layers.parameters()))
    for parameter in layers:
        parameter.grad = torch.zeros_like(parameter)
    layers[3].grad = None
    bound.add_to_gradients()
    wanted = 1.0 if penalty is L2 else 0.5
    for number, parameter in enumerate(layers):
        assert number == 3 or (parameter.grad == wanted).all(), sizes[number]
    assert layers[3].grad is None


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_l2_is_weight_decay_of_twice_the_strength(optimizer):
    ours, torchs = tiny(), tiny()
    take_steps(ours, OPTIMIZERS[optimizer](ours.parameters()), L2(0.03))
    decaying = OPTIMIZERS[optimizer]([{"params": list(torchs.parameters()), "weight_decay": 0.06}])
    take_steps(torchs, decaying)
    assert_same_weights(ours, torchs)


@pytest.mark.parametrize("make", [L2, L1, L2SP, lambda s: L2SP(1.0, s)])
def test_a_negative_strength_is_refused(make):
    for strength in (-1, float("nan")):
        with pytest.raises(InputError, match=r"strength=(-1|nan): expected 0 or more"):
            make(strength)


# ---- L2-SP ---------------------------------------------------------------------------------------


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
    penalty.add_to_gradients()
    for found, wanted in zip((p.grad for p in model.parameters()), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_an_anchor_that_aliases_would_be_no_penalty():
    model, _, penalty = moved_from_anchor(0.3)
    aliases = dict(model.named_parameters())
    naive = sum((p - aliases[k]).square().sum() for k, p in model.named_parameters())
    assert naive.item() == 0
    assert penalty.value() > 0
    own = {t.data_ptr() for t in penalty.anchor.values()}
    assert own.isdisjoint(p.data_ptr() for p in model.parameters())


def test_at_its_start_there_is_no_pull_at_all():
    """θ − θ_pre is 0 there. Adding 2λθ and then −2λθ_pre leaves rounding errors instead, and Adam,
    which divides by the size of the gradient, makes steps of them."""
    weight = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    gradient = 1e-4 * weight.flip(0)
    naive = gradient + 2 * 3.0 * weight - 2 * 3.0 * weight
    assert not torch.equal(naive, gradient)

    layer = nn.ParameterList([weight.clone()])
    layer[0].grad = gradient.clone()
    penalty = L2SP(3.0)
    penalty.prepare(layer, torch.optim.Adam(layer.parameters()))
    penalty.add_to_gradients()
    assert torch.equal(layer[0].grad, gradient)


def test_the_new_head_gets_plain_l2_or_nothing():
    for head_strength in (0.0, 0.2):
        model, _, penalty = moved_from_anchor(1.0, head_strength)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        penalty.add_to_gradients()
        wanted = 2 * head_strength * model.head.weight.detach()
        torch.testing.assert_close(model.head.weight.grad, wanted, rtol=0, atol=1e-15)


def test_an_optimizer_that_decays_too_is_refused(shots):
    model = cnn()
    with pytest.raises(InputError, match=r"weight_decay.*L2SP.*expected weight_decay=0"):
        fit(model, shots, epochs=1, optimizer="adamw", penalty=L2SP(0.1))
    groups = [
        {"params": list(model.features.parameters()), "lr": 1e-3},
        {"params": list(model.head.parameters()), "lr": 1e-3, "weight_decay": 0.1},
    ]
    with pytest.raises(InputError, match="weight_decay"):
        fit(model, shots, epochs=1, lr=groups, penalty=L2SP(0.1))


def test_a_strong_pull_keeps_the_weights_near_their_start(shots):
    distances = []
    for strength in (0.0, 0.1, 10.0):
        model = narrow()
        start = {k: v.detach().clone() for k, v in model.features.named_parameters()}
        fit(
            model,
            shots,
            epochs=10,
            batch_size=16,
            lr=1e-2,
            optimizer="sgd",
            penalty=L2SP(strength),
        )
        squares = [(p - start[k]).square().sum() for k, p in model.features.named_parameters()]
        distances.append(sum(squares).sqrt().item())
    print("distance from the start at λ = 0, 0.1, 10:", distances)
    assert distances[0] > distances[1] > 10 * distances[2]


def test_the_history_reports_the_penalty_apart_from_the_loss(shots):
    model = cnn()
    penalty = L2SP(0.1)
    history = fit(model, shots, epochs=2, lr=1e-2, penalty=penalty)
    assert history.penalty[-1] == penalty.value() > 0
    plain = fit(cnn(), shots, steps=1, lr=1e-2)
    pulled = fit(cnn(), shots, steps=1, lr=1e-2, penalty=L2SP(100.0))
    assert plain.loss == pulled.loss


def test_the_anchor_of_another_network_is_refused():
    penalty = L2SP(0.1).anchor_at(nn.Linear(2, 2))
    model = tiny()
    with pytest.raises(InputError, match=r"anchor.*features\.1\.weight"):
        penalty.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))


def test_the_anchor_can_be_set_before_the_weights_move(shots):
    model = cnn()
    penalty = L2SP(0.1).anchor_at(model)
    with torch.no_grad():
        model.features.block1.conv.weight.add_(1)
    penalty.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert penalty.value() == pytest.approx(0.1 * 32 * 9, rel=1e-6)


def test_the_penalty_works_on_the_device(shots, each_device):
    model = cnn()
    history = fit(model, shots, epochs=2, lr=1e-2, penalty=L2SP(0.1), device=each_device)
    assert history.penalty[-1] > 0


# ---- L2-SP, decoupled ----------------------------------------------------------------------------


def anchored_at_zero(strength: float) -> L2SP:
    penalty = L2SP(strength, strength, decoupled=True)
    penalty.anchor = {name: torch.zeros_like(p) for name, p in tiny().named_parameters()}
    return penalty


def two_groups(model) -> list[dict]:
    return [
        {"params": model.features.parameters(), "lr": 0.003},
        {"params": model.head.parameters()},
    ]


def test_towards_zero_it_is_adamw_also_with_groups_and_a_schedule():
    ours, torchs = tiny(), tiny()
    adam = torch.optim.Adam(two_groups(ours), lr=0.01)
    adamw = torch.optim.AdamW(two_groups(torchs), lr=0.01, weight_decay=0.6)
    for model, optimizer, penalty in ((ours, adam, anchored_at_zero(0.3)), (torchs, adamw, None)):
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)
        take_steps(model, optimizer, penalty, schedule=schedule)
    assert_same_weights(ours, torchs)
    coupled = tiny()  # in the gradient it is something else
    take_steps(coupled, torch.optim.Adam(two_groups(coupled), lr=0.01), L2(0.3))
    with pytest.raises(AssertionError):
        assert_same_weights(coupled, torchs, atol=1e-3)


def test_it_pulls_the_weights_and_leaves_the_gradients():
    model = tiny()
    penalty = L2SP(0.3, 0.1, decoupled=True)
    optimizer = torch.optim.SGD(two_groups(model), lr=0.5)
    penalty.prepare(model, optimizer)
    start = [p.detach().clone() for p in model.parameters()]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(2)
    cross_entropy(model, some_batch()).backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    penalty.add_to_gradients()
    for p, gradient, before in zip(model.parameters(), gradients, start, strict=True):
        assert torch.equal(p.grad, gradient)
        features = p is not model.head.weight and p is not model.head.bias
        wanted = (
            before + 2 - 0.003 * 2 * 0.3 * 2 if features else (before + 2) * (1 - 0.5 * 2 * 0.1)
        )
        torch.testing.assert_close(p.detach(), wanted, rtol=0, atol=1e-12)


def test_the_learning_rate_is_the_one_of_this_step_also_after_a_resume():
    """load_state_dict gives the optimizer new groups: those of the beginning are stale."""
    model = tiny()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    penalty = L2SP(0.1, decoupled=True)
    penalty.prepare(model, optimizer)
    optimizer.load_state_dict(optimizer.state_dict())
    weight = model.features[1].weight
    for lr in itertools.accumulate([0.5, 0.5, 0.5], lambda a, b: a * b):
        optimizer.param_groups[0]["lr"] = lr
        with torch.no_grad():
            weight.copy_(penalty.anchor["features.1.weight"] + 1)
        weight.grad = torch.zeros_like(weight)
        penalty.add_to_gradients()
        away = weight.detach() - penalty.anchor["features.1.weight"]
        torch.testing.assert_close(away, torch.full_like(away, 1 - lr * 0.2), rtol=0, atol=1e-12)


def test_adam_makes_the_coupled_pull_uneven_and_the_decoupled_one_is_even():
    """Two weights at the same distance from their start; one has had large gradients."""
    moved = {}
    for decoupled in (False, True):
        layer = nn.ParameterList([torch.zeros(2)])
        adam = torch.optim.Adam(layer.parameters(), lr=0.01, betas=(0.0, 0.999))
        penalty = L2SP(0.5, decoupled=decoupled)
        penalty.prepare(layer, adam)
        for sign in (1, -1) * 10:  # noise that cancels out
            layer[0].grad = torch.tensor([100.0 * sign, 0.1 * sign])
            adam.step()
        with torch.no_grad():
            layer[0].fill_(1)
        layer[0].grad = torch.zeros(2)
        penalty.add_to_gradients()
        adam.step()
        moved[decoupled] = (1 - layer[0].detach()).tolist()
    assert moved[False][0] < 0.01 * moved[False][1]
    assert moved[True] == pytest.approx([0.01, 0.01])
