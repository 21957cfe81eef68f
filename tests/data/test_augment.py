"""Augmentation: exact where it can be, random for each image, and the same on every device."""

import pytest
import torch
import torchvision.transforms.functional as tv
from torchvision.transforms import InterpolationMode

from transferlab import InputError, fit
from transferlab.data import MemoryDataset
from transferlab.data.augment import (
    Geometric,
    brightness,
    compose,
    contrast,
    crop,
    flip,
    noise,
    rotate,
    scale,
    shift,
    warp,
)
from transferlab.models import mlp

NOTHING = {
    "rotate": rotate(0),
    "scale": scale(1, 1),
    "shift": shift(0),
    "flip": flip(0),
    "crop": crop(0),
    "brightness": brightness(0),
    "contrast": contrast(0),
    "noise": noise(0),
}
SOMETHING = {
    "rotate": rotate(30),
    "scale": scale(0.8, 1.2),
    "shift": shift(0.2),
    "flip": flip(),
    "crop": crop(2),
    "brightness": brightness(0.3),
    "contrast": contrast(0.5),
    "noise": noise(0.1),
    "all of them": compose(
        flip(), crop(1), rotate(10), scale(0.9, 1.1), shift(0.1), contrast(0.3), noise(0.02)
    ),
}


@pytest.fixture(autouse=True)
def start():
    """Each test draws from the same place, and leaves the generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture
def x() -> torch.Tensor:
    """Sixteen random colour pictures, higher than wide, of a size that is no power of two."""
    return torch.rand(16, 3, 13, 11)


def smooth(n: int, size: int = 32) -> torch.Tensor:
    """Pictures without fine detail, away from black and white and from the border."""
    coarse = 0.3 + 0.4 * torch.rand(n, 1, 5, 5)
    pictures = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic")
    ramp = torch.linspace(-1, 1, size)
    disc = torch.hypot(ramp[:, None], ramp[None]) < 0.7
    return pictures.clamp(0.1, 0.9) * disc


# ---- every step ----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", NOTHING.values(), ids=NOTHING)
def test_no_strength_changes_no_digit(step, x):
    assert torch.equal(step(x), x)


def test_all_of_no_strength_changes_no_digit(x):
    assert torch.equal(compose(*NOTHING.values())(x), x)
    assert torch.equal(compose()(x), x)


@pytest.mark.parametrize("step", SOMETHING.values(), ids=SOMETHING)
def test_each_image_has_random_numbers_of_its_own(step):
    """The naive way, one draw for the whole batch, would give sixteen equal pictures."""
    alike = torch.rand(1, 3, 13, 11).expand(16, -1, -1, -1)
    views = step(alike)
    assert views.shape == alike.shape and views.dtype == alike.dtype
    different = len(views.flatten(1).unique(dim=0))
    assert different == 2 if step is SOMETHING["flip"] else different >= 8


@pytest.mark.parametrize("step", SOMETHING.values(), ids=SOMETHING)
def test_two_calls_are_two_views_and_a_seed_repeats_them(step, x):
    before = x.clone()
    torch.manual_seed(5)
    first, second = step(x), step(x)
    torch.manual_seed(5)
    assert torch.equal(step(x), first)
    assert torch.equal(step(x), second)
    assert not torch.equal(first, second)
    assert torch.equal(x, before)  # the batch itself is left alone


@pytest.mark.parametrize("step", SOMETHING.values(), ids=SOMETHING)
def test_values_stay_in_their_range(step, x):
    view = step(x)
    assert view.min() >= 0 and view.max() <= 1 + 1e-6


@pytest.mark.parametrize("step", SOMETHING.values(), ids=SOMETHING)
def test_one_seed_is_one_result_on_every_device(step, x, each_device):
    torch.manual_seed(5)
    expected = step(x)
    torch.manual_seed(5)
    found = step(x.to(each_device))
    assert found.device.type == each_device
    assert torch.allclose(found.cpu(), expected, atol=1e-5)


def test_fit_repeats_an_augmented_run_and_the_labels_stay_with_their_images():
    """Training on constant pictures whose brightness is their label still works when augmented."""
    y = torch.arange(2).repeat(40)
    data = MemoryDataset(y.float().view(-1, 1, 1, 1).expand(-1, 1, 8, 8), y, ["dark", "bright"])
    losses = []
    for _ in range(2):
        torch.manual_seed(3)
        model = mlp(2, shape=(1, 8, 8), widths=(8,))
        step = compose(shift(0.1), crop(1), flip(), brightness(0.2))
        history = fit(model, data, augment=step, epochs=15, lr=1e-2, device="cpu")
        losses.append(history.loss)
    assert losses[0] == losses[1]
    assert losses[0][-1] < 0.2


# ---- geometry ------------------------------------------------------------------------------------


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_quarter_turn_is_rot90(quarters):
    square = torch.rand(4, 3, 9, 9)
    turned = rotate(90 * quarters, 90 * quarters)(square)
    assert torch.allclose(turned, square.rot90(quarters, dims=(2, 3)), atol=1e-5)


@pytest.mark.parametrize("size", [(20, 20), (14, 22)])
def test_rotation_equals_torchvisions(size):
    x = torch.rand(3, 1, *size)
    expected = tv.rotate(x, 25.0, InterpolationMode.BILINEAR)
    assert torch.allclose(rotate(25, 25)(x), expected, atol=1e-4)


def test_scale_and_rotation_equal_torchvisions_affine():
    x = torch.rand(3, 1, 17, 20)
    expected = tv.affine(x, -10.0, [0, 0], 1.3, [0.0], InterpolationMode.BILINEAR)
    assert torch.allclose(compose(scale(1.3, 1.3), rotate(10, 10))(x), expected, atol=1e-4)


def test_half_the_size():
    x = torch.ones(1, 1, 8, 8)
    small = scale(0.5, 0.5)(x)[0, 0]
    assert torch.equal(small.nonzero().amin(0), torch.tensor([2, 2]))
    assert torch.equal(small.nonzero().amax(0), torch.tensor([5, 5]))


def test_warp_looks_where_the_matrix_says():
    """A shift by whole pixels: two columns to the right of the new pixel, one row above it."""
    x = torch.rand(1, 1, 6, 9)
    matrix = torch.eye(3)[None].clone()
    matrix[0, 0, 2], matrix[0, 1, 2] = 2, -1
    moved = warp(x, matrix)
    assert torch.allclose(moved[..., 1:, :-2], x[..., :-1, 2:], atol=1e-5)
    assert moved[..., 0, :].abs().max() < 1e-5 and moved[..., -2:].abs().max() < 1e-5


def test_neighbours_are_resampled_once():
    """Turned there and back: once resampled it is the old picture, twice it is a blurred one."""
    x = torch.rand(2, 1, 15, 15)
    there, back = rotate(30, 30), rotate(-30, -30)
    inner = (..., slice(5, 10), slice(5, 10))
    assert torch.allclose(compose(there, back)(x)[inner], x[inner], atol=1e-4)
    assert not torch.allclose(back(there(x))[inner], x[inner], atol=1e-2)


def test_steps_are_taken_in_their_order():
    """Smooth pictures, so that one resampling and two give nearly the same."""
    x = smooth(4)
    steps = (scale(0.8, 0.8), rotate(40, 40), Geometric(lambda n, h, w: _moved(n, 4, 2)))
    in_order = x
    for step in steps:
        in_order = step(in_order)
    assert (compose(*steps)(x) - in_order).abs().mean() < 0.01
    assert (compose(*reversed(steps))(x) - in_order).abs().mean() > 0.02


def _moved(n: int, right: float, down: float) -> torch.Tensor:
    matrices = torch.eye(3, dtype=torch.float64).repeat(n, 1, 1)
    matrices[:, 0, 2], matrices[:, 1, 2] = -right, -down
    return matrices


def test_turning_keeps_the_mean():
    x = smooth(8)
    assert torch.allclose(rotate(180)(x).mean((1, 2, 3)), x.mean((1, 2, 3)), rtol=0.02)


def test_drawn_numbers_cover_their_range():
    angles = rotate(20).draw(4000, 8, 8)
    degrees = torch.rad2deg(torch.atan2(angles[:, 1, 0], angles[:, 0, 0]))
    assert degrees.min() >= -20 and degrees.max() <= 20
    assert degrees.min() < -19 and degrees.max() > 19
    moves = shift(0.25).draw(4000, 8, 40)
    assert 9.5 < moves[:, 0, 2].abs().max() <= 10  # a quarter of the width
    assert 1.9 < moves[:, 1, 2].abs().max() <= 2  # a quarter of the height


# ---- whole pixels --------------------------------------------------------------------------------


def test_flip_mirrors_the_share_that_was_asked_for():
    x = torch.rand(2000, 1, 2, 3)
    assert torch.equal(flip(1)(x), x.flip(3))
    view = flip(0.3)(x)
    mirrored = (view == x.flip(3)).all(dim=(1, 2, 3))
    untouched = (view == x).all(dim=(1, 2, 3))
    assert (mirrored ^ untouched).all()
    assert mirrored.float().mean() == pytest.approx(0.3, abs=0.04)


def test_crop_moves_whole_pixels(x):
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2))
    found = set()
    for old, new in zip(padded, crop(2)(x), strict=True):
        places = [
            (row, column)
            for row in range(5)
            for column in range(5)
            if torch.equal(old[:, row : row + 13, column : column + 11], new)
        ]
        assert len(places) == 1
        found.update(places)
    assert len(found) > 5


# ---- values --------------------------------------------------------------------------------------


def test_brightness_moves_the_mean_and_nothing_else():
    x = 0.5 + 0.1 * torch.rand(3000, 1, 4, 4)
    change = brightness(0.3)(x) - x
    assert torch.allclose(change, change.mean((1, 2, 3), keepdim=True).expand_as(x), atol=1e-6)
    assert change.abs().max() <= 0.3
    assert change.mean().abs() < 0.01  # on average the batch keeps its mean


def test_contrast_keeps_each_mean_and_scales_the_spread():
    x = 0.4 + 0.2 * torch.rand(2000, 3, 4, 4)
    view = contrast(0.5)(x)
    assert torch.allclose(view.mean((1, 2, 3)), x.mean((1, 2, 3)), atol=1e-6)
    factor = view.std((1, 2, 3)) / x.std((1, 2, 3))
    assert 0.5 <= factor.min() < 0.52 and 1.48 < factor.max() <= 1.5 + 1e-5


def test_noise_has_the_spread_that_was_asked_for():
    x = torch.full((100, 3, 16, 16), 0.5)
    change = noise(0.05)(x) - x
    assert change.mean().abs() < 1e-3
    assert change.std().item() == pytest.approx(0.05, rel=0.02)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: rotate(20, 10), "rotate: found 20..10 degrees; expected the smaller number first"),
        (lambda: rotate(-5), "rotate: found 5..-5 degrees"),
        (lambda: scale(0, 1), "scale: found 0..1; expected positive factors"),
        (lambda: shift(3), "shift: found 3; expected a share of the image"),
        (lambda: flip(1.5), "flip: found probability=1.5; expected 0 to 1"),
        (lambda: crop(-1), "crop: found padding=-1; expected 0 or more pixels"),
        (lambda: brightness(-0.1), "brightness: found -0.1; expected 0 or more"),
        (lambda: contrast(2), "contrast: found 2; expected 0 to 1"),
        (lambda: noise(-1), "noise: found std=-1; expected 0 or more"),
    ],
)
def test_bad_arguments_are_refused(make, sentence):
    with pytest.raises(InputError) as caught:
        make()
    assert sentence in str(caught.value)
