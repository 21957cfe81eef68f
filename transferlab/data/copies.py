"""Near-copies: photos that are almost the same, such as frames of one film."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset, Subset

from transferlab.data.dataset import MemoryDataset, as_float
from transferlab.data.folders import ImageFiles
from transferlab.data.images import read_image
from transferlab.errors import InputError

SIDE = 16  # pixels of a thumbnail
SIMILAR = 0.99
CERTAIN = 0.998  # `split` warns only of these
LOOKED_AT = 2000  # photos that `split` compares by itself
SMALLEST = 32  # pixels; smaller images are alike without being copies


def near_copies(dataset: Dataset, similarity: float = SIMILAR) -> Tensor:
    """Return a group number for each sample, shape (N,): near-copies have the same one.

    >>> groups = near_copies(photos)
    >>> train, test = split(photos, (0.8, 0.2), groups=groups)

    Images are compared by grey thumbnails of 16×16 pixels, which find copies of another size,
    brightness or quality. For other views of one thing, give their features instead:
    `near_copies(extract_features(model, photos))`.

    Args:
        dataset: images, or vectors of shape (N, width), such as features.
        similarity: the cosine of two thumbnails (minus their mean) or vectors from which on
            they are near-copies, and so are copies of copies.
    """
    from scipy.sparse import coo_array, csgraph  # here, because it takes long to import

    if not 0 < similarity <= 1:
        raise InputError(f"similarity={similarity}: expected a number above 0 and at most 1.")
    vectors = F.normalize(_vectors(dataset), dim=1)
    pairs = torch.cat([*_similar(vectors, similarity)])
    n = len(vectors)
    graph = coo_array((torch.ones(len(pairs)).numpy(), pairs.T.numpy()), shape=(n, n))
    return torch.from_numpy(csgraph.connected_components(graph, directed=False)[1]).long()


def crossing_copies(dataset: Dataset, parts: Sequence[Tensor]) -> int:
    """Return how many samples have a near-copy in another part; 0 for what cannot be looked at.

    Args:
        parts: the positions of each part's samples.
    """
    is_photo = isinstance(dataset, ImageFiles) or (
        isinstance(dataset, MemoryDataset)
        and dataset.x.ndim == 4
        and min(dataset.x.shape[2:]) >= SMALLEST
    )
    if not is_photo or len(dataset) > LOOKED_AT:
        return 0
    groups, crossing = near_copies(dataset, CERTAIN), 0
    part = torch.full((len(dataset),), -1)
    for number, positions in enumerate(parts):
        part[positions] = number
    for group in (groups.bincount() > 1).nonzero():
        members = part[(groups == group) & (part >= 0)]
        crossing += len(members) if len(members.unique()) > 1 else 0
    return crossing


def _similar(vectors: Tensor, similarity: float) -> Iterator[Tensor]:
    """Yield pairs of positions, shape (pairs, 2)."""
    for start in range(0, len(vectors), 1024):
        found = (vectors[start : start + 1024] @ vectors.T >= similarity - 1e-6).nonzero()
        yield found + torch.tensor([start, 0])


def _vectors(dataset: Dataset) -> Tensor:
    """Return what is compared, one row for each sample."""
    if isinstance(dataset, Subset):
        return _vectors(dataset.dataset)[torch.as_tensor(dataset.indices)]
    if isinstance(dataset, ImageFiles):
        from torchvision.transforms import functional as V  # here: it takes as long as torch

        files = (V.pil_to_tensor(read_image(file, at_least=4 * SIDE)) for file in dataset.files)
        return torch.cat([_thumbnails(picture[None]) for picture in files])
    if not isinstance(dataset, MemoryDataset):
        raise InputError(
            f"near-copies cannot be looked for in a {type(dataset).__name__}; expected images in "
            "memory or in files, or features."
        )
    x = dataset.x.cpu()
    if x.ndim == 2:
        return x.float()
    return torch.cat([_thumbnails(part) for part in x.split(256)])


def _thumbnails(images: Tensor) -> Tensor:
    """Return grey thumbnails minus their mean, shape (n, SIDE²); zeros for a plain surface."""
    grey = F.interpolate(
        as_float(images).mean(1, keepdim=True), (SIDE, SIDE), mode="bilinear", antialias=True
    ).flatten(1)
    grey -= grey.mean(1, keepdim=True)
    return grey * (grey.std(1, keepdim=True) > 1 / 255)
