"""mixup: the mixture and its loss, by hand."""

import pytest
import torch
from networks import narrow
from torch import nn
from torch.nn import functional as F

from transferlab import InputError, fit
from transferlab.device import seeded
from transferlab.finetune import mixup
from transferlab.train import cross_entropy, train_one_epoch


class Seeing(nn.Module):
    """A linear classifier that remembers what it was shown."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(inputs, 3).double()

    def forward(self, x):
        self.seen = x
        return self.layer(x)


@pytest.fixture(autouse=True)
def fixed_draws():
    with seeded(0):
        yield


def test_the_loss_is_the_formulas():
    """The images are the rows of the identity: in a mixture one can read λ and the partner."""
    n = 6
    model = Seeing(n)
    x, y = torch.eye(n, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 2])
    partners, shares = set(), []
    loss_fn = mixup(1.0)
    for _ in range(20):
        loss = loss_fn(model, (x, y))
        own = model.seen.diagonal()
        rest = model.seen - torch.diag(own)
        partner = torch.where(rest.sum(1) > 0, rest.argmax(1), torch.arange(n))
        share = own[partner != torch.arange(n)][0].item()

        mixed = torch.stack([share * x[i] + (1 - share) * x[partner[i]] for i in range(n)])
        torch.testing.assert_close(model.seen, mixed, rtol=0, atol=1e-15)
        scores = model.layer(mixed)
        by_hand = share * F.cross_entropy(scores, y) + (1 - share) * F.cross_entropy(
            scores, y[partner]
        )
        assert loss.item() == pytest.approx(by_hand.item(), rel=1e-12)
        assert sorted(partner.tolist()) == list(range(n))  # every image is a partner once
        partners.add(tuple(partner.tolist()))
        shares.append(share)
    assert len(partners) > 15
    assert len(set(shares)) == 20


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_the_share_has_a_beta_distribution(alpha):
    n, draws = 8, 1500
    model, x, y = Seeing(n), torch.eye(n, dtype=torch.float64), torch.zeros(n, dtype=torch.long)
    loss_fn, shares = mixup(alpha), []
    for _ in range(draws):
        loss_fn(model, (x, y))
        shares.append(model.seen.diagonal().min().item())  # the own part of some mixed image
    shares = torch.tensor(shares)
    assert shares.mean().item() == pytest.approx(0.5, abs=0.04)
    assert shares.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.08)


@pytest.mark.parametrize("alpha", [1e-9, 1e-3])
def test_a_small_alpha_is_plain_cross_entropy(alpha, shots):
    """λ is then 0 or 1: the batch in its own order, or all of it in another."""
    model = narrow().train()
    plain = cross_entropy(model, (shots.x, shots.y)).item()
    found = [mixup(alpha)(model, (shots.x, shots.y)).item() for _ in range(20)]
    assert sorted(found)[10] == pytest.approx(plain, abs=1e-5)
    if alpha == 1e-9:
        assert found == pytest.approx([plain] * 20, abs=1e-5)


def test_nothing_is_mixed_in_evaluation(shots):
    model = narrow().eval()
    found = mixup(1.0)(model, (shots.x, shots.y))
    assert torch.equal(found, cross_entropy(model, (shots.x, shots.y)))
    history = fit(model, shots, val=shots, epochs=1, loss_fn=mixup(1.0))
    model.eval()
    assert history.val_loss[0] == pytest.approx(cross_entropy(model, (shots.x, shots.y)).item())


def test_augmentation_comes_before_the_mixture():
    model = Seeing(4)
    x, y = torch.eye(4, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train_one_epoch(model, [(x, y)], mixup(1.0), optimizer, augment=lambda x: 10 * x)
    assert model.seen.sum(1).tolist() == pytest.approx([10] * 4)


def test_the_same_seed_mixes_the_same(shots, each_device):
    losses = [
        fit(
            narrow(),
            shots,
            epochs=2,
            loss_fn=mixup(0.5),
            seed=7,
            device=each_device,
        ).loss
        for _ in range(2)
    ]
    assert losses[0] == losses[1]


def test_an_alpha_that_is_no_positive_number_is_refused():
    for alpha in (0, -1, float("nan")):
        with pytest.raises(InputError, match=r"alpha=.*expected a positive number"):
            mixup(alpha)
