"""Penalties: what holds the weights near zero, or near their start."""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from transferlab.errors import InputError


class L2SP:
    """λ‖θ − θ_pre‖² on the pre-trained weights, plain λ_head‖θ‖² on the new head.

    Ordinary weight decay pulls towards zero, and so away from what was learned before. This one
    pulls towards the pre-trained weights. As in the formula there is no factor ½: the gradient is
    2λ(θ − θ_pre).

    Source: Li, Grandvalet and Davoine, Explicit Inductive Bias for Transfer Learning with
    Convolutional Networks (2018).

    Args:
        strength: λ.
        head_strength: λ_head, for the parameters of the layer called `head`.
        head: the name of the new layer, which has no pre-trained weights to stay near.
    """

    def __init__(self, strength: float, head_strength: float = 0.0, head: str = "head") -> None:
        if strength < 0 or head_strength < 0:
            raise InputError(
                f"strength={strength}, head_strength={head_strength}: expected 0 or more."
            )
        self.strength, self.head_strength, self.head = strength, head_strength, head
        self.anchor: dict[str, Tensor] | None = None

    def anchor_at(self, model: nn.Module) -> "L2SP":
        """Remember the weights as they are now; without this call, `fit` does it at its start."""
        # clone(): an alias would move with the weights, and the penalty would always be 0
        self.anchor = {name: p.detach().clone() for name, p in model.named_parameters()}
        return self

    def prepare(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Bind the penalty to a model; refuse an optimizer that decays the weights too."""
        if any(group.get("weight_decay", 0) > 0 for group in optimizer.param_groups):
            raise InputError(
                "the optimizer has weight_decay, which pulls the weights to 0 while L2SP pulls "
                "them to their start; expected weight_decay=0."
            )
        if self.anchor is None:
            self.anchor_at(model)
        self._pulled, self._anchors, self._rates = [], [], []
        for name, parameter in model.named_parameters():
            new = name.startswith(f"{self.head}.")
            self._pulled.append(parameter)
            self._rates.append(self.head_strength if new else self.strength)
            start = torch.zeros_like(parameter) if new else self.anchor[name]
            self._anchors.append(start.to(parameter.device))

    def _trainable(self) -> list[tuple[Tensor, Tensor, float]]:
        triples = zip(self._pulled, self._anchors, self._rates, strict=True)
        return [(p, a, rate) for p, a, rate in triples if p.grad is not None and rate > 0]

    @torch.no_grad()
    def before_step(self) -> None:
        """Add 2λ(θ − θ_pre) to the gradients, for all parameters in three calls."""
        if not (active := self._trainable()):
            return
        weights, anchors, rates = (list(part) for part in zip(*active, strict=True))
        pull = torch._foreach_sub(weights, anchors)
        torch._foreach_mul_(pull, [2 * rate for rate in rates])
        torch._foreach_add_([weight.grad for weight in weights], pull)

    @torch.no_grad()
    def value(self) -> float:
        """Return λ‖θ − θ_pre‖² + λ_head‖θ_head‖², over all parameters."""
        squares = [
            rate * (p - a).double().square().sum()
            for p, a, rate in zip(self._pulled, self._anchors, self._rates, strict=True)
        ]
        return float(sum(square.item() for square in squares))
