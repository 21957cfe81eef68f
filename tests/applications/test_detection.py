"""The small detector: which cell has which object, what its numbers mean, what the loss is."""

import math

import pytest
import torch
from torch.nn import functional as F

from transferlab import InputError, fit
from transferlab.applications.detection import (
    Detector,
    assign,
    cell_middles,
    decode,
    detect,
    detection_loss,
)
from transferlab.applications.scenes import scenes
from transferlab.models import small_cnn

STRIDE = 4


def detector(classes: int = 7) -> Detector:
    torch.manual_seed(0)
    return Detector(small_cnn(7, (3, 20, 20), (4, 4, 6, 6, 8)), classes)


def test_every_cell_gets_an_object_four_edges_and_the_classes():
    model = detector()
    assert model.stride == STRIDE
    assert model(torch.rand(2, 3, 32, 48)).shape == (2, 8, 12, 12)
    with pytest.raises(InputError, match="num_classes=0: expected at least 1"):
        detector(0)


def test_cells_are_measured_in_pixels():
    assert cell_middles(2, 3, 4).tolist() == [
        [[2, 2], [6, 2], [10, 2]],
        [[2, 6], [6, 6], [10, 6]],
    ]
    output = torch.zeros(1, 2, 3, 6)  # e⁰ = 1 cell to each side
    assert decode(output, 4)[0, 1, 2].tolist() == [10 - 4, 6 - 4, 10 + 4, 6 + 4]
    output[0, 1, 2, 1:5] = torch.tensor([0.5, 1, 2, 3]).log()
    assert torch.allclose(decode(output, 4)[0, 1, 2], torch.tensor([8.0, 2, 18, 18]))


def test_an_object_belongs_to_the_cells_around_its_middle():
    boxes = torch.tensor([[[4.0, 4, 13, 12], [0, 0, 0, 0]]])  # its middle: (8.5, 8)
    cells = assign(boxes, torch.tensor([[5, -1]]), 4, 4, STRIDE)
    assert cells[0].tolist() == [
        [-1, -1, -1, -1],
        [-1, 0, 0, -1],
        [-1, 0, 0, -1],
        [-1, -1, -1, -1],
    ]


def test_of_two_objects_the_nearer_one_gets_the_cell():
    boxes = torch.tensor([[[0.0, 0, 8, 8], [1, 0, 11, 8]]])  # middles (4, 4) and (6, 4)
    cells = assign(boxes, torch.tensor([[0, 0]]), 2, 3, STRIDE)
    assert cells[0].tolist() == [[0, 1, -1], [0, 1, -1]]  # (10, 2) is a whole cell from both


def test_every_object_has_a_cell_unless_a_nearer_one_takes_it():
    drawn = scenes(300, seed=3, objects=1)
    cells = assign(drawn.boxes, drawn.labels, 8, 8, STRIDE)
    assert ((cells == 0).sum((1, 2)) >= 1).all()


def test_the_loss_is_the_sum_of_its_three_parts_by_hand():
    boxes, labels = torch.tensor([[[4.0, 4, 12, 12]]]), torch.tensor([[1]])
    output = torch.zeros(1, 4, 4, 7)  # 16 cells, 2 classes, 4 cells with the object
    # Each of the four cells says ± 4 pixels from its own middle: 8×8, moved by 2 and 2. The two
    # boxes share 6·6 = 36 of 64 + 64 − 36 = 92 pixels, inside a box of 10·10.
    giou = 36 / 92 - (100 - 92) / 100
    expected = 16 * math.log(2) / 4 + math.log(2) + (1 - giou)
    assert math.isclose(
        detection_loss(output, boxes, labels, STRIDE).item(), expected, rel_tol=1e-6
    )


def test_an_empty_image_has_a_loss_with_a_gradient():
    output = torch.zeros(1, 4, 4, 7, requires_grad=True)
    loss = detection_loss(output, torch.zeros(1, 2, 4), torch.full((1, 2), -1), STRIDE)
    loss.backward()
    assert math.isclose(loss.item(), 16 * math.log(2), rel_tol=1e-6)
    assert output.grad[..., 0].min() > 0 and output.grad[..., 1:].abs().max() == 0


def test_boxes_that_do_not_touch_still_pull():
    output = torch.full((1, 4, 4, 6), -4.0, requires_grad=True)  # tiny boxes
    boxes = torch.tensor([[[5.0, 5, 5.4, 5.4]]])
    detection_loss(output, boxes, torch.tensor([[0]]), STRIDE).backward()
    assert output.grad[..., 1:5].abs().max() > 0


class Says(torch.nn.Module):
    """A detector that always answers the same."""

    stride = STRIDE

    def __init__(self, output):
        super().__init__()
        self.output = torch.nn.Parameter(output)

    def forward(self, x):
        return self.output.expand(len(x), -1, -1, -1)


def answer() -> Says:
    output = torch.full((1, 2, 2, 7), -20.0)
    output[..., 1:5] = 0.0
    output[0, 0, 0] = torch.tensor([3.0, 0, 0, 0, 0, 9, -9])
    output[0, 0, 1] = torch.tensor(
        [2.0, 0, 0, 0, 0, 9, -9]
    )  # 4 of 8 pixels away: 1/3 after the cut
    output[0, 1, 1] = torch.tensor([1.0, 0, 0, 0, 0, -9, 9])
    return Says(output)


def test_what_is_found_is_sorted_cut_at_the_edge_and_scored():
    [found] = detect(answer(), torch.zeros(1, 3, 8, 8), device="cpu")
    assert found["boxes"].tolist() == [[0, 0, 6, 6], [2, 0, 8, 6], [2, 2, 8, 8]]
    assert found["labels"].tolist() == [0, 0, 1]
    assert torch.allclose(found["scores"], torch.tensor([3.0, 2, 1]).sigmoid(), atol=1e-6)


def test_non_maximum_suppression_keeps_the_better_of_two_of_one_class():
    x = torch.zeros(1, 3, 8, 8)
    # The first two boxes share 4·6 of 48 pixels, a half; the third has another class.
    [found] = detect(answer(), x, max_overlap=0.49, device="cpu")
    assert found["labels"].tolist() == [0, 1]
    [found] = detect(answer(), x, max_overlap=0.49, suppress=False, device="cpu")
    assert found["labels"].tolist() == [0, 0, 1]
    [found] = detect(answer(), x, min_score=0.9, device="cpu")
    assert found["labels"].tolist() == [0]


def test_it_overfits_a_few_scenes():
    few = scenes(4, seed=1, objects=1)
    model = Detector(small_cnn(7, (3, 20, 20), (8, 8, 16, 16, 32)), 7)

    def loss(network, batch):
        x, rows = batch
        return detection_loss(network(x), few.boxes[rows], few.labels[rows], network.stride)

    fit(model, few.numbered(), epochs=150, lr=1e-2, loss_fn=loss, device="cpu")
    for result, box, label in zip(
        detect(model, few.x, device="cpu"), few.boxes, few.labels, strict=True
    ):
        assert result["labels"][0] == label[0]
        assert F.l1_loss(result["boxes"][0], box[0]) < 1.5  # pixels
