"""Our narrow Inception against torchvision's wide one."""

import torch
import torchvision
from torch import nn
from torchvision.models import inception as theirs

from transferlab import freeze
from transferlab.finetune import blocks
from transferlab.interpret import grad_cam, stages
from transferlab.models import narrow_inception
from transferlab.models.inception import narrow_convolution

STEM = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"]
MIXED = ["Mixed_5b", "Mixed_6a", "Mixed_6b", "Mixed_7a", "Mixed_7b"]


def test_its_layers_are_those_of_the_wide_one_with_an_eighth_of_the_channels():
    with torch.device("meta"):
        original = torchvision.models.inception_v3(weights=None, init_weights=False)
        ours = narrow_inception().features
    wide, narrow = original.state_dict(), ours.state_dict()
    assert all(narrow[k].dim() == wide[k].dim() for k in narrow)
    # Mixed_5b has the wider pooling branch of Mixed_5c: what follows expects 288 channels
    changed = {k for k, v in narrow.items() if v.dim() and 8 * len(v) != len(wide[k])}
    assert {k.rsplit(".", 2)[0] for k in changed} == {"Mixed_5b.branch_pool"}
    windows = {k for k, v in narrow.items() if v.dim() == 4 and v.shape[2:] != wide[k].shape[2:]}
    assert not windows
    named = {type(getattr(ours, name)) for name in MIXED}
    kinds = {f"Inception{letter}" for letter in "ABCDE"}
    assert {kind.__name__ for kind in named} == kinds
    assert all(type(getattr(original, name)) is type(getattr(ours, name)) for name in MIXED)


def test_a_narrow_convolution_is_torchvisions():
    layer = narrow_convolution(64, 96, kernel_size=3, padding=1)
    wide = theirs.BasicConv2d(64, 96, kernel_size=3, padding=1)
    assert type(layer) is type(wide) and layer.bn.eps == wide.bn.eps
    assert layer.conv.weight.shape == (12, 8, 3, 3)


def test_every_layer_is_used_once_and_in_order():
    model = narrow_inception().eval()
    seen = []
    for name, module in model.features.named_children():
        module.register_forward_hook(lambda *_, name=name: seen.append(name))
    with torch.no_grad():
        model(torch.rand(1, *model.shape))
    assert [name for name in seen if "pool" not in name] == STEM + MIXED


def test_blocks_stages_and_freeze():
    model = narrow_inception(3)
    assert list(blocks(model)) == [f"features.{name}" for name in STEM + MIXED] + ["head"]
    assert stages(model) == STEM + MIXED
    frozen = freeze(model, until="Mixed_7a")
    model.train()(torch.rand(4, *model.shape)).sum().backward()
    frozen.assert_unchanged()
    free = {n.split(".")[0] for n, p in model.features.named_parameters() if p.requires_grad}
    assert free == {"Mixed_7a", "Mixed_7b"}
    held = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d) and not m.training]
    assert held


def test_grad_cam_finds_its_maps():
    model = narrow_inception(3)
    heat = grad_cam(model, torch.rand(2, 3, 32, 32), layer="Mixed_6b", device="cpu")
    assert heat.shape == (2, 32, 32) and heat.isfinite().all()
