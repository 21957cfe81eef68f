"""Common code of generated data sets: a fixed pool drawn from one seed, and its checks."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from transferlab.data.dataset import MemoryDataset
from transferlab.errors import InputError

Draw = Callable[[int, torch.Generator], tuple[Tensor, Tensor]]


def labelled(draw_samples: Callable[[Tensor, torch.Generator], Tensor], classes: int) -> Draw:
    """Return a `Draw` that chooses random labels and then draws a sample of each.

    Args:
        draw_samples: `draw_samples(y, generator)` returns one sample for each label, (n, …).
        classes: labels are chosen from 0..classes-1.
    """

    def draw(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        y = torch.randint(classes, (n,), generator=generator)
        return draw_samples(y, generator), y

    return draw


def pool(
    draw: Draw, n: int, seed: int, classes: Sequence[str], name: str, chunk: int = 2048
) -> MemoryDataset:
    """Draw `n` samples once and keep them.

    The same `n` and `seed` give the same samples. Another `n` is another draw: the first 100 of 200
    samples are not those of n=100.

    Args:
        draw: `draw(n, generator)` returns n new inputs and their labels, as in `FreshDataset`.
        chunk: how many samples are drawn at once, which bounds the memory.
    """
    if n < 1:
        raise InputError(f"{name}: n={n}; expected at least 1.")
    generator = torch.Generator().manual_seed(seed)
    parts = [draw(min(chunk, n - start), generator) for start in range(0, n, chunk)]
    x, y = (torch.cat(part) for part in zip(*parts, strict=True))
    return MemoryDataset(x, y, classes, name)


def colours(n: int, count: int, channels: int, generator: torch.Generator) -> Tensor:
    """Return `count` random colours for each of n images, (n, count, channels, 1, 1) in 0..1.

    Any two colours of an image differ by at least 0.5 / count in every channel.
    """
    place = torch.rand(n, count, channels, 1, 1, generator=generator).argsort(dim=1)
    jitter = 0.5 * torch.rand(n, count, channels, 1, 1, generator=generator)
    start = torch.rand(n, 1, channels, 1, 1, generator=generator)
    return ((place + jitter) / count + start) % 1
