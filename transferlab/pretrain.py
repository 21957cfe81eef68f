"""Pre-training: the objectives."""

from pathlib import Path

from torch.utils.data import Dataset

from transferlab.models import Backbone
from transferlab.train import History, fit


def supervised(
    model: Backbone,
    data: Dataset,
    *,
    steps: int,
    batch_size: int = 256,
    lr: float = 3e-3,
    seed: int = 0,
    device: str = "auto",
    checkpoint: str | Path | None = None,
) -> History:
    """Minimise L_pre(θ) = 1/N Σ l(f(xᵢ; θ), yᵢ), with cross-entropy for l, by Adam.

    The learning rate falls to 0 along a cosine.
    """
    return fit(
        model,
        data,
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        schedule="cosine",
        seed=seed,
        device=device,
        checkpoint=checkpoint,
    )
