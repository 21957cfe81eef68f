"""Cutting a data set into parts, and drawing a few samples of every class."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from transferlab.data.copies import crossing_copies
from transferlab.data.dataset import labels, subset
from transferlab.errors import InputError


def split(
    dataset: Dataset,
    fractions: Sequence[float],
    seed: int = 0,
    *,
    groups: Tensor | Sequence[int] | None = None,
) -> list[Dataset]:
    """Cut a data set into disjoint random parts, with the same mix of classes in each.

    >>> train, validation, test = split(digits(), (0.4, 0.1, 0.5), seed=0)

    Photos that are nearly the same in two parts make a test too easy. `split` warns when it finds
    any, and `groups=near_copies(dataset)` keeps them together.

    Args:
        fractions: the share of each part; together at most 1.
        groups: shape (N,), a number for each sample; samples with the same number, such as
            photos of one animal or one patient, come into the same part.
    """
    if not fractions or min(fractions) <= 0 or sum(fractions) > 1 + 1e-9:
        raise InputError(
            f"fractions={tuple(fractions)} is impossible; "
            "expected positive numbers that add up to at most 1."
        )
    edges = np.cumsum([0.0, *fractions])
    cut = _cut_samples if groups is None else _cut_groups
    positions = cut(dataset, edges, seed, groups)
    for fraction, part in zip(fractions, positions, strict=True):
        if not len(part):
            raise InputError(
                f"fractions={tuple(fractions)}: the part of {fraction:g} gets no sample; "
                "expected more samples (or groups) per class or a larger share."
            )
    if groups is None and (crossing := crossing_copies(dataset, positions)):
        warnings.warn(
            f"{getattr(dataset, 'name', 'data')}: {crossing} samples have a near-copy in another "
            "part, so that a test would be too easy; give split groups=data.near_copies(dataset).",
            stacklevel=2,
        )
    return [subset(dataset, part.sort().values) for part in positions]


def _cut_samples(dataset: Dataset, edges: np.ndarray, seed: int, groups: None) -> list[Tensor]:
    """Return the positions of each part's samples; `edges` are shares, from 0 to the last end."""
    parts: list[list[Tensor]] = [[] for _ in edges[1:]]
    for members in _shuffled_by_class(labels(dataset), seed).values():
        cuts = np.round(edges * len(members)).astype(int)
        for part, start, stop in zip(parts, cuts[:-1], cuts[1:], strict=True):
            part.append(members[start:stop])
    return [torch.cat(part) for part in parts]


def _cut_groups(
    dataset: Dataset, edges: np.ndarray, seed: int, groups: Tensor | Sequence[int]
) -> list[Tensor]:
    """Return the positions of each part's samples, each group whole in the part of its middle."""
    y, groups = labels(dataset), torch.as_tensor(groups)
    if groups.shape != y.shape:
        raise InputError(
            f"groups has shape {tuple(groups.shape)}; expected one number for each of {len(y)} "
            "samples."
        )
    _, group, sizes = groups.unique(return_inverse=True, return_counts=True)
    first = torch.full((len(sizes),), len(y)).scatter_reduce(0, group, torch.arange(len(y)), "amin")
    part_of = torch.full((len(sizes),), -1)
    for members in _shuffled_by_class(y[first], seed).values():  # a group has its first's class
        ends = sizes[members].cumsum(0)
        middles = (ends - sizes[members] / 2) / ends[-1]
        part_of[members] = torch.from_numpy(np.searchsorted(edges, middles.numpy()) - 1)
    return [(part_of[group] == part).nonzero().flatten() for part in range(len(edges) - 1)]


def _shuffled_by_class(y: Tensor, seed: int) -> dict[int, Tensor]:
    """Return the positions of each class's samples, in random order."""
    generator = torch.Generator().manual_seed(seed)
    positions = {}
    for label in y.unique().tolist():
        members = (y == label).nonzero().flatten()
        positions[label] = members[torch.randperm(len(members), generator=generator)]
    return positions


def few_shot(dataset: Dataset, per_class: int, seed: int = 0) -> Dataset:
    """Draw `per_class` random samples of every class.

    One seed gives nested draws: the samples for 2 per class contain the samples for 1 per class.
    """
    if per_class < 1:
        raise InputError(f"per_class={per_class}: expected at least 1 sample per class.")
    chosen = []
    for label, members in _shuffled_by_class(labels(dataset), seed).items():
        if len(members) < per_class:
            raise InputError(
                f"{getattr(dataset, 'name', 'data')}: class {label} has {len(members)} samples; "
                f"per_class={per_class} asks for more."
            )
        chosen.append(members[:per_class])
    return subset(dataset, torch.cat(chosen).sort().values)
