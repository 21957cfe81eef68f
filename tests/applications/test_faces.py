"""Faces are scikit-image's, in the right order and the right way up."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from transferlab import InputError
from transferlab.applications.faces import (
    TRAITS,
    _traits,
    draw_identities,
    faces,
    fresh_identities,
    identities,
    read_faces,
)
from transferlab.data import batches
from transferlab.data.sets.cards import cards

[FACES] = cards("faces")


def test_the_numbers_are_scikit_images():
    data = faces()
    assert np.array_equal(data.x[:, 0].numpy(), np.load(FACES.file()).astype(np.float32))
    assert data.x.shape == (200, 1, 25, 25)
    assert (data.x.min(), data.x.max()) == (0, 1)
    assert data.classes == ["face", "no face"]
    assert data.y.bincount().tolist() == [100, 100]


def test_the_first_hundred_are_the_faces():
    """Faces resemble each other, with eyes darker than cheeks; backgrounds do not."""
    data = faces()
    face, background = data.x[data.y == 0, 0], data.x[data.y == 1, 0]
    mean = face.mean(0)

    def likeness(images: torch.Tensor) -> torch.Tensor:
        return torch.corrcoef(torch.cat([mean[None], images]).flatten(1))[0, 1:].nan_to_num()

    assert likeness(face).median() > 0.5 > likeness(background).median() + 0.2
    eyes, cheeks = mean[8, [6, 7, 15, 16]], mean[11, [6, 7, 15, 16]]
    assert eyes.max() < cheeks.min() - 0.1


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (25, 3), (32, 3)])
def test_other_sizes_and_colours(size, channels):
    data = faces(size, channels)
    assert data.x.shape == (200, channels, size, size)
    assert data.x.dtype == torch.float32 and data.x.is_contiguous()
    assert data.x.min() >= 0 and data.x.max() <= 1
    assert all(torch.equal(data.x[:, 0], data.x[:, c]) for c in range(channels))


def test_a_smaller_face_is_a_mean_of_all_pixels():
    """Without antialiasing most pixels of the original would not count."""

    def mean_error(x: torch.Tensor) -> float:
        return (x[:100, 0] - boxes).abs().mean().item()

    original = faces().x
    boxes = torch.stack(
        [
            torch.from_numpy(np.array(Image.fromarray(x[0].numpy()).resize((8, 8), Image.BOX)))
            for x in original[:100]
        ]
    )
    naive = F.interpolate(original, size=(8, 8), mode="bicubic").clamp(0, 1)
    assert mean_error(faces(8).x) < 0.03 < mean_error(naive)


def test_bad_arguments_are_refused(tmp_path):
    with pytest.raises(InputError, match="size=7 is too small; expected 8 or more"):
        faces(7)
    with pytest.raises(InputError, match=r"channels=2; expected 1 \(grey\) or 3"):
        faces(channels=2)
    file = tmp_path / "lfw_subset.npy"
    np.save(file, np.zeros((200, 24, 24)))
    with pytest.raises(InputError, match=r"shape \(200, 24, 24\); expected \(200, 25, 25\)"):
        read_faces(file)
    file.write_bytes(FACES.file().read_bytes()[:5000])
    with pytest.raises(InputError, match=r"lfw_subset.npy is missing or damaged; expected"):
        read_faces(file)


# ---- generated identities ------------------------------------------------------------------------


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
def test_bad_identities_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
