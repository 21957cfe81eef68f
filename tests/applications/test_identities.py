"""Generated identities: a number is one person, and what is drawn follows that person's traits."""

import pytest
import torch
from transferlab.applications.identities import TRAITS, _traits

from transferlab import InputError
from transferlab.data import batches, draw_identities, fresh_identities, identities


def test_shape_range_and_labels():
    data = identities([4, 900, 17], each=5, size=16)
    assert data.x.shape == (15, 1, 16, 16)
    assert data.x.dtype == torch.float32 and data.x.isfinite().all()
    assert data.x.min() >= 0 and data.x.max() <= 1
    assert data.y.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert data.classes == ["person 4", "person 900", "person 17"]


def test_one_seed_is_one_set():
    torch.manual_seed(1)
    first = identities(range(40), each=30, seed=3, size=8)
    torch.manual_seed(2)
    again, other = (identities(range(40), each=30, seed=seed, size=8) for seed in (3, 4))
    assert torch.equal(first.x, again.x)
    assert not torch.equal(first.x, other.x)


def test_a_number_is_one_person_in_every_call():
    """In the mean of many images the light, the place and the expression cancel."""
    one = identities([7], each=400, seed=1, size=16).x.mean(0).flatten()
    data = identities([3, 7], each=400, seed=2, size=16)
    another, same = (data.x[data.y == label].mean(0).flatten() for label in (0, 1))
    assert (one - same).abs().mean() < 0.02 < (one - another).abs().mean()


def test_traits_stay_in_their_range_and_differ_between_people():
    for name, (low, high) in TRAITS.items():
        values = _traits()[name]
        assert values.min() >= low and values.max() <= high
        assert values.unique().numel() > 9_000


@pytest.mark.parametrize(
    ("trait", "rows", "columns"),
    [("skin", slice(17, 20), slice(8, 24)), ("hair", slice(4, 6), slice(14, 18))],
)
def test_the_drawing_has_the_grey_of_its_trait(trait, rows, columns):
    people = torch.arange(60).repeat_interleave(40)
    x = draw_identities(people, torch.Generator().manual_seed(0), size=32)
    found = x[:, 0, rows, columns].mean((1, 2)).view(60, 40).mean(1)
    known = _traits()[trait][:60]
    assert torch.corrcoef(torch.stack([found, known]))[0, 1] > 0.6


def test_eyes_are_dark_and_where_the_traits_say():
    """At the height of the eyes, the darkest column moves with their distance."""
    traits = _traits()
    bright = (traits["skin"] > 0.7) & (traits["brow gap"] > 0.15)
    distance = traits["eye distance"].masked_fill(~bright, float("nan"))
    near, far = distance.nan_to_num(9).argmin(), distance.nan_to_num(-9).argmax()
    found = []
    for person in (near, far):
        mean = identities([int(person)], each=400, size=64).x.mean((0, 1))
        row = round((1 + float(traits["eye height"][person])) * 32)
        found.append(int(mean[row, 32:52].argmin()) + 0.5)
    assert found[1] - found[0] == pytest.approx(32 * float(distance[far] - distance[near]), abs=2.5)


def test_fresh_images_come_from_the_same_people():
    fresh = fresh_identities([7, 3], samples=100, size=16)
    assert fresh.classes == ["person 7", "person 3"] and len(fresh) == 100
    drawn = [
        next(iter(batches(fresh, 50, generator=torch.Generator().manual_seed(5)))) for _ in range(2)
    ]
    assert torch.equal(drawn[0][0], drawn[1][0])
    x, y = drawn[0]
    assert x.shape == (50, 1, 16, 16) and set(y.tolist()) == {0, 1}
    generator = torch.Generator().manual_seed(5)
    y = torch.randint(2, (50,), generator=generator)
    expected = draw_identities(torch.tensor([7, 3])[y], generator, 16)
    assert torch.equal(x, expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: identities([], 1), r"people=\[\]; expected at least one number, each from 0 to"),
        (lambda: identities([10_000], 1), r"people=\[10000\]; expected .* from 0 to 9999"),
        (lambda: fresh_identities([-1]), r"people=\[-1\]; expected"),
        (lambda: identities([1], 0), "each=0; expected at least 1 image of each person"),
        (lambda: identities([1], 1, size=7), "size=7 is too small; expected 8 or more"),
    ],
)
def test_what_cannot_be_had(call, message):
    with pytest.raises(InputError, match=message):
        call()
