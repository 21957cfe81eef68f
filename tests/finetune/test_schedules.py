"""Gradual unfreezing, and the head first: who learns when, and what a resumed run does."""

import pytest
import torch
from networks import cnn, narrow
from torch import nn
from torchvision.models import VisionTransformer

from transferlab import InputError, fit, freeze
from transferlab.finetune import L2SP, gradual_unfreezing, lp_ft, trainable, unfreeze
from transferlab.models import Backbone


def learning(model: nn.Module) -> list[str]:
    """The blocks that have a trainable parameter, from the input to the head."""
    names = [n for n, p in model.named_parameters() if p.requires_grad]
    return list(dict.fromkeys(n.removeprefix("features.").split(".")[0] for n in names))


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], two[name]) for name in one)


# ---- gradual unfreezing --------------------------------------------------------------------------


def test_one_more_block_learns_in_each_epoch_from_the_top():
    model, schedule = cnn(), gradual_unfreezing()
    order = ["block1", "block2", "block3", "block4", "block5", "head"]
    for epoch in range(8):
        schedule(model, epoch)
        assert learning(model) == order[max(0, 5 - epoch) :]


def test_every_says_how_many_epochs_lie_between():
    model, schedule = cnn(), gradual_unfreezing(every=3)
    found = []
    for epoch in range(18):
        schedule(model, epoch)
        found.append(len(learning(model)))
    assert found == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6]


def test_an_order_names_the_steps_and_ends_where_it_ends():
    model, schedule = cnn(), gradual_unfreezing(["block4", "features.block2"])
    found = []
    for epoch in range(4):
        schedule(model, epoch)
        found.append(learning(model)[0])
    assert found == ["head", "block4", "block2", "block2"]


def test_the_state_depends_on_the_epoch_alone():
    """A resumed run calls the past epochs again; it must end in the same state."""
    schedule = gradual_unfreezing(batch_stats="batch")
    for epoch in range(7):
        one, two = cnn(), cnn()
        schedule(one, epoch)
        for past in (*range(epoch), *range(epoch), epoch):
            schedule(two, past)
        for a, b in zip(one.train().modules(), two.train().modules(), strict=True):
            assert a.training == b.training
        for a, b in zip(one.parameters(), two.parameters(), strict=True):
            assert a.requires_grad == b.requires_grad


def test_at_the_end_everything_learns_also_what_stands_in_no_block():
    """A vision transformer's class token belongs to none of its layers."""
    torch.manual_seed(0)
    network = VisionTransformer(8, 4, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=8)
    network.heads = nn.Identity()
    model = Backbone(network, 8, 2, shape=(3, 8, 8), name="vit")
    schedule = gradual_unfreezing()
    schedule(model, 0)
    assert trainable(model) == 2 * 8 + 2
    schedule(model, 99)
    assert trainable(model) == sum(p.numel() for p in model.parameters())
    assert model.features.class_token.requires_grad


def test_what_is_frozen_does_not_move_before_its_turn(shots):
    """Its statistics neither, and momentum is there when its turn comes."""
    model, schedule = cnn(), gradual_unfreezing(["block5", "block4"])
    seen = []

    def watched(model, epoch):
        seen.append(weights(model))
        schedule(model, epoch)

    fit(model, shots, epochs=3, batch_size=16, optimizer="sgd", unfreeze=watched)
    seen.append(weights(model))
    turns = {"head": 0, "block5": 1, "block4": 2}
    for name in seen[0]:
        block = name.removeprefix("features.").split(".")[0]
        for epoch in range(3):
            moved = not torch.equal(seen[epoch][name], seen[epoch + 1][name])
            assert moved == (epoch >= turns.get(block, 3)), (name, epoch)


@pytest.mark.parametrize("batch_stats", ["frozen", "adapt", "batch"])
def test_the_frozen_part_keeps_the_batch_norm_policy(batch_stats):
    by_hand, model = cnn(), cnn()
    freeze(by_hand, until="block4", batch_stats=batch_stats)
    gradual_unfreezing(batch_stats=batch_stats)(model, 2)
    by_hand.train()
    model.train()
    for one, two in zip(by_hand.modules(), model.modules(), strict=True):
        assert one.training == two.training
        if isinstance(one, nn.BatchNorm2d):
            assert one.track_running_stats == two.track_running_stats


def test_a_wrong_name_is_found_before_the_first_epoch(shots):
    model = cnn()
    before = weights(model)
    schedule = gradual_unfreezing(["block4", "block9"])
    with pytest.raises(InputError, match="block9"):
        fit(model, shots, epochs=9, unfreeze=schedule)
    assert same(before, weights(model))
    with pytest.raises(InputError, match="every=0: expected at least 1"):
        gradual_unfreezing(every=0)


# ---- LP-FT ---------------------------------------------------------------------------------------

STAGES = {"probe_epochs": 2, "epochs": 3, "batch_size": 16}


def test_the_head_comes_first_and_then_everything(shots):
    model, by_hand = narrow(), narrow()
    probing, tuning = lp_ft(model, shots, probe_lr=0.1, lr=0.01, **STAGES)
    assert (probing.epochs, tuning.epochs) == (2, 3)
    both = {"batch_size": 16}

    part = freeze(by_hand)
    fit(by_hand, shots, epochs=2, lr=0.1, **both)
    part.assert_unchanged()
    unfreeze(by_hand)
    fit(by_hand, shots, epochs=3, lr=0.01, **both)
    assert same(weights(model), weights(by_hand))
    assert trainable(model) == sum(p.numel() for p in model.parameters())


def test_steps_serve_as_well_as_epochs(shots):
    probing, tuning = lp_ft(narrow(), shots, probe_steps=5, steps=4, batch_size=16)
    assert (probing.steps[-1], tuning.steps[-1]) == (5, 4)


@pytest.mark.parametrize("stop_after", [4, 9])  # batches: in the first stage, in the second
def test_a_run_that_is_interrupted_ends_with_the_same_weights(
    shots, tmp_path, interrupted, stop_after
):
    def run(**options):
        model = narrow()
        histories = lp_ft(model, shots, penalty=L2SP(0.1, 0.01), **STAGES, **options)
        return weights(model), [history.loss for history in histories]

    whole = run()
    with interrupted(stop_after):
        run(checkpoint=tmp_path / "run.pt")
    resumed = run(checkpoint=tmp_path / "run.pt")
    assert same(whole[0], resumed[0])
    assert whole[1] == resumed[1]
    assert sorted(file.name for file in tmp_path.glob("*.pt")) == ["run-probe.pt", "run.pt"]
