"""A small one-stage detector without anchors: every cell of a grid predicts an object and its box.

The grid is the coarsest map of a backbone. A cell answers three questions: is the centre of an
object near, which class is it, and how far away are its four edges?

Sources: Redmon, Divvala, Girshick and Farhadi, You Only Look Once (2016), for the grid; Tian, Shen,
Chen and He, FCOS (2019), for edges measured from the cell and for the cells around the centre.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import ops

from transferlab.applications.feature_maps import FeatureMaps
from transferlab.device import choose_device
from transferlab.errors import InputError
from transferlab.metrics import evaluation_mode
from transferlab.models.backbone import Backbone

REACH = 1.0  # an object belongs to the cells whose middle is less than this many cells away


class Detector(nn.Module):
    """maps of a backbone → head. (N, C, H, W) → (N, rows, columns, 5 + classes)

    The numbers of a cell are, in this order: the score of "there is an object"; four logarithms,
    of the distances from the middle of the cell to the left, top, right and lower edge, in cells;
    and one score per class. All scores are logits.

    Attributes:
        stride: height and width of a cell in pixels.
    """

    def __init__(self, backbone: Backbone, num_classes: int) -> None:
        super().__init__()
        if num_classes < 1:
            raise InputError(f"num_classes={num_classes}: expected at least 1.")
        self.maps = FeatureMaps(backbone)
        self.stride, width = self.maps.strides[-1], self.maps.widths[-1]
        self.head = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 5 + num_classes, 1),
        )
        # Most cells see no object; without this prior the first steps would only learn that.
        nn.init.constant_(self.head[-1].bias[:1], -2.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.maps(x)[-1]).permute(0, 2, 3, 1)


def cell_middles(
    rows: int, columns: int, stride: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Return x and y of the middle of each cell in pixels, shape (rows, columns, 2)."""
    y = (torch.arange(rows, device=device) + 0.5) * stride
    x = (torch.arange(columns, device=device) + 0.5) * stride
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=2)


def decode(output: Tensor, stride: int) -> Tensor:
    """Return each cell's box, edges x1, y1, x2, y2 in pixels, shape (N, rows, columns, 4)."""
    middles = cell_middles(output.shape[1], output.shape[2], stride, output.device)
    distances = stride * output[..., 1:5].clamp(max=6).exp()  # e⁶ cells are wider than any image
    return torch.cat([middles - distances[..., :2], middles + distances[..., 2:]], dim=3)


def assign(boxes: Tensor, labels: Tensor, rows: int, columns: int, stride: int) -> Tensor:
    """Return which object each cell has to predict, shape (N, rows, columns); −1 for none.

    An object belongs to the cells whose middles are less than one cell away from its own middle,
    horizontally and vertically: up to four. Where two objects claim a cell, the nearer one gets it.

    Args:
        boxes: shape (N, objects, 4), in pixels.
        labels: shape (N, objects); −1 where there is no object.
    """
    middles = cell_middles(rows, columns, stride, boxes.device)
    objects = (boxes[..., :2] + boxes[..., 2:]) / 2  # (N, objects, 2)
    away = (middles[None, :, :, None] - objects[:, None, None]) / stride
    far = (away.abs().amax(4) >= REACH) | (labels < 0)[:, None, None]
    nearest, index = away.norm(dim=4).masked_fill(far, torch.inf).min(dim=3)
    return index.masked_fill(nearest.isinf(), -1)


def detection_loss(output: Tensor, boxes: Tensor, labels: Tensor, stride: int) -> Tensor:
    """Return object-or-not + class + box, each the mean over the cells with an object.

    The first is the binary cross-entropy of all cells, divided by the number of cells that have an
    object. The other two concern those only: cross-entropy, and 1 minus the generalised
    intersection over union of the decoded box with the true one, which also has a gradient when
    the two do not overlap.

    Source of the last: Rezatofighi and others, Generalized Intersection over Union (2019).

    Args:
        output: what a `Detector` returns.
        boxes, labels: as in `Scenes`.
    """
    cells = assign(boxes, labels, *output.shape[1:3], stride)
    image, row, column = (cells >= 0).nonzero(as_tuple=True)
    target = cells[image, row, column]  # the object of each of these cells
    count = max(1, len(target))

    is_object = F.binary_cross_entropy_with_logits(
        output[..., 0], (cells >= 0).float(), reduction="sum"
    )
    kind = F.cross_entropy(output[image, row, column, 5:], labels[image, target], reduction="sum")
    predicted = decode(output, stride)[image, row, column]
    box = ops.generalized_box_iou_loss(predicted, boxes[image, target], reduction="sum")
    return (is_object + kind + box) / count


@torch.no_grad()
def detect(
    model: Detector,
    x: Tensor,
    *,
    min_score: float = 0.05,
    max_overlap: float = 0.5,
    suppress: bool = True,
    batch_size: int = 128,
    device: str = "auto",
) -> list[dict[str, Tensor]]:
    """Return the objects detected in each image: boxes (D, 4), scores (D,) and labels (D,).

    The score is the probability of an object times that of its most likely class. The best come
    first. Boxes are clipped to the image. Results are on the CPU, in the form that
    torchvision's detectors return and torchmetrics takes.

    Args:
        x: images, shape (N, C, H, W).
        min_score: boxes with a lower score are left out.
        max_overlap: of two boxes of one class with a larger intersection over union, only the one
            with the higher score is kept (non-maximum suppression).
        suppress: False keeps them all.
    """
    where = choose_device(device)
    with evaluation_mode(model.to(where)):
        output = torch.cat([model(part.to(where)) for part in x.split(batch_size)]).cpu()
    boxes = ops.clip_boxes_to_image(decode(output, model.stride), tuple(x.shape[2:])).flatten(1, 2)
    kind, labels = output[..., 5:].softmax(3).max(3)
    scores = (output[..., 0].sigmoid() * kind).flatten(1)

    results = []
    for box, score, label in zip(boxes, scores, labels.flatten(1), strict=True):
        order = score.argsort(descending=True)
        keep = order[score[order] >= min_score]
        if suppress:
            keep = keep[ops.batched_nms(box[keep], score[keep], label[keep], max_overlap)]
        results.append({"boxes": box[keep], "scores": score[keep], "labels": label[keep]})
    return results
