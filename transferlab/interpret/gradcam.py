"""Grad-CAM: where a network looks."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferlab.data.dataset import as_float
from transferlab.device import choose_device
from transferlab.errors import InputError
from transferlab.metrics import evaluation_mode
from transferlab.models.layers import find_layer, puts_channels_last, recorded, stages


def grad_cam(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    layer: str | None = None,
    *,
    device: str = "auto",
) -> Tensor:
    """Return where in each image a network finds the evidence for a class, (N, H, W), values ≥ 0.

    With feature maps A_k of one layer and the score s of the class:
    α_k = mean over positions of ∂s/∂A_k,   map = ReLU(Σ_k α_k A_k), enlarged to the image.

    The gradient is that of the activations, not of the parameters, so the backbone may be frozen.

    Source: Selvaraju, Cogswell, Das, Vedantam, Parikh and Batra, Grad-CAM: Visual Explanations from
    Deep Networks via Gradient-based Localization (2017).

    Args:
        x: images, shape (N, C, H, W), uint8 or in 0..1.
        target: the class to explain, one number or a tensor of shape (N,); by default the class
            that the model predicts for each image.
        layer: whose feature maps; by default the last of `stages(model)` that has such maps.
    """
    where = choose_device(device)
    x = as_float(x).to(where)
    with evaluation_mode(model.to(where)):
        layer = _last_with_maps(model, x) if layer is None else layer
        with torch.enable_grad(), _cut_at(model, layer) as activations:
            scores = model(x)
            targets = _targets(target, scores)
            chosen = scores.gather(1, targets[:, None]).sum()
            [gradients] = torch.autograd.grad(chosen, activations)
    maps = activations[0].detach()
    if puts_channels_last(model):
        maps, gradients = maps.permute(0, 3, 1, 2), gradients.permute(0, 3, 1, 2)
    alpha = gradients.mean((2, 3), keepdim=True)
    heat = (alpha * maps).sum(1, keepdim=True).relu()
    return F.interpolate(heat, x.shape[2:], mode="bilinear", align_corners=False)[:, 0].cpu()


@contextlib.contextmanager
def _cut_at(model: nn.Module, layer: str) -> Iterator[list[Tensor]]:
    """Start a new graph at the layer's output, which becomes the one element of the list.

    Nothing before the cut needs a gradient, so those layers may be frozen. The layers after it get
    a copy, because they may write into their input.
    """
    activations: list[Tensor] = []

    def hook(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        if not isinstance(output, Tensor) or output.ndim != 4:
            raise InputError(
                f"layer {layer!r} returns no feature maps; expected shape (N, C, H, W), found "
                f"{tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__}."
            )
        activations[:] = [output.detach().requires_grad_()]
        return activations[0].clone()

    with find_layer(model, layer).register_forward_hook(hook):
        yield activations


@torch.no_grad()
def _last_with_maps(model: nn.Module, x: Tensor) -> str:
    with recorded(model, stages(model), lambda output: torch.tensor(output.shape)) as shapes:
        model(x)
    with_maps = [name for name, shape in shapes.items() if len(shape) == 4]
    if not with_maps:
        raise InputError(
            f"{type(model).__name__} has no stage with feature maps of shape (N, C, H, W); "
            "name a layer."
        )
    return with_maps[-1]


def _targets(target: int | Tensor | None, scores: Tensor) -> Tensor:
    if target is None:
        return scores.argmax(1)
    targets = torch.as_tensor(target, device=scores.device).expand(len(scores))
    if int(targets.min()) < 0 or int(targets.max()) >= scores.shape[1]:
        raise InputError(
            f"target={target}: the model has {scores.shape[1]} outputs; "
            f"expected classes 0 to {scores.shape[1] - 1}."
        )
    return targets
