"""Our narrow VGG-16 against torchvision's wide one."""

import torch
import torchvision
from torch import nn

from transferlab import freeze
from transferlab.finetune import blocks
from transferlab.interpret import grad_cam, stages
from transferlab.models import load_backbone, narrow_vgg16

CONVOLUTIONS = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]


def test_it_computes_what_torchvisions_layers_do():
    torch.manual_seed(0)
    layers = [8, 8, "M", 16, 16, "M", 32, 32, 32, "M", 64, 64, 64, "M", 64, 64, 64, "M"]
    theirs = torchvision.models.vgg.make_layers(layers)
    ours = narrow_vgg16(10, (3, 64, 64)).features
    ours.features.load_state_dict(theirs.state_dict())
    x = torch.rand(2, 3, 64, 64)
    assert torch.equal(ours(x), theirs(x).mean((2, 3)))


def test_it_has_the_layers_of_the_wide_one():
    """The same names and kinds; only the number of channels differs."""
    with torch.device("meta"):
        theirs = torchvision.models.vgg16(weights=None)
        ours = narrow_vgg16().features
    wide = {k: v for k, v in theirs.state_dict().items() if k.startswith("features.")}
    narrow = ours.state_dict()
    assert {k: v.dim() for k, v in narrow.items()} == {k: v.dim() for k, v in wide.items()}
    assert all(8 * len(narrow[k]) == len(wide[k]) for k in wide)
    kinds = [[type(layer) for layer in network.features] for network in (ours, theirs)]
    assert kinds[0] == kinds[1]
    assert not [m for m in ours.modules() if isinstance(m, nn.BatchNorm2d)]


def test_blocks_stages_and_freeze_use_the_names_of_the_wide_one():
    model = narrow_vgg16(3)
    with torch.device("meta"):
        wide = load_backbone("vgg16", num_classes=3)
    convolutions = [f"features.features.{i}" for i in CONVOLUTIONS]
    assert list(blocks(model)) == [*convolutions, "head"]
    assert list(blocks(wide))[:13] == convolutions
    relus = [f"features.{i + 1}" for i in CONVOLUTIONS]
    assert stages(model) == relus == stages(wide)[:13]
    freeze(model, until="features.24")
    free = [n for n, p in model.features.named_parameters() if p.requires_grad]
    assert free == [f"features.{i}.{k}" for i in (24, 26, 28) for k in ("weight", "bias")]


def test_grad_cam_finds_its_maps():
    model = narrow_vgg16(3)
    freeze(model)
    heat = grad_cam(model, torch.rand(2, 3, 32, 32), layer="features.22", device="cpu")
    assert heat.shape == (2, 32, 32) and heat.isfinite().all()


@torch.no_grad()
def test_the_signal_lives_through_13_layers_without_normalisation():
    """PyTorch's own start lets it fade: the same network answers everything with its biases."""
    torch.manual_seed(0)
    model = narrow_vgg16().eval()
    x = torch.rand(64, 3, 32, 32)
    spread = model.forward_features(x).std(0).mean()
    for module in model.features.modules():
        if isinstance(module, nn.Conv2d):
            module.reset_parameters()
    naive = model.forward_features(x).std(0).mean()
    assert spread > 0.003
    assert naive < 0.001 * spread
