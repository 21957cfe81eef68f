"""mixup: training on mixtures of two images and of their labels."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferlab.data import Batch
from transferlab.errors import InputError
from transferlab.metrics import LossFunction, cross_entropy


def mixup(alpha: float) -> LossFunction:
    """Return a loss that mixes each image of a batch with another one of the same batch.

    >>> fit(model, train, epochs=10, loss_fn=mixup(0.2))

    x̃ = λx + (1 − λ)x′, and the loss is λ·CE(f(x̃), y) + (1 − λ)·CE(f(x̃), y′), where λ ~ Beta(α, α)
    is drawn once per batch, and x′, y′ are the batch in another order. In evaluation mode nothing
    is mixed: there the loss is plain cross-entropy.

    Source: Zhang, Cisse, Dauphin and Lopez-Paz, mixup: Beyond Empirical Risk Minimization (2018).

    Args:
        alpha: α. Small values mix little (λ near 0 or 1), 1 makes every λ equally likely.
    """
    if not alpha > 0:
        raise InputError(f"alpha={alpha}: expected a positive number.")

    def mixed_cross_entropy(model: nn.Module, batch: Batch) -> Tensor:
        if not model.training:
            return cross_entropy(model, batch)
        x, y = batch
        # not torch's Beta: where both of its draws underflow, as for a small α, it returns ½
        share = np.random.beta(alpha, alpha)
        other = torch.randperm(len(y), device=y.device)
        scores = model(share * x + (1 - share) * x[other])
        one, two = F.cross_entropy(scores, y), F.cross_entropy(scores, y[other])
        return share * one + (1 - share) * two

    return mixed_cross_entropy
