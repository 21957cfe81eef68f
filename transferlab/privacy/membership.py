"""Membership inference: who was in the training data?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn
from torch.utils.data import Dataset

from transferlab.checks import check_labels
from transferlab.errors import InputError
from transferlab.metrics import Interval, class_scores

REPEATS = 200  # of the bootstrap
LOW_FPR = 0.01


@dataclass(frozen=True)
class Attack:
    """The result of `membership_inference`. Each number has its 95 % bootstrap interval.

    The intervals cover the choice of samples, for this one model. A claim about a training
    method needs several models: train with several seeds and use `metrics.interval`.

    Attributes:
        auc: area under the ROC curve: how often a random member looks more like a member than a
            random non-member does. 0.5 is guessing.
        advantage: true minus false positive rate, at a threshold chosen on other samples. 0 is
            guessing.
        tpr_at_low_fpr: share of the members that are detected when 1 % of the non-members are
            false alarms. With fewer than 100 non-members: when none is.
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
    """Measure how well a model's loss distinguishes its training data from other data.

    A model that has memorised samples has a small loss on them. Without `references` the
    attack says "member" where the loss is below a threshold (Yeom, Giacomelli, Fredrikson and Jha,
    Privacy Risk in Machine Learning: Analyzing the Connection to Overfitting, 2018).

    Some samples are easy for every model. With `references`, a sample's score is compared with its
    mean score under models that never saw it (Watson, Guo, Cormode and Sablayrolles, On the
    Importance of Difficulty Calibration in Membership Inference Attacks, 2022). One to a few are
    enough, where attacks with shadow models train dozens to imitate the model's training.

    Both sets must come from one distribution: otherwise the attack detects the difference between
    the sets, and says nothing about the training. They may differ in size, because all rates are
    per set.

    Args:
        members: samples that the model was trained on.
        non_members: samples of the same kind that it was not trained on.
        references: models with the same outputs, trained on neither set, such as some trained in
            the same way on other samples.
        seed: fixes the halves and the bootstrap samples.
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
    ranks = _ranks(*scores)
    # Split into halves before the bootstrap: a sample that is drawn twice must not be in both.
    halves = [np.array_split(rng.permutation(part), 2) for part in ranks]
    numbers = _attack_numbers(*halves)
    repeats = [
        _attack_numbers(*[[rng.choice(half, len(half)) for half in pair] for pair in halves])
        for _ in range(REPEATS)
    ]
    ends = np.quantile(repeats, (0.025, 0.975), axis=0)
    n = sum(map(len, scores))
    intervals = [Interval(*map(float, row), n) for row in zip(numbers, *ends, strict=True)]
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
    """Return the logit log(p / (1 − p)) of the true class's probability p, shape (N,).

    It orders samples as their loss −log p does. Differences of it say more than differences of
    losses, which are all near 0 (Carlini, Chien, Nasr, Song, Terzis and Tramèr, Membership
    Inference Attacks From First Principles, 2022).
    """
    logits, y = class_scores(model, dataset, device=device)
    check_labels(y, logits.shape[1])
    logits, y = logits.cpu().double(), y.cpu()[:, None]
    others = logits.scatter(1, y, -math.inf)
    # Not from the loss: in float32 that of every confident prediction is exactly 0.
    return (logits.gather(1, y)[:, 0] - others.logsumexp(1)).numpy()


def roc_curve(members: np.ndarray, non_members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rates for every threshold, from the strictest onwards.

    Args:
        members, non_members: scores, larger for likely members.
    """
    return _curve(*_ranks(members, non_members))


def _ranks(members: np.ndarray, non_members: np.ndarray) -> list[np.ndarray]:
    """Return the rank of each score among all, 0 for the largest, the same for equal ones.

    The attack depends on the order of the scores alone, and ranks can be counted without sorting
    again for every repeat of the bootstrap.
    """
    _, ranks = np.unique(-np.concatenate([members, non_members]), return_inverse=True)
    return np.split(ranks, [len(members)])


def _curve(members: np.ndarray, non_members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rates from ranks, beginning at (0, 0)."""
    fpr, tpr = (np.append(0.0, rates) for rates in _rates(non_members, members))
    return fpr, tpr


def _rates(*parts: np.ndarray) -> list[np.ndarray]:
    """Return for each part the share of its samples that reach rank 0, 1, …"""
    thresholds = 1 + max(part.max() for part in parts)
    return [np.bincount(part, minlength=thresholds).cumsum() / len(part) for part in parts]


def _attack_numbers(
    members: list[np.ndarray], non_members: list[np.ndarray]
) -> tuple[float, float, float]:
    """Return AUC, advantage and true positive rate at 1 %, from the ranks in two halves of each."""
    fpr, tpr = _curve(np.concatenate(members), np.concatenate(non_members))
    auc = (np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2).sum()
    tpr_at_low = tpr[fpr <= LOW_FPR].max()
    # At its own best threshold even a useless attack has a positive advantage. So the threshold
    # that is best on one half is measured on the other.
    rates = _rates(*members, *non_members)
    gains = [rates[half] - rates[2 + half] for half in (0, 1)]
    advantage = np.mean([gains[1][gains[0].argmax()], gains[0][gains[1].argmax()]])
    return auc, advantage, tpr_at_low
