"""Groups that stay together, and near-copies that would make a test too easy."""

import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image
from sentences import refuse

from transferlab.data import MemoryDataset, image_folder, near_copies, split, subset


def rows(n: int, classes: int = 2) -> MemoryDataset:
    """Sample i holds the number i."""
    y = torch.arange(n) % classes
    return MemoryDataset(torch.arange(n)[:, None].float(), y, [str(i) for i in range(classes)])


@pytest.mark.parametrize("seed", range(5))
def test_a_group_is_never_cut(seed):
    data, groups = rows(120), torch.arange(120) // 6 * 7 % 100  # twenty groups of six
    parts = split(data, (0.5, 0.2, 0.3), seed, groups=groups)
    seen = [set(groups[part.x.flatten().long()].tolist()) for part in parts]
    assert not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]
    assert [len(part) for part in parts] == [60, 24, 36]


def test_groups_keep_the_mix_of_classes():
    data = MemoryDataset(torch.arange(80)[:, None].float(), torch.arange(80) // 40, ["a", "b"])
    train, test = split(data, (0.5, 0.5), groups=torch.arange(80) // 4)
    assert train.y.bincount().tolist() == test.y.bincount().tolist() == [20, 20]


def test_groups_are_drawn_by_the_seed_alone():
    data, groups = rows(40), torch.arange(40) // 4
    one, same, other = (split(data, (0.5, 0.5), s, groups=groups)[0].x for s in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_one_number_for_each_sample_is_expected():
    refuse(lambda: split(rows(6), (0.5, 0.5), groups=[0, 1]), r"shape \(2,\); .*each of 6 samples")
    refuse(lambda: split(rows(6, 1), (0.5, 0.5), groups=[0] * 6), "the part of 0.5 gets no sample")


def photo(seed: int) -> Image.Image:
    """A smooth random picture: neighbouring pixels are alike, as in photos."""
    colours = torch.rand(6, 6, 3, generator=torch.Generator().manual_seed(seed)) * 255
    return Image.fromarray(colours.byte().numpy()).resize((96, 64), Image.Resampling.BICUBIC)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Twelve photos of two classes; 0.png has copies of another size, brightness and quality."""
    for i in range(12):
        file = tmp_path / "album" / "ab"[i % 2] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        photo(i).save(file)
    photo(0).resize((48, 32)).save(tmp_path / "album" / "a" / "small.png")
    photo(0).point(lambda value: value * 0.8).save(tmp_path / "album" / "a" / "dark.png")
    photo(0).save(tmp_path / "album" / "a" / "saved again.jpg", quality=40)
    return tmp_path / "album"


def test_copies_of_one_photo_are_one_group(album):
    photos = image_folder(album)
    groups = near_copies(photos)
    copies = [i for i, file in enumerate(photos.files) if file.stem in ("0", "small", "dark")]
    copies += [i for i, file in enumerate(photos.files) if file.stem == "saved again"]
    assert len(groups[copies].unique()) == 1
    assert len(groups.unique()) == 12  # the other eleven are alone


def test_copies_are_found_in_memory_and_in_parts_too(album):
    photos = image_folder(album)
    x = torch.stack(
        [torch.nn.functional.interpolate(p[0][None].float(), (32, 32))[0] for p in photos]
    )
    memory = MemoryDataset(x.byte(), torch.tensor(photos.targets), photos.classes)
    assert len(near_copies(memory).unique()) == 12
    some = subset(photos, torch.tensor([0, 1, 2]))
    assert (
        near_copies(some).tolist()
        == near_copies(photos)[:3].unique(return_inverse=True)[1].tolist()
    )


def test_features_are_compared_by_their_angle():
    x = torch.tensor([[1.0, 0.0], [2.0, 0.01], [0.0, 1.0], [-1.0, 0.0]])
    data = MemoryDataset(x, torch.zeros(4, dtype=torch.int64), ["a"])
    assert near_copies(data).tolist() == [0, 0, 1, 2]
    assert near_copies(data, similarity=1).tolist() == [0, 1, 2, 3]


def test_plain_surfaces_are_no_copies():
    x = torch.full((4, 3, 32, 32), 128, dtype=torch.uint8)
    assert (
        len(near_copies(MemoryDataset(x, torch.zeros(4, dtype=torch.int64), ["a"])).unique()) == 4
    )


def test_a_split_through_copies_is_said_and_its_advice_helps(album):
    photos = image_folder(album)
    with pytest.warns(UserWarning, match=r"\d samples have a near-copy in another part.*groups="):
        for seed in range(3):
            split(photos, (0.5, 0.5), seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(3):
            split(photos, (0.5, 0.5), seed, groups=near_copies(photos))


def test_what_cannot_be_compared_is_refused():
    refuse(lambda: near_copies(torch.zeros(3)), "near-copies cannot be looked for in a Tensor")
    refuse(lambda: near_copies(rows(3), similarity=0), "similarity=0: expected a number above 0")
