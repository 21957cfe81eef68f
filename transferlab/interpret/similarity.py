"""CKA: how alike two layers are."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from transferlab.data import batches
from transferlab.device import choose_device
from transferlab.errors import InputError
from transferlab.metrics import evaluation_mode
from transferlab.models.layers import output_of, recorded, stages


def cka(x: Tensor, y: Tensor) -> float:
    """Return the linear CKA of two representations of the same N samples, from 0 to 1.

    With centred X (N, D1) and Y (N, D2):  CKA = ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖), Frobenius norms.
    It does not change when either space is rotated or scaled as a whole. The norms are those of N×N
    or of D×D matrices, whichever are smaller.

    With few samples and many features this estimate is far too high: two independent random
    representations of N samples have a CKA near 1 when D is much larger than N. See
    `minibatch_cka`.

    Source: Kornblith, Norouzi, Lee and Hinton, Similarity of Neural Network Representations
    Revisited (2019).
    """
    x, y = _as_pair(x, y)
    x, y = x - x.mean(0), y - y.mean(0)
    if len(x) < max(x.shape[1], y.shape[1]):
        gram_x, gram_y = x @ x.T, y @ y.T
        cross, self_x, self_y = (gram_x * gram_y).sum(), gram_x.norm() ** 2, gram_y.norm() ** 2
    else:
        cross, self_x, self_y = (y.T @ x).norm() ** 2, (x.T @ x).norm() ** 2, (y.T @ y).norm() ** 2
    return _ratio(cross, self_x, self_y).item()


def minibatch_cka(x: Tensor, y: Tensor, batch_size: int = 256, seed: int = 0) -> float:
    """Return the linear CKA of (N, D1) and (N, D2) from unbiased estimates on random batches.

    Independent representations get a value near 0, however many features they have; it can be a
    little below. Batches can be small, because the expected value of `unbiased_hsic` does not
    depend on their size; it needs at least 4 samples.

    Source: Nguyen, Raghu and Kornblith, Do Wide and Deep Networks Learn the Same Things? (2021).

    Args:
        seed: fixes which samples share a batch. They are drawn at random: in data sorted by class
            a batch would hold one class, and the differences between classes would not count.
    """
    x, y = _as_pair(x, y)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    pairs = ((_gram(x[rows])[None], _gram(y[rows])[None]) for rows in order.split(batch_size))
    return _averaged_cka(pairs).item()


def unbiased_hsic(grams_x: Tensor, grams_y: Tensor) -> Tensor:
    """Return HSIC₁ of each of A Gram matrices with each of B: (A, n, n), (B, n, n) → (A, B).

    With K̃ and L̃ for K and L without their diagonals:
    HSIC₁ = [tr(K̃L̃) + 1ᵀK̃1 · 1ᵀL̃1 / ((n−1)(n−2)) − 2/(n−2) · 1ᵀK̃L̃1] / (n(n−3)).

    Source: Song, Smola, Gretton, Bedo and Borgwardt, Feature Selection via Dependence Maximization
    (2012), eq. 5.
    """
    n = grams_x.shape[-1]
    diagonal = torch.eye(n, dtype=torch.bool, device=grams_x.device)
    grams_x, grams_y = grams_x.masked_fill(diagonal, 0), grams_y.masked_fill(diagonal, 0)
    rows_x, rows_y = grams_x.sum(2), grams_y.sum(2)  # K̃1 and L̃1
    trace = grams_x.flatten(1) @ grams_y.flatten(1).T
    sums = torch.outer(rows_x.sum(1), rows_y.sum(1)) / ((n - 1) * (n - 2))
    mixed = 2 / (n - 2) * rows_x @ rows_y.T
    return (trace + sums - mixed) / (n * (n - 3))


def compare_layers(
    model_a: nn.Module,
    model_b: nn.Module,
    dataset: Dataset,
    layers: Sequence[str] | None = None,
    *,
    batch_size: int = 256,
    seed: int = 0,
    device: str = "auto",
) -> Tensor:
    """Return the debiased CKA of every layer of one network with every layer of another.

    Both networks run once over the data, in random batches as in `minibatch_cka`, and only the
    n×n Gram matrices of a batch are kept.

    >>> before = copy.deepcopy(model)
    >>> fit(model, train, epochs=10)
    >>> similarity = compare_layers(before, model, test)
    >>> plots.matrix(similarity, stages(before), stages(model), …)

    Args:
        layers: names for both networks; by default `stages(model_a)` and `stages(model_b)`.

    Returns:
        Shape (layers of a, layers of b), float64.
    """
    where = choose_device(device)
    names_a = stages(model_a) if layers is None else list(layers)
    names_b = stages(model_b) if layers is None else list(layers)
    order = torch.Generator().manual_seed(seed)
    loader = batches(dataset, batch_size, shuffle=True, generator=order, device=where)
    with (
        torch.no_grad(),
        evaluation_mode(model_a.to(where)),
        evaluation_mode(model_b.to(where)),
        recorded(model_a, names_a, _gram) as outputs_a,
        recorded(model_b, names_b, _gram) as outputs_b,
    ):

        def grams() -> Iterator[tuple[Tensor, Tensor]]:
            for x, _ in loader:
                model_a(x)
                model_b(x)
                yield (
                    torch.stack([output_of(outputs_a, name) for name in names_a]),
                    torch.stack([output_of(outputs_b, name) for name in names_b]),
                )

        return _averaged_cka(grams())


def _as_pair(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    if x.ndim < 2 or y.ndim < 2 or len(x) != len(y) or len(x) < 2:
        raise InputError(
            f"CKA compares two representations of the same samples; found shapes {tuple(x.shape)} "
            f"and {tuple(y.shape)}, expected (N, D1) and (N, D2) with N of at least 2."
        )
    x, y = (part.detach().cpu().double().flatten(1) for part in (x, y))
    return x, y


def _gram(features: Tensor) -> Tensor:
    """Return the inner products of all pairs of samples: (n, …) → (n, n), float64, on the CPU."""
    features = features.flatten(1)
    # HSIC₁ is the same without the mean; sums of smaller numbers are more exact.
    features = features - features.mean(0)
    return (features @ features.T).cpu().double()


def _averaged_cka(pairs: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Average the three HSIC₁ over batches, then divide: pairs of (A, n, n), (B, n, n) → (A, B)."""
    weighted = [
        (
            len(x[0]) * unbiased_hsic(x, y),
            len(x[0]) * unbiased_hsic(x, x).diagonal(),
            len(x[0]) * unbiased_hsic(y, y).diagonal(),
        )
        for x, y in pairs
        if len(x[0]) >= 4  # the last batch can be too small for HSIC₁
    ]
    if not weighted:
        raise InputError("no batch has 4 samples, which the unbiased estimate of HSIC needs.")
    cross, self_x, self_y = (torch.stack(part).sum(0) for part in zip(*weighted, strict=True))
    return _ratio(cross, self_x[:, None], self_y[None])


def _ratio(cross: Tensor, self_x: Tensor, self_y: Tensor) -> Tensor:
    if not (self_x > 0).all() or not (self_y > 0).all():
        raise InputError(
            "a representation is the same for all samples, or nearly; CKA is undefined for it."
        )
    return cross / (self_x * self_y).sqrt()
