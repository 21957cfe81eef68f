"""Layers by name, stages to look at and blocks of parameters: one order in every network."""

import pytest
import torch
from torch import nn

from transferlab import InputError, finetune, freeze, interpret, load_backbone
from transferlab.data import digits
from transferlab.models import text_transformer
from transferlab.models.layers import blocks, find_layer, recorded, stages

OURS = ["mlp", "small_cnn", "resnet20", "narrow_vgg16", "narrow_inception", "narrow_resnet50"]


@pytest.fixture(params=[*OURS, "text_transformer"])
def network(request):
    """Each network of ours, with an input for it."""
    if request.param == "text_transformer":
        torch.manual_seed(0)
        return text_transformer(50).eval(), torch.arange(5, 21).view(2, 8)
    model = load_backbone(request.param, num_classes=3, seed=0)
    return model.eval(), torch.rand(2, *model.shape, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def outputs_of_stages(model: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what comes out of each stage, in the order in which the network computes them."""
    with recorded(model, stages(model), torch.clone) as outputs:
        model(x)
    return outputs


# ---- stages --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [
        ("mlp", 2, "2", "4"),  # the ReLUs: what the next layer sees
        ("small_cnn", 5, "block1", "block5"),
        ("resnet20", 3, "layer1", "layer3"),
        ("resnet18", 5, "relu", "layer4"),
        ("vgg16", 14, "features.1", "classifier"),
        ("mobilenet_v2", 19, "features.0", "features.18"),
        ("inception_v3", 16, "Conv2d_1a_3x3", "Mixed_7c"),
        ("densenet121", 8, "features.relu0", "features.denseblock4"),
        ("vit_b_16", 12, "encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_11"),
        ("maxvit_t", 6, "stem", "classifier"),
    ],
)
def test_the_stages_of_a_network_are_what_it_has_in_a_row(name, count, first, last):
    with torch.device("meta"):  # names only, no numbers
        model = load_backbone(name, num_classes=3)
    found = stages(model)
    assert (len(found), found[0], found[-1]) == (count, first, last)
    modules = dict(model.named_modules())
    assert all(f"features.{stage}" in modules for stage in found)


def test_a_network_without_stages_needs_names():
    with pytest.raises(InputError, match="Linear has no blocks to serve as stages"):
        stages(nn.Linear(5, 3))


def test_stages_are_named_in_the_order_in_which_they_are_computed(network):
    model, x = network
    assert list(outputs_of_stages(model, x)) == stages(model)


# ---- stages and blocks ---------------------------------------------------------------------------


def own_blocks(model: nn.Module, stage: str) -> list[str]:
    """Return the blocks that a stage shows; for a lone activation, the block defined before it."""
    block_of = {id(p): name for name, block in blocks(model).items() for p in block}
    layer, before = find_layer(model, stage), []
    for module in model.modules():  # in the order of definition
        if module is layer:
            break
        before += [block_of[id(p)] for p in module.parameters(recurse=False)]
    inside = [block_of[id(p)] for p in layer.parameters()]
    return list(dict.fromkeys(inside)) or before[-1:]


def test_stages_and_blocks_follow_the_same_order(network):
    model, _ = network
    order = list(blocks(model))
    seen = [order.index(name) for stage in stages(model) for name in own_blocks(model, stage)]
    assert seen == sorted(set(seen))  # rising, and no block belongs to two stages
    assert order[-1] == "head" and len(order) - 1 not in seen


def test_a_block_changes_its_own_stage_and_no_earlier_one(network):
    model, x = network
    names, plain = stages(model), outputs_of_stages(model, x)
    for stage in names:
        for block in own_blocks(model, stage):
            kept = [parameter.clone() for parameter in blocks(model)[block]]
            with torch.no_grad():
                for parameter in blocks(model)[block]:
                    parameter.add_(0.1 * torch.ones_like(parameter))
                changed = outputs_of_stages(model, x)
                for parameter, before in zip(blocks(model)[block], kept, strict=True):
                    parameter.copy_(before)
            same = [torch.equal(plain[name], changed[name]) for name in names]
            assert same[: names.index(stage)] == [True] * names.index(stage)
            assert not same[names.index(stage)]


def test_both_are_where_the_lessons_look_for_them():
    assert interpret.stages is stages
    assert finetune.blocks is blocks


# ---- layers by name ------------------------------------------------------------------------------


def test_a_layer_is_found_with_and_without_the_name_of_the_features():
    model = load_backbone("small_cnn", num_classes=3)
    assert find_layer(model, "block2") is model.features.block2
    assert find_layer(model, "features.block2") is model.features.block2
    assert find_layer(model, "block2.conv") is model.features.block2.conv
    assert find_layer(model, "head") is model.head


@pytest.mark.parametrize("name", ["block9", "", "features."])
def test_an_unknown_layer_is_refused_with_the_names_there_are(name):
    model = load_backbone("small_cnn", num_classes=10)
    sentence = (
        rf"no layer '{name}'; expected one of block1, block2, block3, block4, block5, .*"
        r"features, head, or a layer inside them\.$"
    )
    for use in (
        lambda: find_layer(model, name),
        lambda: freeze(model, until=name),
        lambda: interpret.grad_cam(model, digits().x[:2], layer=name, device="cpu"),
        lambda: interpret.probe_by_depth(model, digits(), digits(), [name], device="cpu"),
    ):
        with pytest.raises(InputError, match=sentence):
            use()
