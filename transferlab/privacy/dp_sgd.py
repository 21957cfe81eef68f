"""DP-SGD: training that does not reveal who was in the data."""

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from transferlab.checks import check_labels
from transferlab.data import MemoryDataset, in_memory
from transferlab.data.dataset import as_float
from transferlab.device import choose_device, seeded
from transferlab.errors import InputError
from transferlab.finetune.freezing import mode_is_held
from transferlab.history import History
from transferlab.metrics import evaluation_mode
from transferlab.privacy.accounting import import_opacus, noise_for, spent_epsilon
from transferlab.run import QUIET_SECONDS

GRADIENT_BYTES = 256 * 2**20  # memory that per-sample gradients may take at once


@dataclass(repr=False)
class PrivateHistory(History):
    """A history and what the run has spent: the weights are (epsilon, delta)-private.

    One sample more or less changes the probability of any outcome by a factor of at most
    exp(epsilon). That holds for the weights alone: the losses of the history come from the private
    data without noise, so do not publish them.

    Attributes:
        epsilon: the privacy spent; smaller is more private, infinite without noise.
        delta: the slack of the bound, P(outcome) ≤ e^ε P(outcome without you) + δ; far below 1/N.
        noise: the noise multiplier σ.
    """

    epsilon: float = math.inf
    delta: float = 0.0
    noise: float = 0.0

    def __repr__(self) -> str:
        return f"{super().__repr__()}, ε = {self.epsilon:.2f} at δ = {self.delta:g}"


def fit_private(
    model: nn.Module,
    train: Dataset,
    *,
    epochs: int,
    batch_size: int = 64,
    lr: float = 0.5,
    epsilon: float | None = None,
    noise: float | None = None,
    delta: float = 1e-5,
    max_grad_norm: float = 1.0,
    seed: int = 0,
    device: str = "auto",
) -> PrivateHistory:
    """Train a model in place by DP-SGD: no single sample can change the weights noticeably.

    Each step draws a Poisson batch, which contains every sample with probability
    q = batch_size / N, clips the gradient g_i of every sample to norm C, and adds noise:

    θ ← θ − lr / batch_size · (Σ_i g_i · min(1, C / ‖g_i‖) + N(0, σ²C²))

    opacus clips, adds the noise and computes epsilon. Source: Abadi, Chu, Goodfellow, McMahan,
    Mironov, Talwar and Zhang, Deep Learning with Differential Privacy (2016).

    It works with frozen layers: only trainable parameters have a gradient to clip. A network with
    BatchNorm is refused, because there a sample's gradient depends on the other samples. Either
    `freeze(model, until=None)` keeps the statistics of (public) pre-training, while everything
    learns, or `replace_batch_norm(model)` puts GroupNorm in its place. torch's recurrent layers
    cannot be trained in this way.

    Args:
        train: the private data, read into memory.
        epochs: every epoch has ceil(N / batch_size) steps.
        batch_size: the expected size of a batch; the real one varies and can be 0.
        epsilon: the budget for the whole run; the noise is chosen to fit. Or give `noise`.
        noise: the noise multiplier σ; 0 is training with clipping only, without privacy.
        delta: below 1/N, the probability of publishing a random sample of the data.
        max_grad_norm: the clipping norm C.
        seed: fixes batches and noise. Knowing the seed, one can subtract the noise: for a real
            release, keep it secret, and note that torch's generators are not cryptographic.
    """
    clip_and_noise = import_opacus().optimizers.DPOptimizer
    where = choose_device(device)
    data = in_memory(train).to(where)
    _check_arguments(len(data), epochs, batch_size, lr, epsilon, noise, delta, max_grad_norm)
    _check_model(model.to(where), data)
    rate, steps = batch_size / len(data), math.ceil(len(data) / batch_size)
    if noise is None:
        noise = noise_for(epsilon, rate, epochs * steps, delta)
    history = PrivateHistory(
        epsilon=spent_epsilon(noise, rate, epochs * steps, delta), delta=delta, noise=noise
    )
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    # opacus' optimizer without its PrivacyEngine, which would wrap the model, hook every layer, and
    # take 1 / number of batches for the sampling rate.
    optimizer = clip_and_noise(
        torch.optim.SGD(parameters.values(), lr),
        noise_multiplier=noise,
        max_grad_norm=max_grad_norm,
        expected_batch_size=batch_size,
    )
    with seeded(seed, where):
        try:
            bar = tqdm(range(epochs), "training", unit="epoch", leave=False, delay=QUIET_SECONDS)
            for epoch in bar:
                started = time.perf_counter()
                loss = _private_epoch(model, data, rate, steps, optimizer, parameters)
                if not math.isfinite(loss):
                    raise InputError(
                        f"the loss became {loss} in epoch {epoch + 1}; "
                        f"expected a finite number. Try a learning rate below {lr:g}."
                    )
                history.steps.append((epoch + 1) * steps)
                history.loss.append(loss)
                history.seconds.append(time.perf_counter() - started)
                bar.set_postfix_str(f"loss {loss:.3f}")
        finally:
            for parameter in parameters.values():
                parameter.grad = None
                for attribute in ("grad_sample", "summed_grad"):  # opacus leaves them behind
                    if hasattr(parameter, attribute):
                        delattr(parameter, attribute)
    return history


def _private_epoch(
    model: nn.Module,
    data: MemoryDataset,
    rate: float,
    steps: int,
    optimizer: torch.optim.Optimizer,
    parameters: dict[str, nn.Parameter],
) -> float:
    """Take `steps` steps of DP-SGD; return the mean loss per drawn sample.

    This is not `train_one_epoch`: an empty batch has no loss, yet its step must add the noise.
    """
    model.train()
    total, count = torch.zeros((), device=data.y.device), 0
    numbers = sum(p.numel() for p in parameters.values())
    rows = max(1, GRADIENT_BYTES // (4 * numbers))
    for _ in range(steps):
        # Drawn on the CPU, so that one seed means the same batches on every device.
        drawn = (torch.rand(len(data)) < rate).nonzero().flatten().to(data.y.device)
        parts = drawn.split(rows)  # an empty batch is one empty part
        for number, part in enumerate(parts, start=1):
            gradients, losses = per_sample_gradients(model, as_float(data.x[part]), data.y[part])
            for name, parameter in parameters.items():
                parameter.grad_sample = gradients[name]
            optimizer.signal_skip_step(number < len(parts))  # clip and add up, but no step yet
            optimizer.step()
            optimizer.zero_grad()
            total += losses.detach().sum()
        count += len(drawn)
    return total.item() / max(count, 1)


def per_sample_gradients(
    model: nn.Module, x: Tensor, y: Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    """Return the gradient of every sample's cross-entropy, and the losses, shape (n,).

    Returns:
        name → (n, *shape of the parameter), for each trainable parameter.
    """
    parameters = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    if len(y) == 0:
        empty = {name: p.new_zeros((0, *p.shape)) for name, p in parameters.items()}
        return empty, torch.zeros(0, device=y.device)

    def loss(parameters: dict[str, Tensor], x_i: Tensor, y_i: Tensor) -> Tensor:
        scores = functional_call(model, parameters, (x_i[None],))
        return F.cross_entropy(scores, y_i[None])

    # vmap runs the function for all samples at once, as if it were called for each in turn.
    of_each = vmap(grad_and_value(loss), in_dims=(None, 0, 0), randomness="different")
    return of_each(parameters, x, y)


def replace_batch_norm(model: nn.Module) -> None:
    """Replace every BatchNorm by a new GroupNorm, in place.

    GroupNorm normalises each image by itself, so training can be private. Its parameters are new: a
    pre-trained network must adapt to them, and its weights no longer fit the architecture of that
    name in `load_backbone`.

    Source: Wu and He, Group Normalization (2018), with at most their 32 groups.
    """
    like = next(model.parameters())  # on the same device
    for name, module in list(model.named_modules()):
        if isinstance(module, _BatchNorm):
            groups = math.gcd(32, module.num_features)
            new = nn.GroupNorm(groups, module.num_features, module.eps, module.affine)
            model.set_submodule(name, new.to(like.device, like.dtype).train(module.training))


def _check_arguments(
    samples: int,
    epochs: int,
    batch_size: int,
    lr: float,
    epsilon: float | None,
    noise: float | None,
    delta: float,
    max_grad_norm: float,
) -> None:
    if (epsilon is None) == (noise is None):
        raise InputError(f"give epsilon or noise, one of them; found {epsilon=} and {noise=}.")
    if epochs < 1:
        raise InputError(f"{epochs=}: expected at least 1.")
    if not 1 <= batch_size <= samples:
        raise InputError(f"{batch_size=}: expected 1 to {samples}, the number of samples.")
    if not (lr > 0 and max_grad_norm > 0):
        raise InputError(f"found {lr=} and {max_grad_norm=}; expected positive numbers.")
    if (noise is not None and noise < 0) or (epsilon is not None and epsilon <= 0):
        raise InputError(
            f"found {epsilon=} and {noise=}; expected a positive epsilon, or a noise of at least 0."
        )
    if not 0 < delta < 1 / samples:
        raise InputError(
            f"{delta=}: expected less than 1/{samples}, one over the number of samples; "
            "publishing a random sample would be private otherwise."
        )


def _check_model(model: nn.Module, data: MemoryDataset) -> None:
    for name, module in model.named_modules():
        is_fixed = mode_is_held(module) and not module.training
        if isinstance(module, _BatchNorm) and not is_fixed:
            raise InputError(
                f"BatchNorm {name} makes every sample's gradient depend on the others in the "
                "batch, which cannot be private; call freeze(model, until=None) to keep its "
                "statistics, or replace_batch_norm(model)."
            )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError("the model has no trainable parameters; unfreeze a layer.")
    # One ordinary pass: what a model checks about values cannot be checked inside vmap.
    with torch.no_grad(), evaluation_mode(model):
        scores = model(as_float(data.x[:256]))
    check_labels(data.y, scores.shape[1])
