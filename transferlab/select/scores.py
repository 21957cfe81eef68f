"""Scores that estimate how well frozen features suit new labels, without fine-tuning.

Higher is better for all of them. They compute in float64, look at training data only, and count the
classes that occur: labels 0, 2 and 5 are three classes.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from transferlab.errors import InputError

EPS = torch.finfo(torch.float64).eps


def logme(features: Tensor | np.ndarray, labels: Tensor | np.ndarray) -> float:
    """Return LogME: the log evidence of a linear model from features to labels, per sample.

    For each class, y (1 for its samples, 0 for the others) is explained by features F of shape
    (N, D) as y = F w + noise, with w ~ N(0, I/α) and noise ~ N(0, I/β). The evidence averages over
    all w, so it does not reward overfitting; α and β are those with the largest evidence. The
    result is the mean over classes of log p(y | F, α, β) / N. It does not change when the features
    are rotated or multiplied by a number.

    Labels that fewer than N directions fit exactly would have an infinite evidence (β → ∞). There
    the squared error counts as 2e-16 of ‖y‖², so the result is large, but finite.

    Source: You, Liu, Wang and Long, LogME: Practical Assessment of Pre-trained Models for Transfer
    Learning (2021).

    Args:
        features: shape (N, D), with N smaller or larger than D.
        labels: integers, shape (N,).
    """
    x, y = _check_features(features, labels)
    targets = F.one_hot(y).double()  # (N, C)
    # In the basis of the singular vectors, D unknowns at once become k unknowns one by one.
    u, s, _ = torch.linalg.svd(x, full_matrices=False)
    kept = s > s[0] * max(x.shape) * EPS
    u, sigma = u[:, kept], (s[kept] / s[0])[:, None] ** 2  # (N, k), and eigenvalues of FᵀF, (k, 1)
    z = u.T @ targets  # (k, C)
    misfit = torch.zeros_like(targets[0])  # (C,): what no w can explain; with k = N nothing
    if len(z) < len(x):
        misfit = (targets - u @ z).square().sum(0).clamp_min(EPS * targets.sum(0))

    # Search log t = log α/β on a wide grid, then on finer and finer ones around the best. MacKay's
    # fixed point, which the paper iterates, has the same solution; but on features without any
    # signal it takes thousands of rounds, and where there are two maxima it may climb the lower.
    log_t = torch.zeros_like(misfit)
    for reach, points in ((50, 101), (1, 21), (0.1, 21), (0.01, 21), (0.001, 21)):
        steps = torch.linspace(-reach, reach, points, dtype=torch.float64)
        tried = log_t + steps[:, None]  # (points, C)
        evidence = [_log_evidence(t, sigma, z.square(), misfit, len(x)) for t in tried.exp()]
        best, where = torch.stack(evidence).max(0)
        log_t = tried.gather(0, where[None])[0]
    return (best.mean() / len(x)).item()


def _log_evidence(t: Tensor, sigma: Tensor, z2: Tensor, misfit: Tensor, n: int) -> Tensor:
    """Return log p(y | F, α, β) for t = α/β and the β that is best for this t, shape (C,).

    Along the k singular vectors the labels have variance (1 + σ/t)/β, in the n − k other directions
    1/β. So log det(αI + βFᵀF) need not be formed. In the paper's form it is a sum over *all* D
    eigenvalues of FᵀF: with N < D, or with dependent columns, D − k of them are 0 and add log α
    each, which cancels that much of (D/2) log α. The published code sums over k of them and keeps
    (D/2) log α whole; there, columns of zeros change the result.
    """
    error = misfit + (t / (t + sigma) * z2).sum(0)  # (C,); the best β is n / error
    return -0.5 * (n * (1 + (2 * math.pi * error / n).log()) + (sigma / t).log1p().sum(0))


def h_score(
    features: Tensor | np.ndarray, labels: Tensor | np.ndarray, shrinkage: float | None = None
) -> float:
    """Return the H-score: how far apart class means lie, measured by the features' covariance.

    H = tr(cov_a(f)⁻¹ (1 − a) cov(E[f | y])), where cov_a = (1 − a) cov + a (tr cov / D) I. With
    few samples the plain covariance is close to singular and its inverse is mostly noise; the
    shrinkage a, between 0 and 1, fixes that.

    Sources: Bao et al., An Information-Theoretic Approach to Transferability in Task Transfer
    Learning (2019), which is a = 0; Ibrahim, Ponomareva and Mazumder, Newer Is Not Always Better:
    Rethinking Transferability Metrics (2022), for a by Ledoit and Wolf.

    Args:
        features: shape (N, D).
        labels: integers, shape (N,).
        shrinkage: a; None takes Ledoit and Wolf's. With 0 the score is at most C − 1 for C classes,
            and does not change under invertible linear maps of the features.
    """
    x, y = _check_features(features, labels)
    if shrinkage is not None and not 0 <= shrinkage <= 1:
        raise InputError(f"shrinkage={shrinkage}: expected a number from 0 to 1.")
    x = x - x.mean(0)
    covariance = x.T @ x / len(x)
    mean_variance = covariance.diagonal().mean()
    if shrinkage is None:
        from sklearn.covariance import ledoit_wolf_shrinkage  # here: it takes long to import

        shrinkage = float(ledoit_wolf_shrinkage(x.numpy(), assume_centered=True))
    shrunk = (1 - shrinkage) * covariance
    shrunk.diagonal().add_(shrinkage * mean_variance)

    member = F.one_hot(y).double()  # (N, C)
    count = member.sum(0)[:, None]  # (C, 1)
    between = (member.T @ x / count) * (count / len(x)).sqrt()  # cov(E[f | y]) = betweenᵀ between
    solved = torch.linalg.lstsq(shrunk, between.T).solution  # also when shrunk is singular
    return ((1 - shrinkage) * (between.T * solved).sum()).item()


def leep(source_probabilities: Tensor | np.ndarray, labels: Tensor | np.ndarray) -> float:
    """Return LEEP: the log likelihood per sample of labels, predicted through source classes.

    The pre-trained model predicts z, one of its own classes, with probability θ(x)_z; the data give
    P(y | z); together they predict y. 0 would be perfect.

    Source: Nguyen, Hassner, Seeger and Archambeau, LEEP: A New Measure to Evaluate Transferability
    of Learned Representations (2020).

    Args:
        source_probabilities: shape (N, Z), what the source's head predicts, after softmax.
        labels: integers, shape (N,).
    """
    theta = _float64(source_probabilities, "source_probabilities")
    y = _check_labels(labels, len(theta))
    if theta.min() < 0 or (theta.sum(1) - 1).abs().max() > 1e-3:
        raise InputError(
            "source_probabilities must be 0 or more and add up to 1 in every row; found values "
            f"from {theta.min():.3g} and sums up to {theta.sum(1).max():.3g} (apply softmax first)."
        )
    joint = F.one_hot(y).double().T @ theta / len(y)  # (C, Z): P(y, z)
    given = (joint / joint.sum(0)).nan_to_num(0)  # P(y | z); 0 for a z that is never predicted
    return (theta * given[y]).sum(1).log().mean().item()


def nce(source_labels: Tensor | np.ndarray, labels: Tensor | np.ndarray) -> float:
    """Return the negative conditional entropy −H(Y | Z) of labels given source labels, in nats.

    0 means that the source label determines the new one. It is LEEP with hard decisions.

    Source: Tran, Nguyen and Hassner, Transferability and Hardness of Supervised Classification
    Tasks (2019).

    Args:
        source_labels: integers, shape (N,), the source class predicted for each sample.
        labels: integers, shape (N,).
    """
    z = _class_numbers(source_labels, "source_labels")
    y = _check_labels(labels, len(z))
    joint = F.one_hot(y).double().T @ F.one_hot(z).double() / len(y)  # (C, Z): P(y, z)
    return torch.special.xlogy(joint, joint / joint.sum(0)).sum().item()  # 0 log 0 is 0


def knn(features: Tensor | np.ndarray, labels: Tensor | np.ndarray, k: int = 5) -> float:
    """Return the leave-one-out accuracy of k nearest neighbours by Euclidean distance, 0..1.

    A sample is never its own neighbour. Among classes with equally many votes the one with nearer
    neighbours wins. Time grows with N².

    Source: Cover and Hart, Nearest Neighbor Pattern Classification (1967).

    Args:
        features: shape (N, D).
        labels: integers, shape (N,).
        k: neighbours that vote, fewer than N.
    """
    from sklearn.neighbors import NearestNeighbors  # here, because it takes a second to import

    x, y = _check_features(features, labels)
    if not 1 <= k < len(x):
        raise InputError(f"k={k}: expected 1 to {len(x) - 1} neighbours for {len(x)} samples.")
    neighbours = NearestNeighbors(n_neighbors=k).fit(x.numpy()).kneighbors(return_distance=False)
    # Nearer neighbours get a little more than one vote; together less than one more.
    vote = 1 + torch.arange(k, 0, -1).double() / (k + 1) ** 2
    votes = torch.zeros(len(x), int(y.max()) + 1, dtype=torch.float64)
    votes.scatter_add_(1, y[torch.from_numpy(neighbours)], vote.expand(len(x), k))
    return (votes.argmax(1) == y).double().mean().item()


def linear_probe(
    features: Tensor | np.ndarray, labels: Tensor | np.ndarray, folds: int = 5, seed: int = 0
) -> float:
    """Return the cross-validated accuracy of logistic regression on standardised features, 0..1.

    Every fold has the same mix of classes. When a class has fewer samples than `folds`, there are
    only as many folds as it has samples, so that each training part knows each class. A class with
    one sample cannot be cross-validated and is refused.

    Source: Alain and Bengio, Understanding Intermediate Layers Using Linear Classifier Probes
    (2016).

    Args:
        features: shape (N, D).
        labels: integers, shape (N,).
        folds: parts that are held out in turn.
        seed: decides which sample falls into which part.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = _check_features(features, labels)
    if folds < 2:
        raise InputError(f"folds={folds}: expected 2 or more.")
    fewest = int(y.bincount().min())
    if fewest < 2:
        alone = torch.as_tensor(labels).cpu().unique()[y.bincount().argmin()]
        raise InputError(
            f"a linear probe is cross-validated, but class {alone} has 1 sample; expected 2 or "
            "more of every class (logme, h_score and knn need one)."
        )
    parts = StratifiedKFold(min(folds, fewest), shuffle=True, random_state=seed)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    right = cross_val_score(probe, x.numpy(), y.numpy(), cv=parts)
    sizes = [len(held_out) for _, held_out in parts.split(x, y)]
    return float(np.average(right, weights=sizes))  # by samples: folds may differ in size


def _check_features(features: Tensor | np.ndarray, labels: object) -> tuple[Tensor, Tensor]:
    """Return features as float64 of shape (N, D) and labels as class numbers of shape (N,)."""
    x = _float64(features, "features")
    return x, _check_labels(labels, len(x))


def _float64(values: Tensor | np.ndarray, name: str) -> Tensor:
    x = torch.as_tensor(values).detach().cpu().double()
    if x.ndim != 2 or 0 in x.shape:
        raise InputError(f"{name} must have shape (samples, width); found {tuple(x.shape)}.")
    if not x.isfinite().all():
        row = int((~x.isfinite()).any(1).nonzero()[0])
        raise InputError(f"{name} hold NaN or infinite values, such as in row {row}.")
    return x


def _check_labels(labels: Tensor | np.ndarray, samples: int) -> Tensor:
    y = _class_numbers(labels, "labels")
    if len(y) != samples:
        raise InputError(f"expected one label per sample; found {len(y)} for {samples} samples.")
    if y.max() == 0:
        label = torch.as_tensor(labels).flatten()[0]
        raise InputError(f"all labels are {label}; expected two classes or more.")
    return y


def _class_numbers(labels: Tensor | np.ndarray, name: str) -> Tensor:
    """Number the classes that occur 0, 1, 2, ...; gaps in the labels are closed."""
    y = torch.as_tensor(labels).detach().cpu()
    if y.ndim != 1 or len(y) == 0 or y.is_floating_point() or y.dtype == torch.bool:
        raise InputError(
            f"{name} must be integers of shape (samples,); found {y.dtype} of {tuple(y.shape)}."
        )
    return y.unique(return_inverse=True)[1]
