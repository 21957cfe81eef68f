"""Pre-training: seven ways to learn features, with one loop and different losses.

| objective     | labels | the network learns to                                       |
| ------------- | ------ | ----------------------------------------------------------- |
| `supervised`  | yes    | name the class                                              |
| `autoencoder` | no     | compress an image into few numbers and reconstruct it       |
| `denoising`   | no     | restore a corrupted image                                   |
| `masked`      | no     | fill in the hidden parts of an image                        |
| `contrastive` | no     | find another view of the same image among many images       |
| `masked_tokens` | no   | fill in the hidden words of a text                          |
| `gan`         | no     | distinguish real images from generated ones                 |

Each takes a backbone and trains its features in place. All but the first ignore the labels and do
not touch the head: give the backbone a new one and fine-tune it with `fit`. What else an objective
needs (a decoder, a projection, a generator) is made for the run, trained together with the
features, and thrown away.

The arguments are the same for all: `steps` gradient steps, `seed`, and the options of `fit`, such
as `batch_size` (256), `lr` for Adam (3e-3), `checkpoint` or `scale`. The learning rate falls to 0
along a cosine.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from transferlab.data import Batch, augment
from transferlab.device import seeded
from transferlab.errors import InputError
from transferlab.history import History
from transferlab.metrics import LossFunction, cross_entropy, full_precision
from transferlab.models import (
    GAN,
    Autoencoder,
    Backbone,
    Generator,
    MaskedAutoencoder,
    MaskedLanguageModel,
    Projector,
    TextBackbone,
)
from transferlab.models.gan import discriminator_loss, generator_loss  # noqa: F401 - also here
from transferlab.models.transformer import MASK, PADDING, SPECIAL
from transferlab.train import fit

Change = Callable[[Tensor], Tensor]  # makes other images of a batch of images


# ---- the losses: each returns one number, the mean over the batch -------------------------------


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean of (output − target)² over all pixels of all images.

    Shapes must be equal. Otherwise torch would broadcast one of the two, with a warning at most,
    and the network would learn something unintended.
    """
    if output.shape != target.shape:
        raise InputError(
            f"the network returns {tuple(output.shape)}, but the target is {tuple(target.shape)}; "
            "expected the same shape. Compare a reconstruction with the image, not class scores."
        )
    return F.mse_loss(full_precision(output), full_precision(target))


def masked_error(output: Tensor, target: Tensor, hidden: Tensor) -> Tensor:
    """Return the mean of (output − target)² over the hidden pixels.

    Args:
        output: reconstructions, shape (N, C, H, W).
        target: the images, same shape.
        hidden: shape (N, 1, H, W), True where a pixel was hidden.
    """
    # Multiply instead of selecting with output[hidden]: a GPU would have to wait for the count.
    squares = (full_precision(output) - target).square() * hidden
    return squares.sum() / (hidden.sum() * target.shape[1])


def masked_cross_entropy(scores: Tensor, tokens: Tensor) -> Tensor:
    """Return the mean of −log p(token), over the hidden tokens.

    Args:
        scores: of every token of the vocabulary, shape (hidden, vocabulary).
        tokens: the hidden tokens, shape (hidden,). There may be none; then the loss is 0.
    """
    total = F.cross_entropy(full_precision(scores), tokens, reduction="sum")
    return total / max(len(tokens), 1)


def nt_xent(one: Tensor, two: Tensor, temperature: float = 0.5) -> Tensor:
    """Return the normalised, temperature-scaled cross-entropy of two views of N images.

    Each of the 2N projections z is the anchor i once; j is the other view of the same image:

        l(i, j) = −log( exp(sim(zᵢ, zⱼ)/τ) / Σ_{k≠i} exp(sim(zᵢ, z_k)/τ) ),  sim = cosine

    The sum leaves out only the anchor itself. It is the InfoNCE loss with 2N − 2 negatives; a
    network that cannot distinguish images gets log(2N − 1).

    Args:
        one, two: projections of the first and of the second views, shape (N, width).
        temperature: τ.
    """
    if not temperature > 0:
        raise InputError(f"temperature={temperature}: expected a positive number.")
    n = len(one)
    z = F.normalize(full_precision(torch.cat([one, two])), dim=1)
    with torch.autocast(z.device.type, enabled=False):  # half precision rounds sim/τ to 2 digits
        similarity = z @ z.T / temperature
    itself = torch.eye(2 * n, dtype=torch.bool, device=z.device)
    partner = torch.arange(2 * n, device=z.device).roll(n)
    return F.cross_entropy(similarity.masked_fill(itself, -torch.inf), partner)


# ---- changes of the input; drawn on the CPU, so one seed gives one result on every device -------


def random_patches(x: Tensor, patch: int, share: float) -> Tensor:
    """Choose patches to hide, the same number in every image. → (N, 1, H, W), True where hidden

    Args:
        x: images, shape (N, C, H, W).
        patch: height and width of a patch in pixels; those at the right and lower edge are smaller
            where the image does not divide evenly.
        share: how many of the patches, 0..1, rounded to whole ones.
    """
    if patch < 1:
        raise InputError(f"patch={patch}: expected at least 1 pixel.")
    n, _, height, width = x.shape
    rows, columns = -(-height // patch), -(-width // patch)
    count = round(share * rows * columns)
    if not 0 < count < rows * columns:
        raise InputError(
            f"share={share} hides {count} of {rows}×{columns} patches; expected at least one "
            "hidden and one shown, so choose another share or smaller patches."
        )
    # The ranks of random numbers are a random order: exactly `count` of them are below `count`.
    ranks = torch.rand(n, rows * columns).to(x.device).argsort(dim=1)
    hidden = (ranks < count).view(n, 1, rows, columns)
    return hidden.repeat_interleave(patch, 2).repeat_interleave(patch, 3)[..., :height, :width]


def drop_pixels(x: Tensor, share: float = 0.25) -> Tensor:
    """Set a share of each image's pixels, in random places, to 0."""
    return x.masked_fill(random_patches(x, 1, share), 0)


def random_tokens(x: Tensor, share: float) -> Tensor:
    """Choose tokens to hide: in every text that share of its tokens, rounded, at least one.

    Args:
        x: token numbers, shape (N, L); padding is never chosen.

    Returns:
        A tensor of shape (N, L), True where a token is chosen.
    """
    if not 0 < share < 1:
        raise InputError(f"share={share}: expected a share of the tokens between 0 and 1.")
    real = x != PADDING
    count = (share * real.sum(dim=1, keepdim=True)).round().clamp(min=1)
    order = torch.rand(x.shape).to(x.device).masked_fill(~real, 2)  # padding comes last
    ranks = order.argsort(dim=1).argsort(dim=1)
    return (ranks < count) & real


def hide_tokens(x: Tensor, hidden: Tensor, vocabulary: int) -> Tensor:
    """Return texts in which 80 % of the hidden tokens are masks and 10 % are random words.

    The last 10 % stay as they are. After pre-training there are no masks any more; a network that
    attended only to masks would not be prepared for real words.

    Args:
        x: token numbers, shape (N, L).
        hidden: shape (N, L), True where a token is to be predicted.
        vocabulary: how many tokens there are.
    """
    how = torch.rand(x.shape).to(x.device)
    words = torch.randint(len(SPECIAL), vocabulary, x.shape).to(x.device)
    x = torch.where(hidden & (how < 0.8), MASK, x)
    return torch.where(hidden & (how >= 0.9), words, x)


# The default views of `contrastive`. No mirroring: a mirrored letter is another letter.
small_changes = augment.compose(
    augment.rotate(15),
    augment.scale(0.85, 1.15),
    augment.shift(0.1),
    augment.contrast(0.2),
    augment.brightness(0.2),
    augment.noise(0.05),
)


# ---- the objectives ------------------------------------------------------------------------------


def supervised(
    model: Backbone,
    data: Dataset,
    *,
    steps: int,
    seed: int = 0,
    **options: Any,
) -> History:
    """Minimise L_pre(θ) = 1/N Σ l(f(xᵢ; θ), yᵢ), with cross-entropy for l."""
    return _minimise(cross_entropy, model, data, steps=steps, seed=seed, **options)


def autoencoder(
    model: Backbone,
    data: Dataset,
    *,
    steps: int,
    seed: int = 0,
    **options: Any,
) -> History:
    """Minimise ‖g(f(x)) − x‖², per pixel, for the features f and a decoder g.

    With as many features as pixels, nothing forces the network to find structure: copying is
    enough. The next two objectives are harder.

    Source: Hinton and Salakhutdinov, Reducing the Dimensionality of Data with Neural Networks
    (2006).
    """

    def reconstruct(network: nn.Module, batch: Batch) -> Tensor:
        x, _ = batch
        return squared_error(network(x), x)

    with seeded(seed):
        network = Autoencoder(model)
    return _minimise(reconstruct, network, data, steps=steps, seed=seed, **options)


def denoising(
    model: Backbone,
    data: Dataset,
    *,
    steps: int,
    corrupt: Change = drop_pixels,
    seed: int = 0,
    **options: Any,
) -> History:
    """Minimise ‖g(f(x̃)) − x‖², per pixel: x̃ is a corrupted x, the target is x itself.

    Args:
        corrupt: corrupts a batch of images, each with its own random numbers. By default a quarter
            of the pixels of each image, in random places, become 0.

    Source: Vincent, Larochelle, Bengio and Manzagol, Extracting and Composing Robust Features with
    Denoising Autoencoders (2008).
    """

    def repair(network: nn.Module, batch: Batch) -> Tensor:
        x, _ = batch
        return squared_error(network(corrupt(x)), x)

    with seeded(seed):
        network = Autoencoder(model)
    return _minimise(repair, network, data, steps=steps, seed=seed, **options)


def masked(
    model: Backbone,
    data: Dataset,
    *,
    steps: int,
    share: float = 0.6,
    patch: int | None = None,
    seed: int = 0,
    **options: Any,
) -> History:
    """Minimise (g(f(x with hidden patches)) − x)², the mean over the hidden pixels only.

    He et al. drop the hidden patches, which needs a transformer. Xie et al. put a learned value in
    their place, which works with every network, so that is done here.

    Args:
        share: how much of each image is hidden.
        patch: height and width of a patch; by default a quarter of the image's width.

    Sources: He et al., Masked Autoencoders Are Scalable Vision Learners (2022); Xie et al., SimMIM:
    A Simple Framework for Masked Image Modeling (2022).
    """
    patch = max(1, model.shape[-1] // 4) if patch is None else patch

    def complete(network: nn.Module, batch: Batch) -> Tensor:
        x, _ = batch
        hidden = random_patches(x, patch, share)
        return masked_error(network(x, hidden), x, hidden)

    with seeded(seed):
        network = MaskedAutoencoder(model)
    return _minimise(complete, network, data, steps=steps, seed=seed, **options)


def masked_tokens(
    model: TextBackbone,
    data: Dataset,
    *,
    steps: int,
    share: float = 0.15,
    batch_size: int = 64,
    seed: int = 0,
    **options: Any,
) -> History:
    """Minimise −log p(token | the text with hidden tokens), the mean over the hidden tokens only.

    Args:
        data: texts as numbers, as `applications.text.encode` returns them.
        share: how many tokens of each text are hidden.

    Source: Devlin, Chang, Lee and Toutanova, BERT: Pre-training of Deep Bidirectional Transformers
    for Language Understanding (2019).
    """
    if not isinstance(model, TextBackbone):
        raise InputError(
            f"masked_tokens hides words, but {getattr(model, 'name', type(model).__name__)} does "
            "not read texts; expected a model of text_transformer."
        )

    network = MaskedLanguageModel(model)
    options = {"batch_size": batch_size, "seed": seed, **options}
    return _minimise(guess_tokens(share), network, data, steps=steps, **options)


def guess_tokens(share: float = 0.15) -> LossFunction:
    """Return the loss of `masked_tokens`, a function of a MaskedLanguageModel and a batch."""

    def guess(network: nn.Module, batch: Batch) -> Tensor:
        x, _ = batch
        hidden = random_tokens(x, share)
        shown = hide_tokens(x, hidden, network.features.token.num_embeddings)
        return masked_cross_entropy(network(shown, hidden), x[hidden])

    return guess


def contrastive(
    model: Backbone,
    data: Dataset,
    *,
    steps: int,
    views: Change = small_changes,
    temperature: float = 0.5,
    seed: int = 0,
    **options: Any,
) -> History:
    """Make two views of each image; each must find the other among all views of the batch (SimCLR).

    Both views go through the network in one pass, as in the authors' code. BatchNorm then
    normalises them together, and the statistics of one half do not reveal which view it is.

    Images are contrasted with those that share a forward pass: over several processes, or
    in parts of a batch, with fewer than `batch_size`.

    Args:
        views: makes a view of each image of a batch, with other random numbers at every call. The
            features become invariant to what it changes. By default a little of everything in
            `data.augment` except mirroring.
        temperature: τ of `nt_xent`.

    Source: Chen, Kornblith, Norouzi and Hinton, A Simple Framework for Contrastive Learning of
    Visual Representations (2020).
    """

    def find_the_other_view(network: nn.Module, batch: Batch) -> Tensor:
        x, _ = batch
        one, two = network(torch.cat([views(x), views(x)])).chunk(2)
        return nt_xent(one, two, temperature)

    with seeded(seed):
        network = Projector(model)
    return _minimise(find_the_other_view, network, data, steps=steps, seed=seed, **options)


def gan(
    model: Backbone,
    data: Dataset,
    *,
    steps: int,
    generator: Generator | None = None,
    lr: float = 1e-3,
    seed: int = 0,
    **options: Any,
) -> History:
    """Train a generator against a discriminator whose features are the backbone's.

    Both players take their steps at the same time, from the same state, where Goodfellow et al. let
    them take turns. So one loss serves both (`GAN.loss` in models/gan.py), and the run is saved and
    resumed like any other: the sum of `discriminator_loss` and `generator_loss`, each with the
    other player held constant. When the discriminator can only guess, the sum is 3 ln 2 = 2.08.

    BatchNorm sees real and generated images in batches of their own, and the backbone's running
    statistics are those of the real ones.

    Args:
        generator: trained in place too, so that it can draw images afterwards.

    Sources: Goodfellow et al., Generative Adversarial Nets (2014); Radford, Metz and Chintala,
    Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks
    (2016), for Adam with β₁ = 0.5.
    """

    def play(network: GAN, batch: Batch) -> Tensor:
        real, _ = batch
        return network.loss(real)

    def adam(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.Adam(groups, lr=lr, betas=(0.5, 0.999))

    with seeded(seed):
        network = GAN(model, Generator(model.shape) if generator is None else generator)
    options = {"optimizer": adam, **options}
    return _minimise(play, network, data, steps=steps, lr=lr, seed=seed, **options)


def _minimise(loss_fn: LossFunction, network: nn.Module, data: Dataset, **options: Any) -> History:
    defaults = {"batch_size": 256, "lr": 3e-3, "schedule": "cosine"}
    return fit(network, data, loss_fn=loss_fn, **{**defaults, **options})
