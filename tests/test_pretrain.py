"""The objectives of pre-training: their values by hand, their traps, and what they leave behind."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy.special import expit, logsumexp
from torch import Tensor
from torch.nn import functional as F

from transferlab import InputError, evaluate, fit, load_backbone, pretrain
from transferlab.data import MemoryDataset, fresh_letters, letters, unlabelled
from transferlab.device import seeded
from transferlab.models import (
    GAN,
    Autoencoder,
    Backbone,
    Generator,
    MaskedAutoencoder,
    MaskedLanguageModel,
    Projector,
    mlp,
    small_cnn,
    text_transformer,
)
from transferlab.models.transformer import MASK, PADDING, SPECIAL
from transferlab.pretrain import (
    discriminator_loss,
    drop_pixels,
    generator_loss,
    guess_tokens,
    hide_tokens,
    masked_cross_entropy,
    masked_error,
    nt_xent,
    random_patches,
    random_tokens,
    small_changes,
    squared_error,
)
from transferlab.scale import Scale

WITHOUT_LABELS = ["autoencoder", "denoising", "masked", "contrastive", "gan"]
OBJECTIVES = ["supervised", *WITHOUT_LABELS]
SOURCE = letters(192)


def train(objective: str, model: Backbone, data=SOURCE, steps: int = 3, **options):
    options = {"batch_size": 64, "device": "cpu", **options}
    return getattr(pretrain, objective)(model, data, steps=steps, **options)


def tiny(seed: int = 0) -> Backbone:
    with seeded(seed):
        return mlp(37, (1, 8, 8), widths=(16, 12))


def equal(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    one, two = a.state_dict(), b.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


# ---- the losses by hand: plain loops in float64 --------------------------------------------------


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_squared_error_by_hand():
    output = torch.tensor([[1.0, 2.0], [0.5, 0.0]]).view(2, 1, 1, 2)
    target = torch.tensor([[0.0, 4.0], [0.5, 3.0]]).view(2, 1, 1, 2)
    assert squared_error(output, target).item() == (1 + 4 + 0 + 9) / 4


def test_class_scores_are_not_compared_with_images():
    """Source 001 compares a 10-wide output with a 784-wide target; some shapes even broadcast."""
    with pytest.raises(InputError, match=r"returns \(20, 10\), but the target is \(20, 784\)"):
        squared_error(torch.rand(20, 10), torch.rand(20, 784))
    one_wide, target = torch.rand(20, 1), torch.rand(20, 784)
    with pytest.warns(UserWarning, match="broadcasting"):
        assert F.mse_loss(one_wide, target).isfinite()  # the naive way gives a number
    with pytest.raises(InputError, match=r"expected the same shape"):
        squared_error(one_wide, target)


def test_masked_error_by_hand():
    output, target = random(2, 3, 2, 2).numpy(), random(2, 3, 2, 2, seed=1).numpy()
    hidden = np.array([[[1, 0], [0, 0]], [[0, 1], [1, 1]]], dtype=bool)[:, None]
    squares = [
        (output[n, c, row, column] - target[n, c, row, column]) ** 2
        for n in range(2)
        for c in range(3)
        for row in range(2)
        for column in range(2)
        if hidden[n, 0, row, column]
    ]
    assert len(squares) == 4 * 3
    found = masked_error(*(torch.from_numpy(array) for array in (output, target, hidden)))
    assert found.item() == pytest.approx(sum(squares) / len(squares), rel=1e-12)


def test_what_the_network_was_shown_does_not_count():
    hidden = random(4, 1, 6, 6, seed=3) < 0
    target, other = random(4, 2, 6, 6), random(4, 2, 6, 6, seed=1)
    changed = torch.where(hidden, target, other)  # other targets where the pixels were visible
    gradients = []
    for each in (target, changed):
        output = random(4, 2, 6, 6, seed=2).requires_grad_()
        masked_error(output, each, hidden).backward()
        gradients.append(output.grad)
    assert torch.equal(*gradients)
    output = random(4, 2, 6, 6, seed=2)
    assert masked_error(output, target, hidden) == masked_error(output, changed, hidden)
    assert squared_error(output, target) != squared_error(output, changed)  # the naive loss


def nt_xent_by_hand(one: np.ndarray, two: np.ndarray, temperature: float) -> float:
    """Return equation 1 of Chen et al. (2020), averaged as in their algorithm 1."""
    z = [*one, *two]
    n = len(one)

    def sim(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / math.sqrt((a @ a) * (b @ b)))

    total = 0.0
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        others = [sim(z[i], z[k]) / temperature for k in range(2 * n) if k != i]
        total += -(sim(z[i], z[j]) / temperature - float(logsumexp(others)))
    return total / (2 * n)


def test_nt_xent_of_two_pairs_by_hand():
    """Two pairs on the unit circle: every cosine is 1, 0 or −1, so the sums fit on one line."""
    one = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)  # the length does not count
    two = torch.tensor([[3.0, 0.0], [0.0, -1.0]], dtype=torch.float64)
    # anchors 1 and 3: partner 1, others 0 and 0; anchors 2 and 4: partner −1, others 0 and 0
    good = -math.log(math.exp(2) / (math.exp(2) + 2))
    bad = -math.log(math.exp(-2) / (math.exp(-2) + 2))
    expected = (2 * good + 2 * bad) / 4
    assert nt_xent(one, two, temperature=0.5).item() == pytest.approx(expected, rel=1e-12)
    assert nt_xent_by_hand(one.numpy(), two.numpy(), 0.5) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("n", "temperature"), [(1, 0.5), (2, 1.0), (5, 0.1), (8, 0.07)])
def test_nt_xent_equals_explicit_sums(n, temperature):
    one, two = random(n, 6), random(n, 6, seed=1)
    expected = nt_xent_by_hand(one.numpy(), two.numpy(), temperature)
    found = nt_xent(one, two, temperature).item()
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_nt_xent_leaves_out_the_anchor_and_uses_both_views_as_anchors():
    one, two = random(4, 6), random(4, 6, seed=1)
    found = nt_xent(one, two).item()
    z = F.normalize(torch.cat([one, two]), dim=1)
    partner = torch.arange(8).roll(4)
    with_itself = F.cross_entropy(z @ z.T / 0.5, partner).item()
    one_sided = F.cross_entropy(z[:4] @ z[4:].T / 0.5, torch.arange(4)).item()
    assert found != pytest.approx(with_itself, rel=0.01)
    assert found != pytest.approx(one_sided, rel=0.01)
    assert found == pytest.approx(nt_xent(two, one).item(), rel=1e-12)  # no view comes first
    mixed = torch.arange(4).flip(0)
    assert found == pytest.approx(nt_xent(one[mixed], two[mixed]).item(), rel=1e-12)


def test_nt_xent_of_a_network_that_sees_no_difference():
    z = torch.ones(16, 3)
    assert nt_xent(z, z).item() == pytest.approx(math.log(31), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_nt_xent_is_computed_in_float32_under_mixed_precision(dtype):
    one, two = random(8, 16).to(dtype), random(8, 16, seed=1).to(dtype)
    expected = nt_xent(one.double(), two.double(), 0.05).item()
    with torch.autocast("cpu", dtype):
        found = nt_xent(one, two, 0.05)
        z = F.normalize(torch.cat([one, two]), dim=1)
        naive = (z @ z.T / 0.05).fill_diagonal_(-torch.inf)
        naive = F.cross_entropy(naive, torch.arange(16).roll(8))
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected, rel=1e-5)
    assert naive.item() != pytest.approx(expected, rel=1e-5)


def test_the_players_losses_by_hand():
    real, fake = random(5), random(5, seed=1)
    by_hand = sum(-math.log(expit(s)) for s in real.tolist()) / 5
    by_hand += sum(-math.log(1 - expit(s)) for s in fake.tolist()) / 5
    assert discriminator_loss(real, fake).item() == pytest.approx(by_hand, rel=1e-12)
    by_hand = sum(-math.log(expit(s)) for s in fake.tolist()) / 5
    assert generator_loss(fake).item() == pytest.approx(by_hand, rel=1e-12)
    reference = F.binary_cross_entropy_with_logits(
        torch.cat([real, fake]), torch.tensor([1.0, 0.0], dtype=torch.float64).repeat_interleave(5)
    )
    assert discriminator_loss(real, fake).item() == pytest.approx(2 * reference.item(), rel=1e-12)
    guess = torch.zeros(5)
    total = discriminator_loss(guess, guess) + generator_loss(guess)
    assert total.item() == pytest.approx(3 * math.log(2), rel=1e-6)


def test_the_generator_learns_also_while_it_loses():
    certain = torch.full((1,), -20.0, requires_grad=True)  # surely a fake, says the discriminator
    generator_loss(certain).backward()
    assert certain.grad.item() == pytest.approx(-1, abs=1e-6)
    certain.grad = None
    torch.log(1 - torch.sigmoid(certain)).backward()  # the saturating form
    assert abs(certain.grad.item()) < 1e-6
    assert generator_loss(torch.tensor([-200.0])).item() == pytest.approx(200)
    assert -torch.log(torch.sigmoid(torch.tensor(-200.0))) == torch.inf  # the naive formula


@pytest.mark.parametrize(
    "loss",
    [
        lambda a, b: squared_error(a, b),
        lambda a, b: nt_xent(a, b, 0.3),
        lambda a, b: discriminator_loss(a[:, 0], b[:, 0]) + generator_loss(b[:, 1]),
        lambda a, b: masked_error(
            a.view(3, 2, 2, 1), b.view(3, 2, 2, 1), torch.tensor([1, 0] * 3).view(3, 1, 2, 1)
        ),
    ],
    ids=["squared_error", "nt_xent", "players", "masked_error"],
)
def test_gradients_agree_with_differences(loss):
    inputs = (random(3, 4).requires_grad_(), random(3, 4, seed=1).requires_grad_())
    assert torch.autograd.gradcheck(loss, inputs)


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(InputError, match=r"temperature=0: expected a positive number"):
        nt_xent(torch.rand(2, 3), torch.rand(2, 3), 0)


# ---- what is hidden ------------------------------------------------------------------------------


def test_every_image_has_as_many_hidden_patches_in_places_of_its_own():
    with seeded(0):
        hidden = random_patches(torch.rand(500, 3, 8, 8), patch=2, share=0.6)
    assert hidden.shape == (500, 1, 8, 8)
    blocks = hidden.view(500, 4, 2, 4, 2).transpose(2, 3).reshape(500, 16, 4)
    assert torch.equal(blocks.any(2), blocks.all(2))  # whole patches
    assert blocks.all(2).sum(1).tolist() == [10] * 500  # 0.6 · 16 = 9.6
    assert len(hidden.flatten(1).unique(dim=0)) > 450  # of 8008 choices
    often = blocks.all(2).float().mean(0)  # no place is preferred: 10/16, four deviations around it
    assert often.min() > 0.54
    assert often.max() < 0.71


def test_patches_at_the_edge_may_be_smaller():
    hidden = random_patches(torch.rand(9, 1, 7, 5), patch=4, share=0.5)
    assert hidden.shape == (9, 1, 7, 5)
    sizes = {4 * 4, 4 * 1, 3 * 4, 3 * 1}
    assert {int(n) for n in hidden.sum((1, 2, 3))} <= {
        a + b for a in sizes for b in sizes if a != b
    }


@pytest.mark.parametrize("share", [0.0, 0.01, 0.99, 1.0])
def test_hiding_nothing_or_everything_is_refused(share):
    with pytest.raises(InputError, match=rf"share={share} hides (0|16) of 4×4 patches; expected"):
        random_patches(torch.rand(2, 1, 8, 8), patch=2, share=share)


def test_a_patch_of_no_pixels_is_refused():
    with pytest.raises(InputError, match=r"patch=0: expected at least 1 pixel"):
        random_patches(torch.rand(2, 1, 8, 8), patch=0, share=0.5)


def test_the_default_views_are_other_images_in_the_same_range():
    x = SOURCE.x
    with seeded(0):
        one, two = small_changes(x), small_changes(x)
    assert one.shape == x.shape
    assert 0 <= float(one.min()) < float(one.max()) <= 1
    apart = (one - two).square().mean((1, 2, 3))
    assert apart.min() > 1e-3
    assert apart.mean() < (one - two.flip(0)).square().mean()  # yet nearer than another image is


def test_dropped_pixels_are_black_and_the_others_as_before():
    x = 0.5 + torch.rand(20, 3, 8, 8) / 2
    damaged = drop_pixels(x, 0.25)
    dropped = damaged == 0
    assert dropped.sum((2, 3)).unique().tolist() == [16]
    assert torch.equal(damaged[~dropped], x[~dropped])
    assert torch.equal(dropped[:, 0], dropped[:, 2])  # whole pixels


def test_random_numbers_are_those_of_the_seed():
    x = torch.rand(4, 1, 8, 8)
    made = []
    for seed in (0, 0, 1):
        with seeded(seed):
            made.append((random_patches(x, 2, 0.5), drop_pixels(x)))
    assert all(torch.equal(a, b) for a, b in zip(made[0], made[1], strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(made[0], made[2], strict=True))


# ---- the objectives by hand: the loss of the first step, from a copy of the network --------------


def same_images(n: int = 6) -> MemoryDataset:
    """n times one image: the order in which a batch is drawn does not matter then."""
    x = letters(1, seed=4).x.expand(n, -1, -1, -1).contiguous()
    return unlabelled(x)


def normalising(seed: int = 0) -> Backbone:
    """A backbone with a normalisation of its own."""
    with seeded(seed):
        features = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 12), torch.nn.ReLU())
        return Backbone(features, 12, 2, shape=(1, 8, 8), name="tiny", mean=(0.3,), std=(0.4,))


def first_loss(objective: str, data: MemoryDataset, **options) -> float:
    history = train(objective, normalising(), data, steps=1, batch_size=len(data), **options)
    return history.loss[0]


def network(kind: type, *extra: object) -> torch.nn.Module:
    """Return what an objective of seed 0 trains, as it is before the first step."""
    model = normalising()
    with seeded(0):
        return kind(model, *(make() for make in extra))


def mean_square(output: Tensor, target: Tensor) -> float:
    a, b = output.detach().double().numpy(), target.double().numpy()
    return sum((p - q) ** 2 for p, q in zip(a.ravel(), b.ravel(), strict=True)) / a.size


def test_the_autoencoder_reconstructs_the_pixels_of_the_input():
    data = letters(6)
    expected = mean_square(network(Autoencoder)(data.x), data.x)
    assert first_loss("autoencoder", data) == pytest.approx(expected, rel=1e-5)


def test_denoising_sees_the_damaged_image_and_is_compared_with_the_clean_one():
    data = letters(6)
    found = first_loss("denoising", data, corrupt=lambda x: 1 - x)
    seen = network(Autoencoder)(1 - data.x)
    assert found == pytest.approx(mean_square(seen, data.x), rel=1e-5)
    naive = mean_square(seen, 1 - data.x)  # learns to copy the damage
    assert found != pytest.approx(naive, rel=0.01)


def test_denoising_drops_a_quarter_of_the_pixels_by_default():
    data = same_images()
    with seeded(0):
        damaged = drop_pixels(data.x, 0.25)
    expected = mean_square(network(Autoencoder)(damaged), data.x)
    assert first_loss("denoising", data) == pytest.approx(expected, rel=1e-5)


def test_masked_completes_the_hidden_pixels_only():
    data = same_images()
    with seeded(0):
        hidden = random_patches(data.x, 2, 0.6)
    output = network(MaskedAutoencoder)(data.x, hidden)
    expected = mean_square(output[hidden], data.x[hidden])
    assert first_loss("masked", data) == pytest.approx(expected, rel=1e-5)
    assert mean_square(output, data.x) != pytest.approx(expected, rel=0.01)  # all pixels: naive


def test_contrastive_compares_two_views_of_each_image():
    data = letters(6)
    changes = [torch.Tensor.square, lambda x: 1 - x]  # one for each call
    by_hand = [network(Projector)(change(data.x)).detach().double().numpy() for change in changes]
    calls = iter(changes)
    found = first_loss("contrastive", data, views=lambda x: next(calls)(x), temperature=0.2)
    assert found == pytest.approx(nt_xent_by_hand(*by_hand, 0.2), rel=1e-5)


def test_both_views_go_through_batch_norm_together():
    model, sizes = small_cnn(3), []
    model.features.register_forward_hook(lambda module, args, out: sizes.append(len(out)))
    train("contrastive", model, steps=1)
    assert sizes == [128]
    assert model.features.block1.bn.num_batches_tracked == 1


def made_up(gan: GAN, n: int) -> Tensor:
    """Generate the images of the first step of a run with seed 0."""
    with seeded(0):
        noise = torch.randn(n, gan.generator.latent)
    return gan.generator(noise)


def test_the_gan_plays_by_the_formulas():
    data, gan = same_images(), network(GAN, lambda: Generator((1, 8, 8)))
    real = gan.discriminator(data.x).tolist()
    fake = gan.discriminator(made_up(gan, 6)).tolist()
    by_hand = [-math.log(expit(s)) for s in real]
    by_hand += [-math.log(1 - expit(s)) - math.log(expit(s)) for s in fake]
    assert first_loss("gan", data) == pytest.approx(sum(by_hand) / 6, rel=1e-5)


def gradients_of_one_step(data: MemoryDataset) -> tuple[GAN, list[Tensor]]:
    """Return the players as they were before the first step, and the gradients of that step."""
    gan, model, held = network(GAN, lambda: Generator((1, 8, 8))), normalising(), []

    def spy(groups: list[dict]) -> torch.optim.Optimizer:
        held.extend(p for group in groups for p in group["params"])
        return torch.optim.SGD(groups, lr=1.0)

    train("gan", model, data, steps=1, batch_size=len(data), optimizer=spy)
    return gan, [p.grad for p in held]


def test_each_player_gets_the_gradient_of_its_own_loss_only():
    data = same_images()
    gan, found = gradients_of_one_step(data)
    players = list(gan.generator.parameters()), list(gan.discriminator.parameters())
    fake = made_up(gan, 6)
    judged = discriminator_loss(gan.discriminator(data.x), gan.discriminator(fake))
    fooled = generator_loss(gan.discriminator(fake))
    expected = torch.autograd.grad(fooled, players[0], retain_graph=True)
    expected += torch.autograd.grad(judged, players[1], retain_graph=True)
    for mine, by_hand in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, by_hand, rtol=1e-4, atol=1e-7)
    naive = torch.autograd.grad(judged + fooled, [*players[0], *players[1]])
    assert not any(torch.allclose(a, b, rtol=1e-2) for a, b in zip(naive, expected, strict=True))


def test_batch_norm_of_the_backbone_learns_the_statistics_of_real_images():
    with seeded(0):
        model = small_cnn(3)
    conv, data = copy.deepcopy(model.features.block1.conv), letters(64)
    train("gan", model, data, steps=1)
    with torch.no_grad():
        mean = conv(data.x).mean((0, 2, 3))
    torch.testing.assert_close(model.features.block1.bn.running_mean, 0.1 * mean)
    assert model.features.block1.bn.num_batches_tracked == 1


def test_the_generators_images_come_closer_to_the_real_ones_and_stay_different():
    images = []
    for naive in (False, True):
        with seeded(0):
            generator = Generator((1, 8, 8))
        if naive:
            generator.layers[1] = generator.layers[4] = torch.nn.Identity()  # no BatchNorm
        start = (generator.sample(200).mean(0) - SOURCE.x.mean(0)).square().mean()
        model = load_backbone("mlp", num_classes=2, size=8, seed=0)
        train("gan", model, steps=150, batch_size=32, generator=generator)
        images.append(generator.sample(200))
        if not naive:
            assert (images[0].mean(0) - SOURCE.x.mean(0)).square().mean() < start / 2
    mine, one_image_for_all = (made.std(0).mean() / SOURCE.x.std(0).mean() for made in images)
    assert one_image_for_all < 0.1
    assert mine > 3 * one_image_for_all


def test_a_last_batch_of_one_image_does_not_stop_the_gan():
    history = train("gan", tiny(), letters(9), steps=2, batch_size=8)
    assert math.isfinite(history.loss[-1])


# ---- what every objective must keep --------------------------------------------------------------


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("build", [mlp, small_cnn])
def test_it_leaves_a_backbone_that_fine_tunes(objective, build, each_device):
    with seeded(0):
        model = build(37, (1, 8, 8))
    layers = list(model.features.parameters())
    before = [p.detach().clone() for p in layers]
    train(objective, model, fresh_letters(64 * 3), steps=3, device=each_device)
    assert all(a is b for a, b in zip(model.features.parameters(), layers, strict=True))
    assert not any(torch.equal(a.cpu(), b) for a, b in zip(layers, before, strict=True))
    with seeded(0):
        model.replace_head(37)
    few = SOURCE.subset(torch.arange(64))
    start = evaluate(model, few, device=each_device).loss
    fit(model, few, epochs=5, batch_size=32, lr=3e-3, device=each_device)
    assert evaluate(model, few, device=each_device).loss < start


@pytest.mark.parametrize("shape", [(3, 9, 7), (1, 28, 28)])
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("build", [mlp, small_cnn])
def test_any_shape_of_image_will_do(objective, build, shape):
    with seeded(0):
        x, model = torch.rand(10, *shape), build(3, shape)
    data = MemoryDataset(x, torch.arange(10) % 3, ["a", "b", "c"])
    history = train(objective, model, data, steps=2, batch_size=8)
    assert all(math.isfinite(loss) for loss in history.loss)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_loss_falls(objective):
    history = train(objective, tiny(), steps=120, batch_size=32)
    assert history.steps[-1] == 120
    if objective == "gan":  # a game has no loss that falls; near 3 ln 2 nobody wins
        assert history.loss[-1] == pytest.approx(3 * math.log(2), abs=1)
    else:
        assert history.loss[-1] < 0.95 * history.loss[0]


@pytest.mark.parametrize("objective", WITHOUT_LABELS)
def test_labels_are_ignored_and_the_head_is_left_alone(objective):
    one, two = tiny(), tiny()
    other = unlabelled(SOURCE.x)
    held = []

    def decaying(groups: list[dict]) -> torch.optim.Optimizer:
        held.extend(p for group in groups for p in group["params"])
        return torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.5)

    train(objective, one, optimizer=decaying)
    train(objective, two, other, optimizer=decaying)
    assert equal(one.features, two.features)
    assert equal(one.head, tiny().head)
    assert not {id(p) for p in held} & {id(p) for p in one.head.parameters()}
    assert all(p.grad is not None for p in held)  # nothing is decayed that does not learn


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_one_seed_gives_one_result_and_the_callers_random_numbers_go_on(objective):
    results = []
    for noise, seed in [(1, 0), (2, 0), (3, 1)]:
        model = tiny()
        torch.manual_seed(noise)  # what was drawn before does not matter
        before = torch.get_rng_state()
        history = train(objective, model, seed=seed)
        assert torch.equal(torch.get_rng_state(), before)
        results.append((model, history.loss))
    (one, loss), (two, same), (three, _) = results
    assert loss == same
    assert equal(one, two)
    assert not equal(one, three)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("source", [SOURCE, fresh_letters(192)], ids=["memory", "fresh"])
def test_two_and_two_epochs_equal_four_bit_for_bit(objective, source, tmp_path):
    whole, halves = tiny(), tiny()
    constant = {"schedule": "constant", "checkpoint": None}
    expected = train(objective, whole, source, steps=12, **constant)
    constant["checkpoint"] = tmp_path / "run.ckpt"
    train(objective, halves, source, steps=6, **constant)
    halves = tiny()  # as after a crash
    found = train(objective, halves, source, steps=12, **constant)
    assert found.loss == expected.loss
    assert equal(halves.features, whole.features)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_it_trains_in_mixed_precision(objective):
    model = load_backbone("small_cnn", num_classes=37, seed=0)
    history = train(objective, model, steps=2, scale=Scale(precision="bfloat16"))
    assert math.isfinite(history.loss[-1])
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("objective", ["supervised", "contrastive"])
def test_a_published_resnet20_can_be_trained_on(objective, shared_data):
    path = shared_data / "weights" / "cifar10_resnet20-12fca82f.th"
    model = load_backbone("resnet20", path)
    with seeded(0):
        x = torch.rand(8, 3, 32, 32)
    data = MemoryDataset(x, torch.arange(8) % 10, [str(i) for i in range(10)])
    before = model.features.conv1.weight.detach().clone()
    history = train(objective, model, data, steps=2, batch_size=4, lr=1e-3)
    assert math.isfinite(history.loss[-1])
    assert not torch.equal(model.features.conv1.weight, before)
    with seeded(0):
        model.replace_head(3)
    three = MemoryDataset(x, torch.arange(8) % 3, ["a", "b", "c"])
    fine = fit(model, three, epochs=4, batch_size=4, device="cpu")
    assert fine.loss[-1] < fine.loss[0]


def test_images_of_another_size_get_one_sentence():
    with pytest.raises(
        InputError, match=r"mlp expects inputs of shape \(N, 1, 8, 8\); found"
    ) as caught:
        train("autoencoder", tiny(), letters(64, size=12))
    assert "\n" not in str(caught.value)


# ---- texts ---------------------------------------------------------------------------------------


def some_texts(n: int = 50, length: int = 40, vocabulary: int = 30) -> Tensor:
    """Return token numbers; text i has i % length + 1 real tokens."""
    with seeded(0):
        x = torch.randint(len(SPECIAL), vocabulary, (n, length))
    return x.masked_fill(torch.arange(length) > torch.arange(n)[:, None] % length, PADDING)


def test_masked_cross_entropy_by_hand():
    scores, tokens = random(3, 5), torch.tensor([4, 0, 2])
    expected = np.mean(
        [logsumexp(row) - row[y] for row, y in zip(scores.numpy(), tokens, strict=True)]
    )
    assert masked_cross_entropy(scores, tokens).item() == pytest.approx(expected)
    assert masked_cross_entropy(torch.zeros(0, 5), torch.zeros(0, dtype=torch.int64)).item() == 0


def test_a_share_of_every_text_is_hidden_and_never_padding():
    x = some_texts()
    hidden = random_tokens(x, 0.15)
    real = x != PADDING
    assert not (hidden & ~real).any()
    counts = (0.15 * real.sum(1)).round().clamp(min=1).long()
    assert torch.equal(hidden.sum(1), counts)
    assert not random_tokens(torch.zeros(2, 5, dtype=torch.int64), 0.15).any()
    places = torch.stack([random_tokens(x[39:40], 0.15)[0] for _ in range(400)]).float().mean(0)
    assert places.min() > 0.05 and places.max() < 0.3  # every place has the same chance
    with pytest.raises(InputError, match=r"share=1\.5"):
        random_tokens(x, 1.5)


def test_hidden_tokens_are_masks_random_words_or_left_alone():
    """80 %, 10 %, 10 %; a random word is the right one in one of 27 cases."""
    with seeded(0):
        x = torch.randint(len(SPECIAL), 30, (200, 100))
        hidden = torch.rand(x.shape) < 0.5
        shown = hide_tokens(x, hidden, 30)
    assert torch.equal(shown[~hidden], x[~hidden])
    masks = (shown[hidden] == MASK).float().mean().item()
    same = (shown[hidden] == x[hidden]).float().mean().item()
    assert masks == pytest.approx(0.8, abs=0.02)
    assert same == pytest.approx(0.1 + 0.1 / 27, abs=0.02)
    assert shown.min() >= MASK and shown.max() < 30  # no padding, and nothing unknown


def test_only_hidden_tokens_count():
    """The loss does not see what the network says elsewhere: their scores are never computed."""
    with seeded(0):
        network = MaskedLanguageModel(text_transformer(1, (40,), 30, dropout=0.0))
    x = some_texts(8)
    with seeded(1):
        found = guess_tokens(0.15)(network, (x, x[:, 0]))
    with seeded(1):
        hidden = random_tokens(x, 0.15)
        shown = hide_tokens(x, hidden, 30)
    scores = network.features.tokens(shown) @ network.features.token.weight.T
    expected = F.cross_entropy(scores[hidden], x[hidden])
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_masked_tokens_learns_a_language_of_two_words():
    """Texts repeat one of two words: the neighbours tell the hidden one."""
    x = torch.tensor([3, 4]).repeat(32)[:, None].repeat(1, 8)
    with seeded(0):
        model = text_transformer(2, (8,), 5, width=16, heads=2, layers=1, dropout=0.0)
    before = copy.deepcopy(model)
    options = {"batch_size": 32, "lr": 1e-2, "device": "cpu"}
    history = pretrain.masked_tokens(model, unlabelled(x), steps=120, **options)
    # One word of eight is hidden. Every tenth of these becomes a random word, which tells nothing
    # away either: the seven others do.
    assert history.loss[-1] < 0.1 < math.log(2) < history.loss[0]
    assert equal(model.head, before.head)  # the head is not touched
    with pytest.raises(InputError, match="small_cnn does not read texts"):
        pretrain.masked_tokens(small_cnn(2), unlabelled(x), steps=1)
