"""Augmentation: random changes of a batch of images, drawn separately for each image.

>>> views = compose(crop(1), rotate(15), scale(0.9, 1.1), brightness(0.2))
>>> fit(model, train, augment=views)

A step is a function from a batch x, shape (N, C, H, W) with values in 0..1, to a batch of the same
shape and range. Two calls give two views. Random numbers come from torch's default generator on the
CPU, which `fit` seeds, so one seed means one result on every device.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from transferlab.errors import InputError

Step = Callable[[Tensor], Tensor]


def compose(*steps: Step) -> Step:
    """Return one step that applies all of them in this order.

    Neighbouring geometric steps (`rotate`, `scale`, `shift`) become a single one: the image is
    resampled once, because every resampling blurs it.
    """
    merged: list[Step] = []
    for step in steps:
        if isinstance(step, Geometric) and merged and isinstance(merged[-1], Geometric):
            step = merged.pop().then(step)
        merged.append(step)

    def augment(x: Tensor) -> Tensor:
        for step in merged:
            x = step(x)
        return x

    return augment


# ---- geometric steps: one matrix for each image, one resampling for all of them ------------------


@dataclass(frozen=True)
class Geometric:
    """A step that moves pixels by a random linear map for each image.

    Attributes:
        draw: `draw(n, height, width)` returns n matrices, shape (n, 3, 3), as `warp` takes them.
    """

    draw: Callable[[int, int, int], Tensor]

    def __call__(self, x: Tensor) -> Tensor:
        return warp(x, self.draw(len(x), *x.shape[2:]))

    def then(self, other: "Geometric") -> "Geometric":
        """Return the step that does this one first, and then the other."""

        def draw(n: int, height: int, width: int) -> Tensor:
            first, second = (step.draw(n, height, width) for step in (self, other))
            return first @ second  # from the output back to the input: the last step comes first

        return Geometric(draw)


def warp(x: Tensor, matrices: Tensor) -> Tensor:
    """Resample images: the output at (column, row) is the input at M·(column, row, 1).

    Positions are counted in pixels from the middle of the image, rows downwards. Outside of
    the image it is 0. Values between pixels are interpolated linearly.

    Args:
        x: shape (N, C, H, W).
        matrices: M for each image, shape (N, 3, 3), on the CPU.
    """
    if torch.equal(matrices, torch.eye(3, dtype=matrices.dtype).expand_as(matrices)):
        return x  # resampling, even in place, would change the last digits
    # grid_sample counts positions from −1 to 1, whatever the height and the width.
    to_pixels = torch.tensor([x.shape[3] / 2, x.shape[2] / 2, 1.0], dtype=matrices.dtype)
    theta = (matrices * to_pixels / to_pixels[:, None])[:, :2].to(x.dtype).to(x.device)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def rotate(low: float, high: float | None = None) -> Geometric:
    """Turn each image by low..high degrees, counter-clockwise; one number means −low..low."""
    low, high = (-low, low) if high is None else (low, high)
    _check(low <= high, f"rotate: found {low}..{high} degrees", "the smaller number first")

    def draw(n: int, height: int, width: int) -> Tensor:
        angle = torch.deg2rad(_uniform(n, low, high))
        cos, sin = angle.cos(), angle.sin()
        return _matrices(cos, -sin, sin, cos)

    return Geometric(draw)


def scale(low: float, high: float) -> Geometric:
    """Enlarge each image by a factor of low..high; below 1 it becomes smaller."""
    _check(0 < low <= high, f"scale: found {low}..{high}", "positive factors, the smaller first")

    def draw(n: int, height: int, width: int) -> Tensor:
        inverse = 1 / _uniform(n, low, high)
        return _matrices(inverse, torch.zeros(n), torch.zeros(n), inverse)

    return Geometric(draw)


def shift(amount: float) -> Geometric:
    """Move each image by up to `amount` of its width and of its height."""
    _check(0 <= amount <= 1, f"shift: found {amount}", "a share of the image, 0 to 1")

    def draw(n: int, height: int, width: int) -> Tensor:
        matrices = torch.eye(3, dtype=torch.float64).repeat(n, 1, 1)
        matrices[:, 0, 2] = _uniform(n, -amount, amount) * width
        matrices[:, 1, 2] = _uniform(n, -amount, amount) * height
        return matrices

    return Geometric(draw)


def _matrices(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Return the maps (x, y) → (ax + by, cx + dy) as 3×3 matrices, shape (N, 3, 3)."""
    matrices = torch.eye(3, dtype=torch.float64).repeat(len(a), 1, 1)
    matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 0], matrices[:, 1, 1] = a, b, c, d
    return matrices


# ---- steps that move whole pixels, without interpolation -----------------------------------------


def flip(probability: float = 0.5) -> Step:
    """Mirror each image, left to right, with this probability."""
    _check(0 <= probability <= 1, f"flip: found probability={probability}", "0 to 1")

    def step(x: Tensor) -> Tensor:
        chosen = (torch.rand(len(x)) < probability).to(x.device).view(-1, 1, 1, 1)
        return torch.where(chosen, x.flip(-1), x)

    return step


def crop(padding: int) -> Step:
    """Pad each image with `padding` black pixels and crop the old size at a random position.

    Source: He et al., Deep Residual Learning for Image Recognition (2016), for CIFAR.
    """
    _check(padding >= 0, f"crop: found padding={padding}", "0 or more pixels")

    def step(x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        padded = F.pad(x, (padding,) * 4)
        top, left = torch.randint(2 * padding + 1, (2, n, 1)).to(x.device)
        rows = (top + torch.arange(height, device=x.device))[:, :, None]  # (N, H, 1)
        columns = (left + torch.arange(width, device=x.device))[:, None]  # (N, 1, W)
        image = torch.arange(n, device=x.device)[:, None, None]
        cut = padded.permute(0, 2, 3, 1)[image, rows, columns]  # (N, H, W, C)
        return cut.permute(0, 3, 1, 2).contiguous()

    return step


# ---- steps that change values --------------------------------------------------------------------


def brightness(amount: float) -> Step:
    """Add a random number of −amount..amount to each image."""
    _check(amount >= 0, f"brightness: found {amount}", "0 or more")

    def step(x: Tensor) -> Tensor:
        return (x + _per_image(_uniform(len(x), -amount, amount), x)).clamp(0, 1)

    return step


def contrast(amount: float) -> Step:
    """Spread each image's values around their mean, by a factor of 1−amount..1+amount."""
    _check(0 <= amount <= 1, f"contrast: found {amount}", "0 to 1")

    def step(x: Tensor) -> Tensor:
        # mean + factor·(x − mean), arranged so that a factor of 1 changes no digit.
        more = _per_image(_uniform(len(x), -amount, amount), x)
        return (x + more * (x - x.mean((1, 2, 3), keepdim=True))).clamp(0, 1)

    return step


def noise(std: float) -> Step:
    """Add Gaussian noise with this standard deviation to each value."""
    _check(std >= 0, f"noise: found std={std}", "0 or more")

    def step(x: Tensor) -> Tensor:
        return (x + std * torch.randn(x.shape).to(x)).clamp(0, 1)

    return step


def _uniform(n: int, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(n, dtype=torch.float64)


def _per_image(values: Tensor, x: Tensor) -> Tensor:
    """Bring one value per image to the images' device and shape: (N,) → (N, 1, 1, 1)."""
    return values.to(x.dtype).to(x.device).view(-1, 1, 1, 1)


def _check(fine: bool, found: str, expected: str) -> None:
    if not fine:
        raise InputError(f"{found}; expected {expected}.")
