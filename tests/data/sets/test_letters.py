"""Generated letters: shape, range, all classes, reproducible, and readable."""

import pytest
import torch

from transferlab import InputError, evaluate, load_backbone
from transferlab.data import batches, digits, draw_letters, fresh_letters, letters
from transferlab.data.sets.letters import CLASSES


def test_shape_range_and_classes():
    data = letters(3000)
    assert data.x.shape == (3000, 1, 8, 8)
    assert data.x.dtype == torch.float32
    assert data.x.min() == 0 and data.x.max() == 1
    assert data.classes == list(CLASSES) and len(set(CLASSES)) == 37
    counts = data.y.bincount(minlength=37)
    assert (counts > 40).all() and (counts < 130).all()  # 81 expected


def test_pixels_are_made_like_those_of_the_digits():
    """Sums over blocks of a black-and-white bitmap: sixteenths, and as much ink as the digits."""
    data = letters(2000)
    assert torch.equal(data.x * 16, (data.x * 16).round())
    assert abs(data.x.mean() - digits().x.mean()) < 0.1
    assert (data.x.amax(dim=(1, 2, 3)) > 0.5).all()  # no empty picture


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (32, 3), (64, 1)])
def test_other_sizes_and_colours(size, channels):
    data = letters(40, size=size, channels=channels)
    assert data.x.shape == (40, channels, size, size)
    assert data.x.min() >= 0 and data.x.max() <= 1
    assert torch.equal(data.x[:, 0], data.x[:, -1])


def test_one_seed_is_one_set():
    torch.manual_seed(1)
    first = letters(300, seed=3)
    torch.manual_seed(2)
    second, other = letters(300, seed=3), letters(300, seed=4)
    assert torch.equal(first.x, second.x) and torch.equal(first.y, second.y)
    assert not torch.equal(first.x, other.x)


def test_no_two_pictures_of_a_letter_are_alike():
    x = draw_letters(torch.zeros(200, dtype=torch.int64), torch.Generator().manual_seed(0), size=32)
    assert len(x.flatten(1).unique(dim=0)) == 200


def test_a_network_that_learned_other_letters_recognises_these():
    """The shipped checkpoint has never seen these; its card promises 81 %."""
    model = load_backbone("small_cnn", weights="letters")
    found = evaluate(model, letters(2000, seed=77), device="cpu")
    assert found.accuracy > 0.78
    recall = found.confusion.diagonal() / found.confusion.sum(1)
    assert recall.min() > 0.3  # chance: 0.03


def test_fresh_letters_are_new_in_every_epoch():
    loader = batches(fresh_letters(100), 50, generator=torch.Generator().manual_seed(0))
    one, two = (torch.cat([x for x, _ in loader]) for _ in range(2))
    assert one.shape == (100, 1, 8, 8)
    assert not torch.equal(one, two)


@pytest.mark.parametrize("make", [letters, fresh_letters])
def test_bad_arguments_are_refused(make):
    with pytest.raises(InputError, match="=0; expected at least 1"):
        make(0)
    with pytest.raises(InputError, match="size=4 is too small; expected 8 or more"):
        make(10, size=4)
    with pytest.raises(InputError, match="channels=4; expected 1"):
        make(10, channels=4)
