"""Blocks of a network, and learning rates that fall from the head downwards."""

import pytest
import torch
from networks import cnn, narrow, tiny

from transferlab import InputError, fit, freeze, load_backbone
from transferlab.finetune import blocks, layer_decay
from transferlab.models import add_lora, mlp
from transferlab.train import cross_entropy

BLOCKS = {
    "mlp": ["1", "3"],
    "small_cnn": ["block1", "block2", "block3", "block4", "block5"],
    "resnet20": ["conv1", "layer1", "layer2", "layer3"],
    "resnet18": ["conv1", "layer1", "layer2", "layer3", "layer4"],
    "vgg11_bn": [f"features.{i}" for i in (0, 4, 8, 11, 15, 18, 22, 25)]
    + ["classifier.0", "classifier.3"],
    "mobilenet_v2": [f"features.{i}" for i in range(19)],
    "densenet121": [
        *("features.conv0", "features.denseblock1", "features.transition1"),
        *("features.denseblock2", "features.transition2", "features.denseblock3"),
        *("features.transition3", "features.denseblock4"),
    ],
    "convnext_tiny": [f"features.{i}" for i in range(8)],
    "vit_b_16": ["", "conv_proj", "encoder"]  # the class token and the positions by themselves
    + [f"encoder.layers.encoder_layer_{i}" for i in range(12)],
    "shufflenet_v2_x1_0": ["conv1", "stage2", "stage3", "stage4", "conv5"],
}


# ---- blocks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_are_what_a_network_has_in_a_row(name):
    with torch.device("meta"):  # names and shapes are enough
        model = load_backbone(name, num_classes=3)
    found = blocks(model)
    assert list(found) == [f"features.{block}".rstrip(".") for block in BLOCKS[name]] + ["head"]
    listed = [id(p) for parameters in found.values() for p in parameters]
    assert sorted(listed) == sorted(id(p) for p in model.parameters())


def test_a_normalisation_belongs_to_the_layer_before_it():
    with torch.device("meta"):
        model = load_backbone("resnet18", num_classes=3)
    assert blocks(model)["features.conv1"] == [
        model.features.conv1.weight,
        model.features.bn1.weight,
        model.features.bn1.bias,
    ]


def test_every_block_can_be_named_to_freeze():
    model = cnn()
    below: set[str] = set()
    for name, parameters in blocks(model).items():
        freeze(model, until=name)
        frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
        assert frozen == below
        own = {id(p) for p in parameters}
        below |= {n for n, p in model.named_parameters() if id(p) in own}


def test_lora_matrices_stay_in_their_block():
    model = cnn()
    names = list(blocks(model))
    freeze(model)
    add_lora(model, rank=2, alpha=2)
    assert list(blocks(model)) == names
    lora = model.features.block2.conv.parametrizations.weight[0]
    assert any(p is lora.A for p in blocks(model)["features.block2"])


# ---- layer decay ---------------------------------------------------------------------------------


def test_the_head_learns_fastest_and_each_block_below_it_by_a_factor_less():
    groups = layer_decay(cnn(), lr=0.1, decay=0.5)
    names = [f"features.block{i}" for i in range(1, 6)] + ["head"]
    assert [group["name"] for group in groups] == names
    rates = [0.1 / 32, 0.1 / 16, 0.1 / 8, 0.1 / 4, 0.1 / 2, 0.1]
    assert [group["lr"] for group in groups] == pytest.approx(rates, rel=1e-15)


def test_equal_values_do_not_make_two_parameters_one():
    """Biases start at 0, BatchNorm's weights at 1: many parameters of a network are equal."""
    torch.manual_seed(0)
    model = mlp(num_classes=4, shape=(1, 2, 2), widths=(4, 4))
    first, second = model.features[1], model.features[3]
    second.load_state_dict(first.state_dict())

    naive: list[torch.Tensor] = []  # by value, as `parameter in naive` would also compare
    for parameter in model.parameters():
        if not any(torch.equal(parameter, seen) for seen in naive):
            naive.append(parameter)
    assert len(naive) == 4

    listed = [p for group in layer_decay(model, lr=0.1) for p in group["params"]]
    assert len(listed) == 6
    assert all(
        sum(p is found for found in listed) == 1
        for p in (*first.parameters(), *second.parameters(), *model.head.parameters())
    )


def test_a_tensor_that_two_layers_share_is_listed_once():
    model = mlp(num_classes=4, shape=(1, 2, 2), widths=(4, 4))
    model.features[3].weight = model.features[1].weight
    torch.optim.SGD(layer_decay(model, lr=0.1))  # refuses a parameter in two groups


def test_one_step_moves_each_block_by_its_share(shots):
    """With SGD, the first step is −lr · gradient: the ratio of two steps is the ratio of rates."""

    def moved(decay: float) -> dict[str, list[torch.Tensor]]:
        model, start = narrow(), narrow()
        groups = layer_decay(model, lr=0.5, decay=decay)
        fit(model, shots, steps=1, lr=groups, optimizer=torch.optim.SGD)
        before, after = blocks(start), blocks(model)
        with torch.no_grad():
            return {
                name: [a - b for a, b in zip(after[name], before[name], strict=True)]
                for name in before
            }

    alike, decayed = moved(1.0), moved(0.5)
    for depth, name in enumerate(reversed(alike)):
        for one, two in zip(alike[name], decayed[name], strict=True):
            assert one.abs().max() > 1e-4
            torch.testing.assert_close(two, one * 0.5**depth, rtol=1e-3, atol=1e-6)


def test_a_schedule_keeps_the_ratio(shots):
    seen = []

    def make(groups):
        seen.append(torch.optim.Adam(groups))
        return seen[0]

    def watched(model, batch):
        seen.append([group["lr"] for group in seen[0].param_groups])
        return cross_entropy(model, batch)

    model = narrow()
    groups = layer_decay(model, lr=0.1, decay=0.5)
    fit(
        model,
        shots,
        steps=4,
        lr=groups,
        optimizer=make,
        schedule="cosine",
        loss_fn=watched,
    )
    for step, rates in enumerate(seen[1:]):
        head = 0.1 * (1 + torch.cos(torch.tensor(step / 4 * torch.pi)).item()) / 2
        assert rates == pytest.approx([head * 0.5**depth for depth in (5, 4, 3, 2, 1, 0)], rel=1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lr": 0}, "lr=0: expected a positive"),
        ({"lr": 0.1, "decay": 0}, "decay=0: expected a number above 0 and at most 1"),
        ({"lr": 0.1, "decay": 1.1}, "decay=1.1: expected"),
    ],
)
def test_a_wrong_number_gets_a_sentence(wrong, message):
    with pytest.raises(InputError, match=message):
        layer_decay(tiny(), **wrong)


# ---- unfreezing needs no new group ---------------------------------------------------------------


def test_a_group_added_later_falls_out_of_the_schedule():
    """The naive way to unfreeze, and ours: all groups from the start, and requires_grad."""
    model = tiny()
    late, early = model.features, model.head

    def rates(optimizer, on_step_4) -> list[float]:
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)
        for step in range(7):
            if step == 4:
                on_step_4(optimizer)
            cross_entropy(model, (torch.rand(2, 1, 2, 2).double(), torch.tensor([0, 1]))).backward()
            optimizer.step()
            schedule.step()
        return [group["lr"] for group in optimizer.param_groups]

    naive = rates(
        torch.optim.SGD(early.parameters(), lr=0.1),
        lambda optimizer: optimizer.add_param_group({"params": late.parameters(), "lr": 0.1}),
    )
    assert naive[1] > 1.2 * naive[0]

    freeze(model)
    groups = [{"params": early.parameters()}, {"params": late.parameters()}]
    ours = rates(torch.optim.SGD(groups, lr=0.1), lambda _: late.requires_grad_(True))
    assert ours[1] == ours[0] == naive[0]
