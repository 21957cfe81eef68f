"""Chapter 6: what torchvision publishes about its networks is what can be counted."""

import pytest
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

NETWORKS = ("vgg16", "inception_v3", "resnet18", "resnet50", "mobilenet_v2", "efficientnet_b0")


@pytest.mark.parametrize("name", [*NETWORKS, "vit_b_16"])
def test_parameters_and_operations_are_those_that_are_published(name: str) -> None:
    """The published operations are multiply-adds, in billions; a FLOP is half of one."""
    published = next(iter(torchvision.models.get_model_weights(name)))
    size = published.transforms().crop_size[0]
    options = {"init_weights": False} if name == "inception_v3" else {}
    with torch.device("meta"):
        network = getattr(torchvision.models, name)(**options).eval()
        photo = torch.empty(1, 3, size, size, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        network(photo)
    assert sum(p.numel() for p in network.parameters()) == published.meta["num_params"]
    multiply_adds = counter.get_total_flops() / 2e9
    assert multiply_adds == pytest.approx(published.meta["_ops"], rel=0.02)
