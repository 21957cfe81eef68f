"""Every score equals a slow version written by hand; invariances; noise; bad input."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from transferlab import InputError
from transferlab.select import h_score, knn, leep, linear_probe, logme, nce

WIDE, SQUARE, TALL = (30, 70), (40, 40), (90, 12)  # N < D, N = D, N > D


def task(n: int, d: int, classes: int = 3, signal: float = 1.0, seed: int = 0):
    """Features of shape (n, d) around one mean per class, and the labels."""
    draw = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    return draw.normal(size=(n, d)) + signal * draw.normal(size=(classes, d))[labels], labels


def correlated(n: int, d: int, seed: int = 0):
    """As `task`, but a few directions hold nearly all of the variance, as in real features."""
    features, labels = task(n, d, seed=seed)
    return features * np.exp(-10 * np.arange(d) / d) @ rotation(d), labels


def rotation(d: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(1).normal(size=(d, d)))[0]


# LogME


def evidence(alpha: float, beta: float, features: np.ndarray, y: np.ndarray) -> float:
    """log p(y | F, α, β) as the paper writes it, with the full D×D matrix."""
    n, d = features.shape
    a = alpha * np.eye(d) + beta * features.T @ features
    m = beta * np.linalg.solve(a, features.T @ y)
    fit = beta * ((features @ m - y) ** 2).sum() + alpha * m @ m
    log_det = np.linalg.slogdet(a)[1]
    return 0.5 * (d * np.log(alpha) + n * np.log(beta) - fit - log_det - n * np.log(2 * np.pi))


def best_logs(features: np.ndarray, y: np.ndarray) -> np.ndarray:
    """log α and log β with the largest evidence that an optimiser finds from a few starts."""
    ends = [
        minimize(
            lambda logs: -evidence(*np.exp(logs), features, y),
            (start, 2.0),
            method="Nelder-Mead",
            options={"xatol": 1e-7, "fatol": 1e-11},
        )
        for start in (-10.0, 0.0, 5.0)
    ]
    return min(ends, key=lambda end: end.fun).x


def dense_logme(features: np.ndarray, labels: np.ndarray) -> float:
    targets = [(labels == label).astype(float) for label in np.unique(labels)]
    found = [evidence(*np.exp(best_logs(features, y)), features, y) for y in targets]
    return float(np.mean(found)) / len(labels)


def fixed_point_logme(features: np.ndarray, labels: np.ndarray, rounds: int = 1000) -> float:
    """MacKay's iteration from α = β = 1, as in the paper, but with dense matrices."""
    n, d = features.shape
    found = []
    for label in np.unique(labels):
        y, alpha, beta = (labels == label).astype(float), 1.0, 1.0
        eigenvalues = np.linalg.eigvalsh(features.T @ features).clip(0)
        for _ in range(rounds):
            a = alpha * np.eye(d) + beta * features.T @ features
            m = beta * np.linalg.solve(a, features.T @ y)
            gamma = (beta * eigenvalues / (alpha + beta * eigenvalues)).sum()
            alpha = gamma / (m @ m)
            beta = (n - gamma) / ((y - features @ m) ** 2).sum()
        found.append(evidence(alpha, beta, features, y) / n)
    return float(np.mean(found))


@pytest.mark.parametrize(("n", "d"), [WIDE, SQUARE, TALL])
def test_logme_is_the_largest_dense_evidence(n, d):
    features, labels = correlated(n, d)
    assert logme(features, labels) == pytest.approx(dense_logme(features, labels), rel=1e-8)


def test_logme_of_features_that_fit_any_labels():
    """With N < D the best α/β can be 0: w explains all, and only its size is in question."""
    features, labels = task(*WIDE)
    gram, n = features @ features.T, len(labels)
    expected = [
        -0.5 * (n * (1 + np.log(2 * np.pi * y @ np.linalg.solve(gram, y) / n)))
        - 0.5 * np.linalg.slogdet(gram)[1]
        for y in np.eye(3)[labels].T
    ]
    assert logme(features, labels) == pytest.approx(np.mean(expected) / n, rel=1e-8)


@pytest.mark.parametrize(("n", "d"), [WIDE, SQUARE])
def test_logme_is_where_the_papers_iteration_ends(n, d):
    features, labels = correlated(n, d)
    iterated = fixed_point_logme(features, labels)
    assert logme(features, labels) == pytest.approx(iterated, rel=1e-8)


def test_logme_of_dependent_columns():
    features, labels = correlated(*TALL)
    features = np.c_[features, features[:, :3], features[:, 3] - features[:, 4], np.ones(90)]
    assert logme(features, labels) == pytest.approx(dense_logme(features, labels), rel=1e-8)


def naive_logme(features: np.ndarray, labels: np.ndarray) -> float:
    """The log determinant over the min(N, D) singular values only: the published mistake."""
    n, d = features.shape
    found = []
    for label in np.unique(labels):
        y = (labels == label).astype(float)
        log_alpha, log_beta = best_logs(features, y)
        left_out = 0.5 * max(0, d - n) * log_alpha
        found.append((evidence(np.exp(log_alpha), np.exp(log_beta), features, y) + left_out) / n)
    return float(np.mean(found))


def test_columns_of_zeros_change_nothing():
    """With N < D, or empty columns, the published code counts log α for what is not there."""
    features, labels = correlated(*WIDE)
    padded = np.c_[features, np.zeros((30, 20))]
    assert logme(padded, labels) == pytest.approx(logme(features, labels), rel=1e-10)
    assert abs(naive_logme(padded, labels) - naive_logme(features, labels)) > 0.5
    tall, labels = correlated(*TALL)
    assert naive_logme(tall, labels) == pytest.approx(logme(tall, labels), rel=1e-6)


@pytest.mark.parametrize(("n", "d"), [WIDE, TALL])
def test_logme_does_not_change_under_rotation_scale_and_order(n, d):
    features, labels = task(n, d)
    expected = logme(features, labels)
    order = np.random.default_rng(2).permutation(n)
    for other in (features @ rotation(d), 1e-6 * features, 1e100 * features, features[:, ::-1]):
        assert logme(other.copy(), labels) == pytest.approx(expected, rel=1e-9)
    assert logme(features[order], labels[order]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("score", [logme, h_score, knn, linear_probe])
def test_gaps_in_the_labels_and_absent_classes_do_not_count(score):
    """Counting classes as max + 1 would average over classes that have no sample."""
    features, labels = task(*TALL)
    gaps = np.array([0, 2, 5])[labels]
    expected = score(features, labels)
    assert score(features, gaps) == expected
    assert score(torch.from_numpy(features), torch.from_numpy(gaps)) == expected


def test_logme_of_features_that_are_zero_is_that_of_noise():
    labels = np.arange(30) % 3
    variance = 1 / 3  # of a target that is 1 for a third of the samples, around 0
    expected = -0.5 * (1 + math.log(2 * math.pi * variance))
    assert logme(np.zeros((30, 7)), labels) == pytest.approx(expected, rel=1e-12)
    assert logme(np.ones((30, 1)), labels) > expected  # a constant at least finds the mean


def test_logme_is_finite_when_features_hold_the_labels():
    features, labels = task(*TALL)
    perfect = np.c_[features, np.eye(3)[labels]]
    assert 5 < logme(perfect, labels) < 25
    assert 5 < logme(np.eye(3)[labels], labels) < 25
    assert math.isfinite(logme(np.eye(30), np.arange(30) % 3))  # every sample has its own column


def test_logme_finds_the_higher_of_two_maxima():
    """An iteration that starts at one place climbs the hill it stands on."""
    noise, labels = task(90, 60, signal=0.0)
    blurred = np.eye(3)[labels] + np.random.default_rng(1).normal(scale=1e-4, size=(90, 3))
    hidden = np.c_[noise, 0.3 * blurred]
    assert fixed_point_logme(hidden, labels, rounds=200) < -0.8 < 0.5 < logme(hidden, labels)
    assert logme(hidden, labels) == pytest.approx(dense_logme(hidden, labels), rel=1e-8)


def test_logme_prefers_signal_to_noise_and_takes_float32():
    for n, d in (WIDE, TALL):
        values = [logme(*task(n, d, signal=signal)) for signal in (0.0, 0.3, 1.0)]
        assert values == sorted(values)
    features, labels = task(*TALL)
    single = torch.tensor(features, dtype=torch.float32)
    assert logme(single, labels) == logme(single.double(), labels)
    assert logme(single.requires_grad_(), labels) == logme(single.double(), labels)


# H-score


def slow_h_score(features: np.ndarray, labels: np.ndarray, shrinkage: float | None) -> float:
    n, d = features.shape
    x = features - features.mean(0)
    covariance = sum(np.outer(row, row) for row in x) / n
    mean_variance = np.trace(covariance) / d
    if shrinkage is None:  # Ledoit and Wolf (2004)
        distance = ((covariance - mean_variance * np.eye(d)) ** 2).sum()
        error = sum(((np.outer(row, row) - covariance) ** 2).sum() for row in x) / n**2
        shrinkage = min(error, distance) / distance
    means = np.array([x[labels == label].mean(0) for label in labels])
    between = sum(np.outer(row, row) for row in means) / n
    shrunk = (1 - shrinkage) * covariance + shrinkage * mean_variance * np.eye(d)
    return float(np.trace(np.linalg.inv(shrunk) @ ((1 - shrinkage) * between)))


@pytest.mark.parametrize(("n", "d"), [WIDE, SQUARE, TALL])
def test_h_score_equals_the_formula(n, d):
    features, labels = task(n, d)
    expected = slow_h_score(features, labels, None)
    assert h_score(features, labels) == pytest.approx(expected, rel=1e-9)
    expected = slow_h_score(features, labels, 0.3)
    assert h_score(features, labels, shrinkage=0.3) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "d"), [WIDE, TALL, (9, 1)])
def test_the_shrinkage_is_scikit_learns(n, d):
    features, labels = task(n, d)
    shrinkage = ledoit_wolf(features)[1]
    expected = h_score(features, labels, shrinkage=float(shrinkage))
    assert h_score(features, labels) == pytest.approx(expected, rel=1e-9)


def test_h_score_without_shrinkage_does_not_change_under_linear_maps():
    features, labels = task(*TALL)
    mixed = features @ np.random.default_rng(3).normal(size=(12, 12)) + 5
    plain = h_score(features, labels, shrinkage=0)
    assert h_score(mixed, labels, shrinkage=0) == pytest.approx(plain, rel=1e-8)
    assert plain == pytest.approx(slow_h_score(features, labels, 0), rel=1e-9)
    assert h_score(features @ rotation(12), labels) == pytest.approx(h_score(features, labels))


def test_plain_h_score_calls_noise_perfect_when_samples_are_few():
    noise, labels = task(*WIDE, signal=0.0)
    signal, _ = task(*WIDE, signal=3.0)
    assert h_score(noise, labels, shrinkage=0) == pytest.approx(2, rel=1e-6)  # C − 1, the most
    assert h_score(signal, labels, shrinkage=0) == pytest.approx(2, rel=1e-6)
    assert h_score(noise, labels) < 1.2 < 1.8 < h_score(signal, labels) < 2


def test_h_score_of_degenerate_features():
    features, labels = task(*TALL)
    assert h_score(np.zeros((90, 4)), labels) == 0
    assert h_score(np.ones((90, 4)), labels) == 0
    with_constant = h_score(np.c_[features, np.ones(90)], labels, shrinkage=0)
    assert with_constant == pytest.approx(h_score(features, labels, shrinkage=0), rel=1e-9)
    assert h_score(features[:, :1], labels) > 0


# LEEP and NCE


def predictions(n: int, source_classes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(source_classes, 0.3), size=n)


def slow_leep(theta: np.ndarray, labels: np.ndarray) -> float:
    n, classes = theta.shape
    joint = {
        (y, z): sum(theta[i, z] for i in range(n) if labels[i] == y) / n
        for y in set(labels.tolist())
        for z in range(classes)
    }
    marginal = [
        sum(value for (_, other), value in joint.items() if other == z) for z in range(classes)
    ]
    total = 0.0
    for i in range(n):
        total += math.log(
            sum(
                joint[labels[i], z] / marginal[z] * theta[i, z]
                for z in range(classes)
                if marginal[z]
            )
        )
    return total / n


def test_leep_equals_loops_over_samples_and_classes():
    theta, labels = predictions(25, 6), np.arange(25) % 4
    assert leep(theta, labels) == pytest.approx(slow_leep(theta, labels), rel=1e-12)
    dead = np.c_[theta, np.zeros(25)]  # a source class that is never said
    assert leep(dead, labels) == pytest.approx(leep(theta, labels), rel=1e-12)


def test_leep_does_not_mind_the_order_of_source_classes():
    theta, labels = predictions(25, 6), np.arange(25) % 4
    assert leep(theta[:, [3, 0, 5, 1, 2, 4]], labels) == pytest.approx(leep(theta, labels))
    assert leep(theta, np.array([7, 0, 9, 4])[labels]) == pytest.approx(leep(theta, labels))


def test_leep_is_nce_for_hard_decisions_and_bounded_by_it():
    theta, labels = predictions(40, 6), np.arange(40) % 4
    z = theta.argmax(1)
    assert leep(np.eye(6)[z], labels) == pytest.approx(nce(z, labels), rel=1e-12)
    # Property 1 of the LEEP paper
    assert leep(theta, labels) >= nce(z, labels) + np.log(theta[np.arange(40), z]).mean()
    assert leep(np.eye(4)[labels], labels) == 0


def test_nce_is_minus_the_conditional_entropy():
    z, y = np.array([0, 0, 0, 0, 1, 1, 3, 3]), np.array([0, 0, 1, 1, 0, 1, 2, 2])
    # z = 0 and z = 1 leave two equally likely labels, z = 3 leaves one
    assert nce(z, y) == pytest.approx(-(6 / 8) * math.log(2), rel=1e-12)
    assert nce(y, y) == 0
    assert nce(np.zeros(8, dtype=int), y) == pytest.approx(
        sum(p * math.log(p) for p in (3 / 8, 3 / 8, 2 / 8))
    )
    with np.errstate(all="ignore"):  # 0 log 0, computed as it is written, is NaN
        joint = np.array([[2, 1, 0], [2, 1, 0], [0, 0, 2]]) / 8
        assert np.isnan((joint * np.log(joint / joint.sum(0))).sum())


# kNN and linear probe


def test_knn_equals_leave_one_out():
    features, labels = task(60, 4, signal=0.7)
    one = cross_val_score(KNeighborsClassifier(1), features, labels, cv=LeaveOneOut()).mean()
    assert knn(features, labels, k=1) == pytest.approx(one)
    for k in (2, 3, 5):
        right = 0
        for i, point in enumerate(features):
            distance = ((features - point) ** 2).sum(1)
            distance[i] = np.inf
            near = labels[np.argsort(distance)[:k]].tolist()
            winner = max(set(near), key=lambda c: (near.count(c), -near.index(c)))
            right += winner == labels[i]
        assert knn(features, labels, k=k) == pytest.approx(right / 60)


def test_a_sample_is_not_its_own_neighbour():
    noise, labels = task(300, 8, signal=0.0)
    naive = KNeighborsClassifier(1).fit(noise, labels).score(noise, labels)
    assert naive == 1
    assert knn(noise, labels, k=1) < 0.45


def test_votes_that_are_equal_go_to_the_nearer_neighbour():
    features, labels = np.array([[0.0], [1.0], [3.0], [6.0]]), np.array([1, 1, 0, 0])
    # votes, the nearest first: 0 ← (1, 0), 1 ← (1, 0), 3 ← (1, 1), 6 ← (0, 1)
    assert knn(features, labels, k=2) == 3 / 4  # the smaller label would win 2 of 4


def test_the_probe_is_cross_validated_logistic_regression():
    features, labels = task(90, 5, signal=0.8)
    found = linear_probe(features, labels)
    plain = cross_val_score(LogisticRegression(max_iter=1000), features, labels, cv=5).mean()
    assert found == pytest.approx(plain, abs=0.06)
    assert linear_probe(features, labels) == found != linear_probe(features, labels, seed=4)
    noise, labels = task(300, 5, signal=0.0)
    assert linear_probe(noise, labels) < 0.45


def test_a_small_class_means_fewer_folds():
    features, labels = task(61, 5, signal=3.0)
    few = np.r_[np.flatnonzero(labels != 2), np.flatnonzero(labels == 2)[:2]]
    assert linear_probe(features[few], labels[few]) == pytest.approx(
        linear_probe(features[few], labels[few], folds=2)
    )
    one = few[:-1]
    with pytest.raises(InputError, match=r"class 2 has 1 sample; expected 2 or more"):
        linear_probe(features[one], labels[one])
    with pytest.raises(InputError, match=r"class 9 has 1 sample"):
        linear_probe(features[one], np.array([3, 4, 9])[labels[one]])


# All of them


@pytest.mark.parametrize("score", [logme, h_score, knn, linear_probe, leep])
def test_bad_input_gets_one_sentence(score):
    x, y = predictions(20, 3), np.arange(20) % 4
    broken = x.copy()
    broken[7, 1] = np.nan
    for features, labels, sentence in [
        (x, y[:19], r"expected one label per sample; found 19 for 20 samples"),
        (x, np.zeros(20, dtype=int), r"all labels are 0; expected two classes"),
        (broken, y, r"hold NaN or infinite values, such as in row 7"),
        (x[:0], y[:0], r"must have shape \(samples, width\); found \(0, 3\)"),
        (x[:, 0], y, r"must have shape \(samples, width\); found \(20,\)"),
        (x, y.astype(float), r"labels must be integers.*found torch.float64"),
        (x, np.eye(4)[y].astype(int), r"labels must be integers of shape \(samples,\)"),
    ]:
        with pytest.raises(InputError, match=sentence) as caught:
            score(features, labels)
        assert "\n" not in str(caught.value)


def test_odd_requests_get_one_sentence():
    x, y = task(20, 3)
    for call, sentence in [
        (lambda: h_score(x, y, shrinkage=1.5), "shrinkage=1.5: expected a number from 0 to 1"),
        (lambda: knn(x, y, k=20), "k=20: expected 1 to 19 neighbours for 20 samples"),
        (lambda: knn(x, y, k=0), "k=0: expected 1 to 19"),
        (lambda: linear_probe(x, y, folds=1), "folds=1: expected 2 or more"),
        (lambda: leep(x, y), r"must be 0 or more and add up to 1.*apply softmax first"),
        (lambda: leep(np.full((20, 3), 0.5), y), r"sums up to 1\.5"),
        (lambda: nce(y[:5], y), "found 20 for 5 samples"),
        (lambda: nce(y.astype(float), y), "source_labels must be integers"),
    ]:
        with pytest.raises(InputError, match=sentence):
            call()


def test_scores_take_tensors_of_any_device(each_device):
    features, labels = task(*TALL)
    on_device = torch.tensor(features, dtype=torch.float32, device=each_device)
    y = torch.tensor(labels, device=each_device)
    for score in (logme, h_score, knn, linear_probe):
        expected = score(on_device.cpu().double().numpy(), labels)
        assert score(on_device, y) == pytest.approx(expected, rel=1e-12)
    assert nce(y, y) == 0
    assert leep(on_device.softmax(1), y) < 0
