"""A generative adversarial network whose discriminator is a backbone.

Source: Goodfellow et al., Generative Adversarial Nets (2014).
"""

import math

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from transferlab.metrics import evaluation_mode, full_precision
from transferlab.models.backbone import Backbone
from transferlab.models.encoder import Encoder


class Generator(nn.Module):
    """Noise → images with pixels in 0..1. (N, latent) → (N, *shape)

    Without BatchNorm it soon collapses to one image for every noise. Source: Radford, Metz and
    Chintala, Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
    Networks (2016), section 3.
    """

    def __init__(self, shape: tuple[int, int, int], latent: int = 64, hidden: int = 256) -> None:
        super().__init__()
        self.latent = latent
        self.layers = nn.Sequential(
            nn.Linear(latent, hidden, bias=False),  # BatchNorm would cancel a bias
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, math.prod(shape)),
            nn.Sigmoid(),
            nn.Unflatten(1, shape),
        )

    def forward(self, noise: Tensor) -> Tensor:
        return self.layers(noise)

    @torch.no_grad()
    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return `n` generated images, shape (n, *shape).

        In evaluation mode: an image then depends on its own noise, not on the others of its batch.
        """
        noise = torch.randn(n, self.latent, generator=torch.Generator().manual_seed(seed))
        with evaluation_mode(self):
            return self(noise.to(self.layers[0].weight))


class Discriminator(nn.Module):
    """A backbone that scores images: above 0 for real ones, below for others. (N, *shape) → (N,)"""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.encoder = Encoder(backbone)
        self.score = nn.Linear(backbone.width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.score(self.encoder(x)).squeeze(1)

    def score_fakes(self, x: Tensor) -> Tensor:
        """Score generated images without updating BatchNorm's running statistics.

        The backbone keeps these statistics, and after pre-training it will see real images.
        """
        return functional_call(self, self._copied_buffers(), x)

    def score_as_constant(self, x: Tensor) -> Tensor:
        """Score generated images; gradients flow to the images, but not to the weights.

        For the generator's loss, in which the discriminator is held constant.
        """
        weights = {name: parameter.detach() for name, parameter in self.named_parameters()}
        return functional_call(self, {**weights, **self._copied_buffers()}, x)

    def _copied_buffers(self) -> dict[str, Tensor]:
        return {name: buffer.clone() for name, buffer in self.named_buffers()}


class GAN(nn.Module):
    """Both players in one module, so that one optimizer holds both and one file saves both."""

    def __init__(self, backbone: Backbone, generator: Generator) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, Discriminator(backbone)

    def loss(self, real: Tensor) -> Tensor:
        """Return the sum of both players' losses, each with the other player held constant."""
        n = max(len(real), 2)  # BatchNorm cannot normalise a single sample
        fake = self.generator(torch.randn(n, self.generator.latent).to(real))
        # detach: the discriminator's loss must not train the generator, which has the opposite aim.
        real_scores = self.discriminator(real)
        loss = discriminator_loss(real_scores, self.discriminator.score_fakes(fake.detach()))
        return loss + generator_loss(self.discriminator.score_as_constant(fake))


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return −mean log σ(real) − mean log(1 − σ(fake)), for scores of shape (N,)."""
    # −log σ(s) = softplus(−s), and −log(1 − σ(s)) = softplus(s)
    return F.softplus(-full_precision(real)).mean() + F.softplus(full_precision(fake)).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """Return −mean log σ(fake), the non-saturating form, for scores of shape (N,).

    Minimising mean log(1 − σ(fake)), as in the minimax game, has the same fixed point; but its
    gradient vanishes while the discriminator wins, which it does at first.
    """
    return F.softplus(-full_precision(fake)).mean()
