"""Generated fractals: one formula per class, the same formulas for every seed, drawn correctly."""

import math

import pytest
import torch

from transferlab import InputError, evaluate, fit
from transferlab.data import draw_fractals, fractals
from transferlab.data.sets.fractals import _draw_points, _formulas, _play
from transferlab.models import small_cnn


def test_shape_range_and_classes():
    data = fractals(3000)
    assert data.x.shape == (3000, 1, 8, 8)
    assert data.x.dtype == torch.float32
    assert data.x.min() == 0 and data.x.max() <= 1
    assert len(data.classes) == 50
    counts = data.y.bincount(minlength=50)
    assert (counts > 30).all() and (counts < 100).all()  # 60 expected


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (32, 3), (40, 1)])
def test_other_sizes_and_colours(size, channels):
    data = fractals(30, size=size, channels=channels)
    assert data.x.shape == (30, channels, size, size)
    assert data.x.min() >= 0 and data.x.max() <= 1
    if channels == 3:  # an ink and a paper of its own for each image, and nothing else
        assert all(len(image.flatten(1).T.unique(dim=0)) == 2 for image in data.x)
        assert (data.x.amax((2, 3)) - data.x.amin((2, 3)) >= 0.2).all()


def test_one_seed_is_one_set():
    torch.manual_seed(1)
    first = fractals(300, seed=3)
    torch.manual_seed(2)
    second, other = fractals(300, seed=3), fractals(300, seed=4)
    assert torch.equal(first.x, second.x) and torch.equal(first.y, second.y)
    assert not torch.equal(first.x, other.x)


def test_the_formulas_depend_on_nothing_but_their_number():
    few, many = _formulas(20), _formulas(300)
    assert all(torch.equal(a, b[:20]) for a, b in zip(few, many, strict=True))
    torch.manual_seed(99)
    _formulas.cache_clear()
    assert torch.equal(_formulas(20)[0], few[0])


def test_every_map_shrinks_and_two_to_four_are_used():
    maps, weights = _formulas(500)
    assert maps[..., 1:3].max() * 1.1 < 1  # the factors, and the most that an instance changes them
    used = (weights > 0).sum(1)
    assert used.min() == 2 and used.max() == 4


def test_instances_of_a_class_differ_and_are_still_alike():
    """A picture is nearer to the mean of its own class than to those of most other classes."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(20).repeat_interleave(50)
    x = draw_fractals(y, generator, size=16).flatten(1)
    assert len(x.unique(dim=0)) == len(x)
    means = x.view(20, 50, -1).mean(1)
    distance = torch.cdist(x, means)
    rank = (distance < distance.gather(1, y[:, None])).sum(1).float().mean()
    assert rank < 4  # of 19; chance: 9.5


def test_sierpinskis_triangle():
    """Three maps that halve the plane towards three corners leave the known holes empty."""
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    maps = torch.zeros(1, 4, 6)
    maps[0, :, 1:3] = 0.5  # no turn, half the size
    maps[0, :3, 4:] = corners / 2
    weights = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    points = _play(maps, weights, 20_000, torch.Generator().manual_seed(0))[:, 0]
    # In binary digits no point of the triangle has a 1 in the same place of x and of y.
    x, y = (points * 64).long()
    assert (x & y == 0).all()
    # Each of the three halves gets its third of the points.
    assert (x >= 32).float().mean() == pytest.approx(1 / 3, abs=0.03)
    assert (y >= 32).float().mean() == pytest.approx(1 / 3, abs=0.03)


def test_a_map_turns_shrinks_turns_and_moves():
    """Against the three matrices written out, for one step with a die of one map."""
    first, wide, narrow, second, move_x, move_y = 0.3, 0.8, 0.4, -1.1, 0.5, -0.2
    one = torch.tensor([first, wide, narrow, second, move_x, move_y])
    points = _play(one.expand(1, 4, 6), torch.ones(1, 4), 64, torch.Generator())[:, 0, 0]

    def turn(t: float) -> torch.Tensor:
        return torch.tensor([[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]])

    matrix = turn(second) @ torch.diag(torch.tensor([wide, narrow])) @ turn(first)
    # One map alone pulls everything to the point that it leaves where it is.
    fixed = torch.linalg.solve(torch.eye(2) - matrix, torch.tensor([move_x, move_y]))
    assert torch.allclose(points, fixed, atol=0.02)


def test_points_become_pixels():
    """Four points: the longer side fills the image, the shorter one keeps its proportion."""
    points = torch.tensor([[[0.0, 8.0, 8.0, 0.0]], [[0.0, 0.0, 4.0, 4.0]]])
    image = _draw_points(points, 8)[0, 0]
    assert image.nonzero().tolist() == [[2, 0], [2, 7], [5, 0], [5, 7]]


def test_a_small_network_learns_the_formulas():
    train, unseen = fractals(2560, seed=1, classes=10), fractals(500, seed=2, classes=10)
    model = small_cnn(10, widths=(8, 8, 16, 16, 32))
    fit(model, train, epochs=4, lr=1e-2, device="cpu")
    assert evaluate(model, unseen, device="cpu").accuracy > 0.8  # chance: 0.1


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="=0; expected at least 1"):
        fractals(0)
    with pytest.raises(InputError, match="size=4 is too small; expected 8 or more"):
        fractals(10, size=4)
    with pytest.raises(InputError, match="channels=4; expected 1"):
        fractals(10, channels=4)
    with pytest.raises(InputError, match="classes=1; expected at least 2"):
        fractals(10, classes=1)
