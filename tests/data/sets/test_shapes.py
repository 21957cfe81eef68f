"""Generated shapes: what a box or mask says is what the image shows, also behind other objects."""

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from transferlab import InputError, evaluate, fit
from transferlab.data import batches, fresh_shapes, scenes, shapes
from transferlab.data.sets.shapes import CLASSES, KINDS, _boxes, _visible
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
    first, scene = shapes(300, seed=3, size=16), scenes(30, seed=3)
    torch.manual_seed(2)
    second, again, other = shapes(300, seed=3, size=16), scenes(30, seed=3), scenes(30, seed=4)
    assert torch.equal(first.x, second.x) and torch.equal(first.y, second.y)
    assert torch.equal(scene.x, again.x) and torch.equal(scene.boxes, again.boxes)
    assert not torch.equal(scene.x, other.x)


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


# ---- boxes, masks and occlusion ------------------------------------------------------------------


def test_boxes_fit_the_visible_pixels():
    """Where no class is there twice, the mask alone says which pixels belong to which object."""
    data = scenes(300, seed=1, objects=4)
    checked = 0
    for boxes, labels, mask in zip(data.boxes, data.labels, data.masks, strict=True):
        present = labels >= 0
        assert set(mask.unique().tolist()) - {0} == set((labels[present] + 1).tolist())
        if len(labels[present].unique()) < present.sum():
            continue
        seen = mask == (labels[present] + 1)[:, None, None]
        inclusive = torchvision.ops.masks_to_boxes(seen)  # its x2, y2 are the last pixel
        assert torch.equal(boxes[present], inclusive + torch.tensor([0.0, 0.0, 1.0, 1.0]))
        checked += 1
    assert checked > 100


def test_absent_objects_come_last_and_have_no_box():
    data = scenes(500, seed=2)
    present = data.labels >= 0
    assert present[:, 0].all()
    assert not (present[:, 1:] & ~present[:, :-1]).any()
    assert (data.boxes[~present] == 0).all() and (data.labels[~present] == -1).all()
    assert (torchvision.ops.box_area(data.boxes[present]) > 0).all()
    counts = present.sum(1).bincount(minlength=4)
    assert counts[0] == 0 and (counts[1:] > 100).all()


def test_the_later_object_hides_the_earlier_one():
    inside = torch.zeros(1, 2, 4, 4, dtype=torch.bool)
    inside[0, 0, :2, :3] = True
    inside[0, 1, 1:3, 1:] = True
    visible = _visible(inside)
    assert visible[0, 0].int().tolist() == [[1, 1, 1, 0], [1, 0, 0, 0], [0] * 4, [0] * 4]
    assert torch.equal(visible[0, 1], inside[0, 1])
    # The naive box, around the whole object, would reach one pixel too far down or right.
    assert _boxes(inside).tolist() == [[[0, 0, 3, 2], [1, 1, 4, 3]]]
    assert _boxes(visible).tolist() == [[[0, 0, 3, 2], [1, 1, 4, 3]]]
    inside[0, 1, 0:3, 1:] = True
    assert _boxes(_visible(inside)).tolist() == [[[0, 0, 1, 2], [1, 0, 4, 3]]]


def test_no_box_is_around_a_sliver():
    """Each class mask holds at least a quarter of the smallest whole object."""
    data = scenes(500, seed=3, objects=5)
    present = data.labels >= 0
    smallest_radius = 0.25 * 32 / 5**0.5
    ring = torch.pi * (0.94**2 - 0.50**2) * smallest_radius**2  # 25 pixels; others are similar
    sides = (data.boxes[..., 2:] - data.boxes[..., :2])[present]
    assert sides.min() >= 2
    pixels = torch.stack([(data.masks == k + 1).sum((1, 2)) for k in range(len(CLASSES))], 1)
    assert pixels[pixels > 0].min() >= 0.25 * 0.5 * ring


def test_image_and_mask_show_the_same():
    """Inside a mask the colour is nearly one; it is another one than that around it."""
    data = scenes(200, seed=4, size=48, objects=1, channels=1)
    inside = data.masks > 0
    for x, object_ in zip(data.x[:, 0], inside, strict=True):
        inner = -F.max_pool2d(-object_[None].float(), 3, 1, 1)[0] > 0  # without the soft edge
        outer = F.max_pool2d(object_[None].float(), 5, 1, 2)[0] == 0
        # Clipped at black and white, a colour may come nearer than 0.25.
        assert (x[inner].mean() - x[outer].mean()).abs() > 0.12
        assert x[inner].std() < 0.06


# ---- learning ------------------------------------------------------------------------------------


def test_fresh_shapes_are_new_in_every_epoch():
    loader = batches(fresh_shapes(60, size=8), 30, generator=torch.Generator().manual_seed(0))
    one, two = (torch.cat([x for x, _ in loader]) for _ in range(2))
    assert one.shape == (60, 3, 8, 8)
    assert not torch.equal(one, two)


def test_a_small_network_learns_the_shapes():
    train, unseen = (shapes(n, seed, size=16, channels=1) for n, seed in ((1600, 1), (500, 2)))
    model = small_cnn(7, shape=(1, 16, 16), widths=(8, 8, 16, 16, 32))
    fit(model, train, epochs=5, batch_size=32, lr=1e-2, device="cpu", progress=False)
    assert evaluate(model, unseen, device="cpu").accuracy > 0.5  # chance: 0.14


def test_scenes_train_a_segmentation_network():
    """`numbered` gives a loss the row of each image, and with it boxes and masks."""
    data = scenes(128, size=16, objects=2)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 5, padding=2), nn.ReLU(), nn.Conv2d(16, len(CLASSES) + 1, 5, padding=2)
    )

    def loss_fn(model, batch):
        x, rows = batch
        assert torch.equal(x, data.x[rows])
        return F.cross_entropy(model(x), data.masks[rows])

    history = fit(
        model, data.numbered(), loss_fn=loss_fn, epochs=8, batch_size=16, lr=1e-2, device="cpu",
        progress=False,
    )  # fmt: skip
    assert history.loss[-1] < 0.7 * history.loss[0]


def test_scenes_move_to_a_device(each_device):
    data = scenes(4, size=16).to(each_device)
    found = {t.device.type for t in (data.x, data.boxes, data.labels, data.masks)}
    assert found == {torch.device(each_device).type}
    assert data.numbered().x.device.type == each_device
    assert len(data) == 4


@pytest.mark.parametrize("make", [shapes, fresh_shapes, scenes])
def test_what_cannot_be_had(make):
    with pytest.raises(InputError, match=r"=0.*; expected at least 1"):
        make(0)
    with pytest.raises(InputError, match="size=4 is too small; expected 8 or more"):
        make(10, size=4)
    with pytest.raises(InputError, match="channels=4; expected 1"):
        make(10, channels=4)


def test_scenes_need_room():
    with pytest.raises(InputError, match="size=16 is too small for 9 objects; expected 24"):
        scenes(10, size=16, objects=9)
    with pytest.raises(InputError, match="objects=0; expected at least 1"):
        scenes(10, objects=0)
