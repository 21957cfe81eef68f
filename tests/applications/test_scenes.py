"""Scenes: boxes and masks cover what is visible, not what is hidden."""

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from transferlab import InputError, fit
from transferlab.applications.scenes import scenes
from transferlab.data.sets.shapes import CLASSES, _boxes, _visible


def test_one_seed_is_one_set():
    torch.manual_seed(1)
    first = scenes(30, seed=3)
    torch.manual_seed(2)
    second, other = scenes(30, seed=3), scenes(30, seed=4)
    assert torch.equal(first.x, second.x) and torch.equal(first.boxes, second.boxes)
    assert torch.equal(first.labels, second.labels) and torch.equal(first.masks, second.masks)
    assert not torch.equal(first.x, other.x)


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
    )  # fmt: skip
    assert history.loss[-1] < 0.7 * history.loss[0]


def test_scenes_move_to_a_device(each_device):
    data = scenes(4, size=16).to(each_device)
    found = {t.device.type for t in (data.x, data.boxes, data.labels, data.masks)}
    assert found == {torch.device(each_device).type}
    assert data.numbered().x.device.type == each_device
    assert len(data) == 4


def test_scenes_need_room():
    with pytest.raises(InputError, match="size=16 is too small for 9 objects; expected 24"):
        scenes(10, size=16, objects=9)
    with pytest.raises(InputError, match="objects=0; expected at least 1"):
        scenes(10, objects=0)
    with pytest.raises(InputError, match=r"=0.*; expected at least 1"):
        scenes(0)
    with pytest.raises(InputError, match="size=4 is too small; expected 8 or more"):
        scenes(10, size=4)
    with pytest.raises(InputError, match="channels=4; expected 1"):
        scenes(10, channels=4)
