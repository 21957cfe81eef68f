"""Generated shapes: the right geometry, all classes, reproducible, and learnable."""

import pytest
import torch

from transferlab import InputError, evaluate, fit
from transferlab.data import batches, fresh_shapes, shapes
from transferlab.data.sets.shapes import CLASSES, KINDS
from transferlab.models import small_cnn


def test_shape_range_and_classes():
    data = shapes(2000, size=16)
    assert data.x.shape == (2000, 3, 16, 16)
    assert data.x.min() == 0 and data.x.max() == 1
    assert data.classes == list(CLASSES) and len(CLASSES) == 7
    counts = data.y.bincount(minlength=7)
    assert (counts > 220).all() and (counts < 350).all()  # 286 expected


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (28, 1), (64, 3)])
def test_other_sizes_and_colours(size, channels):
    data = shapes(30, size=size, channels=channels)
    assert data.x.shape == (30, channels, size, size)
    assert data.x.isfinite().all()


def test_one_seed_is_one_set():
    torch.manual_seed(1)
    first = shapes(300, seed=3, size=16)
    torch.manual_seed(2)
    second, other = shapes(300, seed=3, size=16), shapes(300, seed=4, size=16)
    assert torch.equal(first.x, second.x) and torch.equal(first.y, second.y)
    assert not torch.equal(first.x, other.x)


# ---- the geometry --------------------------------------------------------------------------------

AREAS = {  # of the shapes with radius 1, by school geometry
    "disc": torch.pi * 0.9**2,
    "ring": torch.pi * (0.94**2 - 0.50**2),
    "triangle": 3 * 3**0.5 / 4,
    "square": 2.0,
    "star": 10 * 0.5 * 0.45 * torch.sin(torch.tensor(torch.pi / 5)).item(),
    "cross": 2 * (2 * 0.56) - 0.56**2,
}


@pytest.mark.parametrize("kind", AREAS)
def test_area_of_a_shape(kind):
    axis = torch.linspace(-1.2, 1.2, 1201)
    distance = KINDS[kind](axis[None, :].expand(1201, -1), axis[:, None].expand(-1, 1201))
    area = (distance < 0).sum().item() * 0.002**2
    assert area == pytest.approx(AREAS[kind], rel=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_a_distance_changes_by_at_most_one_per_step_and_shapes_have_radius_one(kind):
    axis = torch.linspace(-1.2, 1.2, 481)
    x, y = axis[None, :].expand(481, -1), axis[:, None].expand(-1, 481)
    distance = KINDS[kind](x, y)
    assert distance.diff(dim=0).abs().max() <= 0.005 * 1.01
    assert distance.diff(dim=1).abs().max() <= 0.005 * 1.01
    assert torch.hypot(x, y)[distance < 0].max() < 1.05


# ---- learning ------------------------------------------------------------------------------------


def test_fresh_shapes_are_new_in_every_epoch():
    loader = batches(fresh_shapes(60, size=8), 30, generator=torch.Generator().manual_seed(0))
    one, two = (torch.cat([x for x, _ in loader]) for _ in range(2))
    assert one.shape == (60, 3, 8, 8)
    assert not torch.equal(one, two)


def test_a_small_network_learns_the_shapes():
    train, unseen = (shapes(n, seed, size=16, channels=1) for n, seed in ((1600, 1), (500, 2)))
    model = small_cnn(7, shape=(1, 16, 16), widths=(8, 8, 16, 16, 32))
    fit(model, train, epochs=5, batch_size=32, lr=1e-2, device="cpu")
    assert evaluate(model, unseen, device="cpu").accuracy > 0.5  # chance: 0.14


@pytest.mark.parametrize("make", [shapes, fresh_shapes])
def test_bad_arguments_are_refused(make):
    with pytest.raises(InputError, match=r"=0.*; expected at least 1"):
        make(0)
    with pytest.raises(InputError, match="size=4 is too small; expected 8 or more"):
        make(10, size=4)
    with pytest.raises(InputError, match="channels=4; expected 1"):
        make(10, channels=4)
