"""Chapter 7: what its lessons print, beside what is computed by hand or by another library."""

import pytest
import torch
from sklearn.metrics import cohen_kappa_score
from torch.utils.flop_counter import FlopCounterMode

from transferlab import freeze, load_backbone, models
from transferlab.models import add_lora
from transferlab.train import cross_entropy

CLASSES = 10


def test_a_step_takes_6_n_d_operations_less_the_gradient_of_the_pixels() -> None:
    samples = 7
    x, y = torch.rand(samples, 1, 8, 8), torch.arange(samples)
    mlp = models.mlp(CLASSES, shape=(1, 8, 8), widths=(256, 128))
    sizes = [p.numel() for p in mlp.parameters() if p.ndim == 2]
    with FlopCounterMode(display=False) as counter:
        cross_entropy(mlp, (x, y)).backward()
    assert counter.get_total_flops() == 6 * sum(sizes) * samples - 2 * samples * sizes[0]


@pytest.mark.parametrize("way", ["all layers", "head only", "LoRA"])
def test_a_trained_number_costs_three_more_with_adam(way: str) -> None:
    """A gradient and two averages, 4 bytes each; a frozen number costs only itself."""
    model = load_backbone("small_cnn", "letters", num_classes=CLASSES, seed=0)
    if way != "all layers":
        freeze(model)
    if way == "LoRA":
        add_lora(model, rank=2, alpha=2, seed=0)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained)
    cross_entropy(model, (torch.rand(4, 1, 8, 8), torch.arange(4))).backward()
    optimizer.step()
    count = sum(p.numel() for p in trained)
    gradients = sum(p.grad.nbytes for p in model.parameters() if p.grad is not None)
    state = [t for entry in optimizer.state.values() for t in entry.values() if t.ndim]
    assert gradients == 4 * count
    assert sum(t.nbytes for t in state) == 8 * count


def vote_is_wrong(p: float, classes: int) -> float:
    """Return how often a vote of three is wrong, by the formula of lesson 7.02."""
    two_differ = (classes - 2) / (classes - 1)
    return 1 - (1 - p) ** 3 - 3 * p * (1 - p) ** 2 - p**2 * (1 - p) * two_differ


@pytest.mark.parametrize("p", [0.1, 0.2, 0.4])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_a_vote_of_three_is_wrong_as_often_as_the_formula_says(p: float, classes: int) -> None:
    """All triples of answers are counted, with their probabilities; the truth is 0."""
    chance = torch.full((classes,), p / (classes - 1), dtype=torch.float64)
    chance[0] = 1 - p
    triples = torch.cartesian_prod(*[torch.arange(classes)] * 3)
    counts = torch.nn.functional.one_hot(triples, classes).sum(1)
    most = counts.max(1)
    voted = torch.where(most.values > 1, most.indices, triples[:, 0])
    wrong = (chance[triples].prod(1) * (voted != 0)).sum().item()
    assert wrong == pytest.approx(vote_is_wrong(p, classes), abs=1e-12)
    if classes == 2:
        assert wrong == pytest.approx(3 * p**2 - 2 * p**3, abs=1e-12)


def test_cohens_kappa_of_the_example_is_the_one_by_hand() -> None:
    first = ["face"] * 50 + ["no face"] * 50
    second = ["face"] * 40 + ["no face"] * 10 + ["face"] * 20 + ["no face"] * 30
    assert cohen_kappa_score(first, second) == pytest.approx((0.7 - 0.5) / (1 - 0.5))
