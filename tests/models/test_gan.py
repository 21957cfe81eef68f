"""The players of a GAN: what each may see, and what each may change."""

import copy

import pytest
import torch

from transferlab.device import seeded
from transferlab.models import GAN, Discriminator, Generator, mlp, small_cnn


@pytest.fixture(autouse=True)
def fixed_numbers():
    """Every test starts from the same random numbers, whichever ran before it."""
    with seeded(0):
        yield


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7)])
def test_generated_images_have_the_shape_and_the_range_of_pixels(shape):
    images = Generator(shape, latent=4)(100 * torch.randn(20, 4))
    assert images.shape == (20, *shape)
    assert images.min() >= 0
    assert images.max() <= 1


def test_samples_are_repeatable_and_leave_the_callers_random_numbers_alone():
    generator = Generator((1, 8, 8))
    before = torch.get_rng_state()
    assert torch.equal(generator.sample(5, seed=3), generator.sample(5, seed=3))
    assert not torch.equal(generator.sample(5, seed=3), generator.sample(5, seed=4))
    assert torch.equal(torch.get_rng_state(), before)
    assert not generator.sample(1).requires_grad


def test_a_sample_does_not_depend_on_the_others_of_its_batch():
    generator = Generator((1, 8, 8))
    generator(5 + torch.randn(50, 64))  # running statistics that no batch of samples has
    assert generator.training
    torch.testing.assert_close(generator.sample(6)[:1], generator.sample(1))
    assert generator.training  # as before, also for the layers inside
    assert all(module.training for module in generator.modules())
    noise = torch.randn(6, 64)
    naive = generator(noise)[:2], generator(noise[:2])  # in training mode it does
    assert not torch.allclose(*naive)


@pytest.mark.parametrize("build", [mlp, small_cnn])
def test_three_ways_to_score_give_the_same_scores(build):
    discriminator, x = Discriminator(build(3, (1, 8, 8))), torch.rand(4, 1, 8, 8)
    expected = copy.deepcopy(discriminator)(x)
    assert expected.shape == (4,)
    torch.testing.assert_close(discriminator.score_fakes(x), expected)
    torch.testing.assert_close(discriminator.score_as_constant(x), expected)


def test_scoring_generated_images_leaves_no_trace_in_batch_norm():
    discriminator, fake = Discriminator(small_cnn(3)), torch.rand(4, 1, 8, 8)
    before = copy.deepcopy(discriminator.state_dict())
    discriminator.score_fakes(fake)
    discriminator.score_as_constant(fake)
    assert all(torch.equal(before[k], v) for k, v in discriminator.state_dict().items())
    naive = copy.deepcopy(discriminator)
    naive(fake)  # as most code on the web does
    moved = [k for k, v in naive.state_dict().items() if not torch.equal(before[k], v)]
    assert any("running_mean" in name for name in moved)


def test_the_judge_does_not_learn_from_the_generators_loss():
    gan = GAN(small_cnn(3), Generator((1, 8, 8)))
    fake = gan.generator(torch.randn(4, 64))
    gan.discriminator.score_as_constant(fake).sum().backward()
    assert all(p.grad is None for p in gan.discriminator.parameters())
    assert all(p.grad.abs().max() > 0 for p in gan.generator.parameters())
    assert all(p.requires_grad for p in gan.discriminator.parameters())

    naive = GAN(small_cnn(3), Generator((1, 8, 8)))
    naive.discriminator(naive.generator(torch.randn(4, 64))).sum().backward()
    assert any(p.grad is not None for p in naive.discriminator.parameters())


def test_scoring_fakes_teaches_the_discriminator():
    discriminator = Discriminator(small_cnn(3))
    discriminator.score_fakes(torch.rand(4, 1, 8, 8)).sum().backward()
    assert all(p.grad is not None for p in discriminator.parameters())
