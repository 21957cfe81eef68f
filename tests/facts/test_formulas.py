"""Chapter 3: the functions that its lessons write by hand compute what torch computes."""
# ruff: noqa: N803, N806 (the letters are those of the formulas)

import ast
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from transferlab.kit.notebooks import read_json, source_of

CHAPTER = Path(__file__).parents[2] / "course" / "03_formulas"


def written_in(lesson: str) -> SimpleNamespace:
    """Return the functions that a lesson's cells define; nothing else of it is run."""
    space = {"torch": torch, "F": F, "math": math, "np": np, "steps": 1}  # a default of one
    for cell in read_json(CHAPTER / f"{lesson}.ipynb")["cells"]:
        if cell["cell_type"] == "code":
            for node in ast.parse(source_of(cell)).body:
                if isinstance(node, ast.FunctionDef):
                    exec(ast.unparse(node), space)
    return SimpleNamespace(**space)


@pytest.fixture
def draw():
    """Return a function that draws float64 numbers, always the same ones."""
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


def same(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-12) -> bool:
    return ((found - expected).abs().max() / expected.abs().max()).item() < tolerance


# ---- neuron, layer, loss -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def first() -> SimpleNamespace:
    return written_in("01_neuron_layer_loss")


def test_a_layer_is_its_neurons(first, draw) -> None:
    W, b, X = draw(5, 7), draw(5), draw(3, 7)
    layer = torch.nn.Linear(7, 5, dtype=torch.float64)
    layer.weight.data, layer.bias.data = W, b
    neurons = list(zip(W.tolist(), b.tolist(), strict=True))
    by_hand = [[first.neuron(x, w, b_i, first.relu) for w, b_i in neurons] for x in X.tolist()]
    assert same(torch.tensor(by_hand, dtype=torch.float64), torch.relu(layer(X)).detach())


def test_two_layers_without_an_activation_are_one(draw) -> None:
    X, W1, b1, W2, b2 = draw(3, 7), draw(5, 7), draw(5), draw(2, 5), draw(2)
    assert same(X @ (W2 @ W1).T + (W2 @ b1 + b2), (X @ W1.T + b1) @ W2.T + b2)


def test_the_derivatives_of_the_activations_are_autograds(draw) -> None:
    s = draw(50).requires_grad_()
    sigma, tanh = s.sigmoid().detach(), s.tanh().detach()
    expected = {"relu": (s > 0).double(), "sigmoid": sigma * (1 - sigma), "tanh": 1 - tanh**2}
    for name, derivative in expected.items():
        (found,) = torch.autograd.grad(getattr(torch, name)(s).sum(), s)
        assert same(found, derivative), name


def test_the_losses_are_torchs(first, draw) -> None:
    output, target, scores = draw(6, 4), draw(6, 4), draw(6, 4)
    one_score, y = draw(6), torch.tensor([0, 3, 1, 1, 2, 0])
    truth, one_hot = (y > 1).double(), F.one_hot(y, 4).double()
    assert same(first.mean_squared_error(output, target), F.mse_loss(output, target))
    expected = F.binary_cross_entropy_with_logits(one_score, truth)
    assert same(first.binary_cross_entropy(one_score, truth), expected)
    expected = F.cross_entropy(scores, y)
    assert same(first.cross_entropy(scores, y), expected)
    assert same(first.categorical_cross_entropy(first.softmax(scores), one_hot), expected)


def test_per_sample_the_squared_error_is_larger_by_the_numbers_of_a_sample(first, draw) -> None:
    output, target = draw(6, 4), draw(6, 4)
    per_sample = ((output - target) ** 2).sum(dim=1).mean()
    assert same(per_sample, 4 * first.mean_squared_error(output, target))


def test_log_sum_exp_survives_what_overflows_in_the_formula(first, draw) -> None:
    scores, y = 1000 * draw(6, 4), torch.tensor([0, 3, 1, 1, 2, 0])
    assert not math.isfinite(first.cross_entropy(scores, y))
    assert same(first.stable_cross_entropy(scores, y), F.cross_entropy(scores, y))


def test_sure_and_wrong_cross_entropy_pulls_and_squared_error_does_not() -> None:
    s = torch.tensor(-8.0, dtype=torch.float64, requires_grad=True)
    (pull,) = torch.autograd.grad(F.softplus(-s), s)
    assert pull == pytest.approx(torch.sigmoid(s).item() - 1)  # p − y
    assert pull < -0.99
    (pull,) = torch.autograd.grad((1 - s.sigmoid()) ** 2, s)
    assert abs(pull) < 0.001


def test_backward_by_hand_is_autograds(first, draw) -> None:
    X, y = draw(6, 8), torch.tensor([0, 3, 1, 1, 2, 0])
    weights = [draw(*shape) for shape in ((7, 8), (7,), (5, 7), (5,), (4, 5), (4,))]
    leaves = [weight.clone().requires_grad_() for weight in weights]
    F.cross_entropy(first.forward(X, leaves)[0], y).backward()
    for found, leaf in zip(first.backward(X, y, weights), leaves, strict=True):
        assert same(found, leaf.grad)


def test_at_the_corner_of_relu_differences_and_autograd_disagree(first) -> None:
    h, corner = 1e-5, torch.zeros(1, dtype=torch.float64, requires_grad=True)
    torch.relu(corner).sum().backward()
    assert (first.relu(h) - first.relu(-h)) / (2 * h) == 0.5
    assert corner.grad.item() == 0


def test_the_floor_of_a_loss_with_two_softmaxes() -> None:
    perfect = F.cross_entropy(torch.eye(10, dtype=torch.float64), torch.arange(10))
    assert perfect.item() == pytest.approx(math.log(1 + 9 / math.e), abs=1e-12)


# ---- gradient descent ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def second() -> SimpleNamespace:
    return written_in("02_gradient_descent")


def test_descent_in_a_bowl_multiplies_by_one_minus_eta_a(second) -> None:
    a = torch.tensor([1.0, 20.0], dtype=torch.float64)
    start = torch.tensor([-4.0, 1.0], dtype=torch.float64)
    path = second.gradient_descent(lambda W: 0.5 * (a * W**2).sum(), start, 0.09, 60)
    t = torch.arange(61, dtype=torch.float64)[:, None]
    assert same(path, (1 - 0.09 * a) ** t * start)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("sgd", lambda W: torch.optim.SGD([W], lr=0.01)),
        ("momentum", lambda W: torch.optim.SGD([W], lr=0.01, momentum=0.9)),
        ("rmsprop", lambda W: torch.optim.RMSprop([W], lr=0.01)),
        ("adam", lambda W: torch.optim.Adam([W], lr=0.01)),
    ],
)
def test_an_optimizer_by_hand_takes_torchs_steps(second, draw, name, make) -> None:
    x, y, start = draw(30, 6), torch.arange(30) % 4, draw(4, 6)

    def loss(W: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(x @ W.T, y)

    path = second.descend(getattr(second, name)(0.01), loss, start, 60)
    W = start.clone().requires_grad_()
    optimizer = make(W)
    for t in range(1, 61):
        optimizer.zero_grad()
        loss(W).backward()
        optimizer.step()
        assert same(W.detach(), path[t]), t


def test_a_turn_changes_adam_and_not_momentum(second) -> None:
    steep = torch.tensor([1.0, 1000.0], dtype=torch.float64)
    start = torch.tensor([[-4.0, 2.0]], dtype=torch.float64)
    turn = math.sqrt(0.5) * torch.tensor([[1.0, 1.0], [-1.0, 1.0]], dtype=torch.float64)
    ends = {}
    for name in ("momentum", "adam"):
        for way in (torch.eye(2, dtype=torch.float64), turn):

            def valley(W: torch.Tensor, way: torch.Tensor = way) -> torch.Tensor:
                return 0.5 * (steep * (W @ way.T) ** 2).sum()

            end = second.descend(getattr(second, name)(0.0025), valley, start @ way, 30)[-1]
            ends.setdefault(name, []).append(end @ way.T)
    assert same(*ends["momentum"], 1e-9)
    assert not same(*ends["adam"], 0.001)


def test_batch_gradients_weighted_by_samples_are_that_of_the_whole(second, draw) -> None:
    x, y, W = draw(17, 6), torch.arange(17) % 4, draw(4, 6)
    batches = torch.arange(17).split(7)  # 7, 7 and 3

    def gradient(rows: torch.Tensor) -> torch.Tensor:
        return second.gradient(lambda W: F.cross_entropy(x[rows] @ W.T, y[rows]), W)

    whole = gradient(torch.arange(17))
    assert same(sum(len(rows) * gradient(rows) for rows in batches) / 17, whole)
    assert not same(sum(gradient(rows) for rows in batches) / 3, whole, 0.01)


# ---- pre-train, then fine-tune -------------------------------------------------------------------


@pytest.fixture(scope="module")
def third() -> SimpleNamespace:
    return written_in("03_pretrain_then_finetune")


@pytest.fixture
def task(draw) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a task that no weights solve without an error, so that a minimum exists."""
    return draw(40, 4), (torch.arange(40) % 2).double()


def test_the_loss_of_one_neuron_is_torchs(third, task, draw) -> None:
    x, y = task
    theta = draw(4)
    expected = F.binary_cross_entropy_with_logits(x @ theta, y)
    assert same(third.L(theta, task), expected)
    assert same(third.total(theta, task), 40 * expected)


def test_sum_and_mean_differ_by_n_in_the_gradient_and_in_the_rate(third, task, draw) -> None:
    def of_sum(theta: torch.Tensor) -> torch.Tensor:
        return third.total(theta, task)

    def of_mean(theta: torch.Tensor) -> torch.Tensor:
        return third.L(theta, task)

    theta = draw(4)
    assert same(third.gradient(of_sum, theta), 40 * third.gradient(of_mean, theta))
    path = third.descend(of_mean, theta, 0.5, 50)
    assert same(third.descend(of_sum, theta, 0.5 / 40, 50), path)


def test_the_lambda_of_a_sum_is_n_times_that_of_a_mean(third, task, draw) -> None:
    anchor = draw(4)
    end = third.argmin(lambda t: third.L(t, task) + 0.1 / 40 * ((t - anchor) ** 2).sum(), anchor)
    slope = third.gradient(lambda t: third.total(t, task) + 0.1 * ((t - anchor) ** 2).sum(), end)
    assert slope.norm() < 1e-6


def test_the_minimum_is_the_same_from_every_start_and_lambda_moves_it(third, task, draw) -> None:
    anchor, other = draw(4), draw(4)
    ends = []
    for lam in (1e-6, 0.01, 1.0, 1e4):

        def held(t: torch.Tensor, lam: float = lam) -> torch.Tensor:
            return third.L(t, task) + lam * ((t - anchor) ** 2).sum()

        ends.append(third.argmin(held, anchor))
        assert third.distance(ends[-1], third.argmin(held, other)) < 1e-5
    distances = [third.distance(end, anchor) for end in ends]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-3 * distances[0]
    alone = third.argmin(lambda t: third.L(t, task), other)
    assert third.distance(ends[0], alone) < 1e-3 * distances[0]


def test_adam_does_not_see_a_factor_of_the_loss(third, task) -> None:
    ends = []
    for loss in (third.L, third.total):
        theta = torch.zeros(4, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adam([theta], lr=0.01, eps=0)
        for _ in range(50):
            optimizer.zero_grad()
            loss(theta, task).backward()
            optimizer.step()
        ends.append(theta.detach())
    assert same(*ends, 1e-8)


def test_lambda_above_one_over_eta_diverges(third, task, draw) -> None:
    anchor, eta = draw(4), 0.05
    for factor, arrives in ((0.5, True), (1.1, False)):

        def held(t: torch.Tensor, lam: float = factor / eta) -> torch.Tensor:
            return third.L(t, task) + lam * ((t - anchor) ** 2).sum()

        last = third.descend(held, torch.zeros_like(anchor), eta, 60)[-1]
        assert (third.distance(last, third.argmin(held, anchor)) < 1e-6) == arrives
