"""Patches: real pixels of the right picture, and no pixel in both parts."""

import pytest
import torch
from torch.nn import functional as F

from transferlab import InputError, evaluate, fit
from transferlab.data import batches, photo_patches, split, textures
from transferlab.data.sets.cards import cards
from transferlab.data.sets.patches import LEAST_VIEW, SCALES, region
from transferlab.models import small_cnn


@pytest.mark.parametrize(("make", "name"), [(photo_patches, "photos"), (textures, "textures")])
@pytest.mark.parametrize(("size", "channels"), [(8, 1), (28, 1), (32, 3)])
def test_shape_range_and_classes(make, name, size, channels):
    data = make(900, size=size, channels=channels)
    assert data.x.shape == (900, channels, size, size)
    assert data.x.dtype == torch.float32 and data.x.is_contiguous()
    assert 0 <= data.x.min() < 0.1 and 0.9 < data.x.max() <= 1
    assert data.classes == [card.name for card in cards(name)] == sorted(data.classes)
    expected = 900 / len(data.classes)
    assert (data.y.bincount(minlength=len(data.classes)) - expected).abs().max() < 0.4 * expected


def test_photos_keep_their_colours_and_textures_have_none():
    colour, grey = photo_patches(200), textures(200, channels=3)
    assert (colour.x[:, 0] - colour.x[:, 2]).abs().mean() > 0.1
    assert torch.equal(grey.x[:, 0], grey.x[:, 2])


@pytest.mark.parametrize("card", [*cards("photos"), *cards("textures")], ids=lambda card: card.name)
def test_the_two_regions_make_the_picture_and_share_no_column(card):
    train, test = (region(card, part, colour=True) for part in ("train", "test"))
    assert train.shape[1] == test.shape[1] >= 300 or card.name == "cat"
    width = train.shape[2] + test.shape[2]
    assert train.shape[2] == round(0.75 * width)
    assert 370 <= width <= 700


def windows(pixels: torch.Tensor, size: int) -> set[bytes]:
    """Return every patch that can be cut from pixels of shape (H, W), as bytes."""
    cut = pixels.unfold(0, size, 1).unfold(1, size, 1).reshape(-1, size * size)
    return {bytes(patch) for patch in cut.numpy()}


def test_every_patch_is_cut_from_its_own_region_at_some_scale():
    """Each patch is found, pixel for pixel, upright or mirrored, in its region and only there."""
    size, card = 8, cards("textures")[2]
    scales = [scale for scale in SCALES if scale * size >= LEAST_VIEW]
    possible = {}
    for part in ("train", "test"):
        whole = region(card, part, colour=False).float()
        views = [F.avg_pool2d(whole, scale).round().byte()[0] for scale in scales]
        possible[part] = set().union(*(windows(view, size) for view in views))
    for part, other in (("train", "test"), ("test", "train")):
        data = textures(300, size=size, part=part, dtype=torch.uint8)
        x = data.x[data.y == 2, 0]
        upright = sum(bytes(patch.flatten().numpy()) in possible[part] for patch in x)
        mirrored = sum(bytes(patch.flip(1).flatten().numpy()) in possible[part] for patch in x)
        assert upright + mirrored == len(x)
        assert min(upright, mirrored) > 0.3 * len(x)
        assert not any(bytes(patch.flatten().numpy()) in possible[other] for patch in x)


def nearest_neighbour_accuracy(train, test) -> float:
    nearest = torch.cdist(test.x.flatten(1), train.x.flatten(1)).argmin(dim=1)
    return (train.y[nearest] == test.y).double().mean().item()


def test_patches_that_overlap_would_promise_too_much():
    """Splitting patches at random puts almost the same patch on both sides."""
    data = photo_patches(4000, size=8, channels=1)
    naive = nearest_neighbour_accuracy(*split(data, (0.9, 0.1)))
    honest = nearest_neighbour_accuracy(data, photo_patches(1000, size=8, channels=1, part="test"))
    assert naive > honest + 0.1
    assert honest > 2 / 9  # and chance is 1 in 9


def test_one_seed_is_one_set():
    torch.manual_seed(1)
    first = photo_patches(3000, seed=3, size=8)
    torch.manual_seed(2)
    second, other = photo_patches(3000, seed=3, size=8), photo_patches(3000, seed=4, size=8)
    assert torch.equal(first.x, second.x) and torch.equal(first.y, second.y)
    assert not torch.equal(first.y, other.y)


def test_bytes_are_a_quarter_of_the_memory_and_give_the_same_batches():
    floats, pixels = photo_patches(50, size=8), photo_patches(50, size=8, dtype=torch.uint8)
    assert pixels.x.nbytes * 4 == floats.x.nbytes
    (a, _), (b, _) = next(iter(batches(floats, 50))), next(iter(batches(pixels, 50)))
    assert torch.equal(a, b)


def test_a_small_network_learns_textures_and_knows_them_elsewhere_in_the_picture():
    torch.manual_seed(0)
    model = small_cnn(5, (1, 8, 8))
    fit(model, textures(2000, size=8), steps=40, batch_size=64, lr=3e-3, device="cpu")
    assert (
        evaluate(model, textures(1000, size=8, part="test"), device="cpu").accuracy > 0.4
    )  # chance: 0.2


@pytest.mark.parametrize("make", [photo_patches, textures])
def test_bad_arguments_are_refused(make):
    with pytest.raises(InputError, match="=0; expected at least 1"):
        make(0)
    with pytest.raises(InputError, match="size=4 is too small; expected 8 or more"):
        make(10, size=4)
    with pytest.raises(InputError, match="channels=4; expected 1"):
        make(10, channels=4)
    with pytest.raises(InputError, match="part='val' is unknown; expected 'train' or 'test'"):
        make(10, part="val")


@pytest.mark.parametrize(("make", "largest"), [(photo_patches, 113), (textures, 96)])
def test_a_patch_is_not_larger_than_the_smallest_region(make, largest):
    assert make(2, size=largest).x.shape[-1] == largest
    with pytest.raises(InputError, match=f"size={largest + 1} is too large .* {largest} or less"):
        make(2, size=largest + 1)


def test_pixels_are_floats_or_bytes():
    with pytest.raises(InputError, match=r"dtype=torch.int64; expected torch.float32 or torch.ui"):
        photo_patches(2, dtype=torch.int64)
