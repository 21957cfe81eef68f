"""Privacy: who was in the training data? How to find out, and how to train so that nobody can."""

import functools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from transferlab.data import MemoryDataset, in_memory
from transferlab.data.dataset import as_float
from transferlab.device import choose_device, seeded
from transferlab.errors import InputError
from transferlab.evaluate import Interval, evaluation_mode, predict
from transferlab.finetune.freezing import mode_is_held
from transferlab.train import History

REPEATS = 200  # of the bootstrap
LOW_FPR = 0.01
GRADIENT_BYTES = 256 * 2**20  # how much memory the gradients of single samples may take at once


# ---- The attack: who was in the training data? ---------------------------------------------------


@dataclass(frozen=True)
class Attack:
    """What `membership_inference` found. Each number has its 95 % bootstrap interval.

    The intervals are about the choice of samples, for this one model. A claim about a way of
    training needs several models: train with several seeds and use `evaluate.interval`.

    Attributes:
        auc: area under the ROC curve: how often a random member looks more like a member than a
            random non-member does. 0.5 is guessing.
        advantage: true minus false positive rate, at a threshold chosen on other samples. 0 is
            guessing.
        tpr_at_low_fpr: share of the members that are found when 1 % of the non-members are
            accused wrongly. With fewer than 100 non-members: when none is.
        fpr, tpr: the ROC curve, for `plots.roc`.
    """

    auc: Interval
    advantage: Interval
    tpr_at_low_fpr: Interval
    fpr: np.ndarray
    tpr: np.ndarray

    def __str__(self) -> str:
        return (
            f"AUC {self.auc.mean:.3f}, advantage {self.advantage.mean:.3f}, "
            f"finds {self.tpr_at_low_fpr.mean:.1%} of the members at 1 % false alarms"
        )


def membership_inference(
    model: nn.Module,
    members: Dataset,
    non_members: Dataset,
    references: Sequence[nn.Module] = (),
    *,
    seed: int = 0,
    device: str = "auto",
) -> Attack:
    """Measure how well a model's loss tells its training data from other data.

    A model that has learned samples by heart has a small loss on them. Without `references` the
    attack says "member" where the loss is below a threshold (Yeom, Giacomelli, Fredrikson and Jha,
    Privacy Risk in Machine Learning: Analyzing the Connection to Overfitting, 2018).

    Some samples are easy for every model. With `references`, a sample's score is compared with its
    mean score under models that never saw it (Watson, Guo, Cormode and Sablayrolles, On the
    Importance of Difficulty Calibration in Membership Inference Attacks, 2022). One to a few are
    enough, where attacks with shadow models train dozens to imitate the model's training.

    Both sets must come from one distribution: otherwise the attack tells the sets apart, and says
    nothing about the training. They may differ in size, because all rates are per set.

    Args:
        members: samples that the model was trained on.
        non_members: samples of the same kind that it was not trained on.
        references: models with the same outputs, trained on neither set, such as some made by the
            same recipe from other samples.
        seed: fixes the halves and the bootstrap.
    """
    scores = [
        _membership_scores(model, data, references, device) for data in (members, non_members)
    ]
    if min(map(len, scores)) < 2:
        raise InputError(
            f"found {len(scores[0])} members and {len(scores[1])} non-members; expected at least "
            "2 of each."
        )
    rng = np.random.default_rng(seed)
    # The halves are cut before the bootstrap: a sample that is drawn twice must not be in both.
    halves = [np.array_split(rng.permutation(part), 2) for part in scores]
    found = _attack_numbers(*halves)
    repeats = [
        _attack_numbers(*[[rng.choice(half, len(half)) for half in pair] for pair in halves])
        for _ in range(REPEATS)
    ]
    ends = np.quantile(repeats, (0.025, 0.975), axis=0)
    n = sum(map(len, scores))
    intervals = [Interval(*map(float, row), n) for row in zip(found, *ends, strict=True)]
    return Attack(*intervals, *roc_curve(*scores))


def _membership_scores(
    model: nn.Module, dataset: Dataset, references: Sequence[nn.Module], device: str
) -> np.ndarray:
    """Return a number per sample, larger for likely members, shape (N,)."""
    scores = _confidence(model, dataset, device)
    if references:
        scores = scores - np.mean([_confidence(r, dataset, device) for r in references], axis=0)
    return scores


def _confidence(model: nn.Module, dataset: Dataset, device: str) -> np.ndarray:
    """Return log(p / (1 − p)) of the right class's probability p, shape (N,).

    It orders samples as their loss −log p does. Differences of it say more than differences of
    losses, which are all near 0 (Carlini, Chien, Nasr, Song, Terzis and Tramèr, Membership
    Inference Attacks From First Principles, 2022).
    """
    logits, y = predict(model, dataset, device=device)
    _check_labels(y, logits.shape[1])
    logits, y = logits.cpu().double(), y.cpu()[:, None]
    others = logits.scatter(1, y, -math.inf)
    # Not by way of the loss: in float32 that of every confident answer is exactly 0.
    return (logits.gather(1, y)[:, 0] - others.logsumexp(1)).numpy()


def _check_labels(y: Tensor, outputs: int) -> None:
    if int(y.max()) >= outputs:
        raise InputError(
            f"the data has label {int(y.max())}, but the model has {outputs} outputs; "
            f"expected labels 0 to {outputs - 1}."
        )


def roc_curve(members: np.ndarray, non_members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rates for every threshold, from the strictest on.

    Args:
        members, non_members: scores, larger for likely members.
    """
    thresholds = np.unique(np.concatenate([members, non_members]))[::-1]
    fpr, tpr = (np.append(0.0, _share_from(part, thresholds)) for part in (non_members, members))
    return fpr, tpr


def _share_from(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return the share of the scores that reach each threshold."""
    below = np.searchsorted(np.sort(scores), thresholds, side="left")
    return (len(scores) - below) / len(scores)


def _attack_numbers(
    members: list[np.ndarray], non_members: list[np.ndarray]
) -> tuple[float, float, float]:
    """Return AUC, advantage and true positive rate at 1 %, from two halves of each set."""
    fpr, tpr = roc_curve(np.concatenate(members), np.concatenate(non_members))
    auc = (np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2).sum()
    advantages = [
        _advantage((members[i], non_members[i]), (members[1 - i], non_members[1 - i]))
        for i in (0, 1)
    ]
    return auc, np.mean(advantages), tpr[fpr <= LOW_FPR].max()


def _advantage(
    chosen_on: tuple[np.ndarray, np.ndarray], measured_on: tuple[np.ndarray, np.ndarray]
) -> float:
    """Return TPR − FPR at the best threshold of other samples.

    At its own best threshold even a useless attack has a positive advantage.
    """
    members, non_members = chosen_on
    thresholds = np.concatenate(chosen_on)
    gains = _share_from(members, thresholds) - _share_from(non_members, thresholds)
    members, non_members = measured_on
    best = thresholds[[gains.argmax()]]
    return (_share_from(members, best) - _share_from(non_members, best)).item()


# ---- The defence: training with differential privacy ---------------------------------------------


@dataclass(repr=False)
class PrivateHistory(History):
    """A history and what the run has spent: the weights are (epsilon, delta)-private.

    One sample more or less changes the probability of any outcome by a factor of at most
    exp(epsilon). That holds for the weights alone: the losses of the history come from the private
    data without noise, so do not publish them.

    Attributes:
        epsilon: the privacy spent; smaller is more private, infinite without noise.
        delta: the probability that the bound epsilon does not hold.
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
    progress: bool = True,
) -> PrivateHistory:
    """Train a model in place by DP-SGD: no single sample can change the weights noticeably.

    Each step draws a Poisson batch, in which every sample is with probability
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
        delta: below 1/N, the probability of giving one sample of the data away.
        max_grad_norm: the clipping norm C.
        seed: fixes batches and noise. Whoever knows the seed can subtract the noise: for a real
            release keep it secret, and note that torch's generators are not cryptographic.
    """
    clip_and_noise = _opacus().optimizers.DPOptimizer
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
            bar = tqdm(range(epochs), desc="training", unit="epoch", disable=not progress)
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
                for trace in ("grad_sample", "summed_grad"):  # what opacus keeps on a parameter
                    if hasattr(parameter, trace):
                        delattr(parameter, trace)
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

    # vmap runs the function for all samples at once, as if it were called for one after another.
    of_each = vmap(grad_and_value(loss), in_dims=(None, 0, 0), randomness="different")
    return of_each(parameters, x, y)


def replace_batch_norm(model: nn.Module) -> None:
    """Put a new GroupNorm in the place of every BatchNorm, in place.

    GroupNorm normalises each image by itself, so training can be private. It has other numbers
    than the BatchNorm had: a pre-trained network must learn anew, and its weights no longer fit
    the architecture's name in `load_backbone`.

    Source: Wu and He, Group Normalization (2018), with at most their 32 groups.
    """
    like = next(model.parameters())  # on the same device
    for name, module in list(model.named_modules()):
        if isinstance(module, _BatchNorm):
            groups = math.gcd(32, module.num_features)
            new = nn.GroupNorm(groups, module.num_features, module.eps, module.affine)
            model.set_submodule(name, new.to(like.device, like.dtype).train(module.training))


# ---- Accounting ----------------------------------------------------------------------------------

# Orders of the Rényi divergence; the bound takes the best. opacus' own list has more fractions,
# which are slow to compute, and ends at 63, before the best order when there is much noise.
ORDERS = [1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, *range(4, 64), *(2**i for i in range(6, 13))]


@functools.cache
def spent_epsilon(noise: float, rate: float, steps: int, delta: float) -> float:
    """Return the epsilon that some steps of DP-SGD have spent.

    It is opacus' Rényi accountant: an upper bound, a few percent above its slower PRV accountant.

    Source: Mironov, Talwar and Zhang, Rényi Differential Privacy of the Sampled Gaussian Mechanism
    (2019).

    Args:
        noise: the noise multiplier σ.
        rate: the probability q that a sample is in a batch.
        steps: how many batches were drawn.
    """
    if noise == 0:
        return math.inf
    accountant = _opacus().accountants.RDPAccountant()
    accountant.history = [(noise, rate, steps)]
    return max(0.0, float(accountant.get_epsilon(delta, alphas=ORDERS)))


@functools.cache
def noise_for(epsilon: float, rate: float, steps: int, delta: float) -> float:
    """Return the smallest noise multiplier, nearly, with which the steps spend at most epsilon."""
    try:
        return _opacus().accountants.utils.get_noise_multiplier(
            target_epsilon=epsilon,
            target_delta=delta,
            sample_rate=rate,
            steps=steps,
            accountant="rdp",
            alphas=ORDERS,
        )
    except ValueError as error:
        raise InputError(
            f"epsilon={epsilon:g} cannot be had with any noise in {steps} steps; expected more."
        ) from error


def _opacus():
    """Return opacus, which is imported only here: it is large, and few need it."""
    try:
        import opacus
    except ImportError as error:
        raise InputError(
            "private training needs the package opacus, which is not installed; "
            "run: pip install opacus"
        ) from error
    return opacus


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
        raise InputError("the model has no trainable parameter left; unfreeze a layer.")
    # One ordinary pass: what a model checks about values cannot be checked inside vmap.
    with torch.no_grad(), evaluation_mode(model):
        scores = model(as_float(data.x[:256]))
    _check_labels(data.y, scores.shape[1])
