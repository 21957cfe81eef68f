"""Penalties: they keep the weights near zero, or near their starting point.

A penalty belongs to the objective, as in loss + λ‖θ‖², but not to the graph that autograd walks:
its gradient has a closed form and is added after the backward pass. That is the same sum, without
the memory for a second graph.

All parameters are penalised, as in the formulas and in torch's own `weight_decay`: biases and the
weights of normalisations too. A parameter without a gradient, such as a frozen one, is not moved.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from transferlab.errors import InputError

PIECE = 2**20  # numbers handled at once, so that the memory for their differences is reused


class _Norm:
    """The common part of L2 and L1: a strength λ, and the parameters that they act on."""

    def __init__(self, strength: float) -> None:
        self.strength = _not_negative("strength", strength)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(strength={self.strength})"

    def prepare(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Bind the penalty to a model."""
        self._weights = list(model.parameters())

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must keep: nothing, since the strength is an argument."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""


class L2(_Norm):
    """λ‖θ‖², the pull towards zero that is also called weight decay or ridge.

    There is no factor ½: the gradient is 2λθ, which is torch's `weight_decay=2λ` in SGD and Adam
    (AdamW decays the weights apart from the gradient, which is something else).

    Source: Krogh and Hertz, A Simple Weight Decay Can Improve Generalization (1991).

    Args:
        strength: λ.
    """

    @torch.no_grad()
    def add_to_gradients(self) -> None:
        """Add 2λθ to the gradients."""
        for weights in _pieces(self._weights):
            torch._foreach_add_(_gradients(weights), weights, alpha=2 * self.strength)

    @torch.no_grad()
    def value(self) -> float:
        """Return λ‖θ‖², over all parameters."""
        return self.strength * _total(weight.double().square() for weight in self._weights)


class L1(_Norm):
    """λ‖θ‖₁, a pull of constant force towards zero, also called lasso.

    Its gradient is λ·sign(θ), and 0 where θ = 0, as in autograd. A step of fixed length jumps over
    zero: weights become small, but hardly any becomes exactly 0.

    Source: Tibshirani, Regression Shrinkage and Selection via the Lasso (1996).

    Args:
        strength: λ.
    """

    @torch.no_grad()
    def add_to_gradients(self) -> None:
        """Add λ·sign(θ) to the gradients."""
        for weights in _pieces(self._weights):
            signs = torch._foreach_sign(weights)
            torch._foreach_add_(_gradients(weights), signs, alpha=self.strength)

    @torch.no_grad()
    def value(self) -> float:
        """Return λ‖θ‖₁, over all parameters."""
        return self.strength * _total(weight.double().abs() for weight in self._weights)


class L2SP:
    """λ‖θ − θ_pre‖² on the pre-trained weights, plain λ_head‖θ‖² on the new head.

    Ordinary weight decay pulls towards zero, and so away from what was learned before. This penalty
    pulls towards the pre-trained weights. As in the formula there is no factor ½: the gradient is
    2λ(θ − θ_pre).

    Source: Li, Grandvalet and Davoine, Explicit Inductive Bias for Transfer Learning with
    Convolutional Networks (2018).

    Args:
        strength: λ.
        head_strength: λ_head, for the parameters of the layer called `head`.
        head: the name of the new layer, which has no pre-trained weights to stay near.
        decoupled: pull the weights themselves, θ ← θ − lr·2λ(θ − θ_pre), with the learning rate
            that their group has at this step. In the gradient, Adam would divide the pull by the
            size of past gradients, so the weights that move most would be held least. With
            θ_pre = 0 this is AdamW with weight_decay=2λ (Loshchilov and Hutter, Decoupled Weight
            Decay Regularization, 2019).
    """

    def __init__(
        self,
        strength: float,
        head_strength: float = 0.0,
        head: str = "head",
        decoupled: bool = False,
    ) -> None:
        self.strength = _not_negative("strength", strength)
        self.head_strength = _not_negative("head_strength", head_strength)
        self.head, self.decoupled = head, decoupled
        self.anchor: dict[str, Tensor] | None = None
        self._model: nn.Module | None = None

    def anchor_at(self, model: nn.Module) -> "L2SP":
        """Remember the weights as they are now; without this call, `fit` does it at its start."""
        # clone(): an alias would move with the weights, and the penalty would always be 0
        self.anchor = {name: p.detach().clone() for name, p in model.named_parameters()}
        return self

    def __repr__(self) -> str:
        return (
            f"L2SP(strength={self.strength}, head_strength={self.head_strength}, "
            f"head={self.head!r}, decoupled={self.decoupled})"
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must keep: the anchor, if there is one already."""
        return {} if self.anchor is None else {"anchor": self.anchor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the anchor; a penalty that is bound to a model uses it from now on."""
        self.anchor = state["anchor"]
        if self._model is not None:
            self._bind(self._model)

    def prepare(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Bind the penalty to a model; refuse an optimizer that decays the weights too."""
        if any(group.get("weight_decay", 0) > 0 for group in optimizer.param_groups):
            raise InputError(
                "the optimizer has weight_decay, which pulls the weights to 0 while L2SP pulls "
                "them to their start; expected weight_decay=0."
            )
        if self.anchor is None:
            self.anchor_at(model)
        self._optimizer, self._model = optimizer, model
        self._bind(model)

    def _bind(self, model: nn.Module) -> None:
        """Find the anchor of each parameter."""
        # Keyed by the parameter itself: equal values do not make two parameters one.
        self._start: dict[Tensor, Tensor] = {}
        self._new: set[Tensor] = set()
        for name, weight in model.named_parameters():
            if name.startswith(f"{self.head}."):
                self._start[weight] = torch.zeros_like(weight)
                self._new.add(weight)
            elif name in self.anchor:
                self._start[weight] = self.anchor[name].to(weight.device)
            else:
                raise InputError(f"L2SP: the anchor has no {name}; it belongs to another network.")

    @torch.no_grad()
    def add_to_gradients(self) -> None:
        """Add 2λ(θ − θ_pre) to the gradients, or pull the weights when decoupled."""
        for group in self._optimizer.param_groups:  # read in every step: a schedule changes the lr
            old = [weight for weight in group["params"] if weight not in self._new]
            new = [weight for weight in group["params"] if weight in self._new]
            self._pull(old, self.strength, group["lr"])
            self._pull(new, self.head_strength, group["lr"])

    def _pull(self, pulled: list[Tensor], strength: float, lr: float) -> None:
        if strength == 0:
            return
        for weights in _pieces(pulled):
            starts = [self._start[weight] for weight in weights]
            if self.decoupled:
                torch._foreach_lerp_(weights, starts, 2 * strength * lr)
            else:
                away = torch._foreach_sub(weights, starts)
                torch._foreach_add_(_gradients(weights), away, alpha=2 * strength)

    @torch.no_grad()
    def value(self) -> float:
        """Return λ‖θ − θ_pre‖² + λ_head‖θ_head‖², over all parameters."""
        return _total(
            (self.head_strength if weight in self._new else self.strength)
            * (weight.double() - start.double()).square()
            for weight, start in self._start.items()
        )


def _not_negative(name: str, value: float) -> float:
    if not value >= 0:
        raise InputError(f"{name}={value}: expected 0 or more.")
    return value


def _pieces(weights: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Yield the parameters that have a gradient, about `PIECE` numbers at a time."""
    piece, size = [], 0
    for weight in weights:
        if weight.grad is None:  # frozen, or not used in this step
            continue
        piece.append(weight)
        size += weight.numel()
        if size >= PIECE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _gradients(weights: list[Tensor]) -> list[Tensor]:
    return [weight.grad for weight in weights]


def _total(terms: Iterable[Tensor]) -> float:
    """Return the sum of all terms' elements, with a single wait for the device."""
    return float(sum(term.sum() for term in terms))
