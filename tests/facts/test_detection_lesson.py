"""Chapter 5, object detection: the values by hand, and the head that the lesson builds."""

from pathlib import Path

import pytest
import torch
from torchmetrics.detection import MeanAveragePrecision
from torchvision.ops import box_iou

from transferlab.applications.detection import Detector
from transferlab.kit.notebooks import read_json, source_of
from transferlab.models import small_cnn

LESSON = Path(__file__).parents[2] / "course" / "05_applications" / "02_object_detection.ipynb"


def test_the_iou_of_two_boxes_half_a_box_apart_is_a_third() -> None:
    one = torch.tensor([[0.0, 0, 4, 4]], dtype=torch.float64)
    two = torch.tensor([[2.0, 0, 6, 4]], dtype=torch.float64)
    assert box_iou(one, two).item() == pytest.approx(1 / 3)


def test_the_average_precision_of_hit_miss_hit() -> None:
    """COCO reads the precision at 101 recalls: 51 at most a half, where it is 1, then 2/3."""
    boxes = torch.tensor([[0.0, 0, 4, 4], [8, 8, 14, 14], [20, 20, 24, 24]])
    true = [{"boxes": boxes[:2], "labels": torch.tensor([0, 0])}]
    found = {"boxes": boxes[[0, 2, 1]], "scores": torch.tensor([0.9, 0.8, 0.7])}
    metric = MeanAveragePrecision()
    metric.update([found | {"labels": torch.tensor([0, 0, 0])}], true)
    assert metric.compute()["map_50"].item() == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_the_head_of_the_lesson_is_the_detectors() -> None:
    cells = read_json(LESSON)["cells"]
    [code] = [source_of(cell) for cell in cells if source_of(cell).startswith("KINDS, WIDTH")]
    built = code[code.index("head =") : code.index("last_map")]
    space = {"torch": torch, "KINDS": 7, "WIDTH": 64}
    exec(built, space)
    detector = Detector(small_cnn(7, (3, 20, 20), (16, 16, 32, 32, 64)), 7)
    assert str(space["head"]) == str(detector.head)
    assert detector.stride == 4 and "CELL = " in code
