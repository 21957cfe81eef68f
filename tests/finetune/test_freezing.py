"""Freezing that holds."""

import copy

import pytest
import torch
from networks import cnn, with_dropout
from torch import nn

from transferlab import InputError, fit, freeze, load_backbone
from transferlab.data import batches
from transferlab.finetune import BATCH_STATS, trainable, unfreeze
from transferlab.models import Backbone, add_lora, merge_lora
from transferlab.train import cross_entropy, train_one_epoch


def buffers(model: nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in model.named_buffers()}


def train(model, data, **options):
    return fit(model, data, epochs=2, batch_size=16, lr=1e-2, **options)


# ---- what moves and what does not ----------------------------------------------------------------


def test_requires_grad_alone_lets_batch_norm_drift(shots):
    """The naive way to freeze: the parameters stay, the running statistics do not."""
    model = cnn()
    naive = freeze(model, batch_stats="adapt")  # remembers every tensor
    unfreeze(model)
    for parameter in model.features.parameters():
        parameter.requires_grad = False
    train(model, shots)
    moved = naive.changed()
    assert {name.rpartition(".")[2] for name in moved} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }
    with pytest.raises(AssertionError, match=r"15 of \d+ frozen tensors changed.*running_mean"):
        naive.assert_unchanged()


@pytest.mark.parametrize("batch_stats", ["frozen", "batch"])
def test_frozen_tensors_do_not_move(shots, batch_stats, each_device):
    model = cnn()
    part = freeze(model, batch_stats=batch_stats)
    head = model.head.weight.detach().clone()
    train(model, shots, device=each_device)
    part.assert_unchanged()
    assert not torch.equal(model.head.weight.detach().cpu(), head)


def test_adapt_moves_the_statistics_and_nothing_else(shots):
    model = cnn()
    part = freeze(model, batch_stats="adapt")
    train(model, shots)
    assert len(part.changed()) == 15
    assert all(name in buffers(model) for name in part.changed())


def test_frozen_normalises_as_in_pre_training_and_batch_by_the_batch(shots):
    x = shots.x
    reference = cnn().eval().forward_features(x)
    frozen, by_batch = cnn(), cnn()
    freeze(frozen)
    freeze(by_batch, batch_stats="batch")
    for mode in (True, False):
        assert torch.equal(frozen.train(mode).forward_features(x), reference)
    training = by_batch.train().forward_features(x)
    assert not torch.allclose(training, reference, atol=1e-3)
    assert torch.equal(by_batch.eval().forward_features(x), training)
    # by the batch means: as a plain network computes in training mode
    assert torch.equal(cnn().train().forward_features(x), training)


@torch.no_grad()
def test_three_policies_on_shifted_data(shots):
    """The same images with less contrast, as from another camera. The convolutions have no bias:
    BatchNorm by the batch cancels the contrast, statistics of the old images do not."""

    def adjusted(policy: str, x: torch.Tensor) -> Backbone:
        model = cnn()
        freeze(model, batch_stats=policy)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.5  # learn quickly what is to be learned
        for _ in range(20):
            model.train()(x)
        return model.eval()

    distance, models = {}, {}
    for policy in BATCH_STATS:
        models[policy] = adjusted(policy, shots.x)
        plain = models[policy].forward_features(shots.x)
        shifted = adjusted(policy, 0.3 * shots.x).forward_features(0.3 * shots.x)
        distance[policy] = ((plain - shifted).norm() / plain.norm()).item()
    print("how far a lower contrast moves the features:", distance)
    assert distance["frozen"] > 0.5  # it knows the old images only
    assert distance["adapt"] < 0.01  # it has got used to the new ones
    assert distance["batch"] < 0.01  # it sees nothing but the batch

    one = shots.x[:1]  # what tells the last two apart: one image is no batch to go by
    adapted, by_batch = models["adapt"], models["batch"]
    assert torch.allclose(adapted(one), adapted(shots.x)[:1], atol=1e-4)
    assert not torch.allclose(by_batch(one), by_batch(shots.x)[:1], atol=0.1)


def test_the_choice_survives_train_and_the_naive_eval_does_not(shots):
    model = cnn()
    freeze(model)
    naive = cnn()
    for module in naive.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    before, drifted = buffers(model), buffers(naive)
    for each in (model, naive):
        each.train()  # the first line of every training loop
        each(shots.x)
    assert all(torch.equal(before[k], v) for k, v in model.named_buffers())
    assert not all(torch.equal(drifted[k], v) for k, v in naive.named_buffers())


def test_dropout_rests_in_the_frozen_part_and_works_in_the_trained_part(shots):
    model = with_dropout()
    freeze(model)
    model.train()
    assert torch.equal(model.forward_features(shots.x), model.forward_features(shots.x))
    unfreeze(model)
    model.train()
    assert not torch.equal(model.forward_features(shots.x), model.forward_features(shots.x))


def test_stochastic_depth_rests_too():
    torch.manual_seed(0)
    model = load_backbone("efficientnet_b0", num_classes=2, size=32, seed=0)
    x = torch.rand(4, 3, 32, 32)
    model.train()
    assert not torch.equal(model.forward_features(x), model.forward_features(x))
    freeze(model)
    model.train()
    assert torch.equal(model.forward_features(x), model.forward_features(x))


def test_dropout_inside_attention_and_recurrent_layers_rests_too():
    """Both call dropout as a function: no layer of that name is there to be found."""

    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
            self.memory = nn.GRU(8, 8, num_layers=2, dropout=0.5, batch_first=True)

        def forward(self, x):
            return self.memory(x + self.attention(x, x, x)[0])[0][:, -1]

    torch.manual_seed(0)
    model = Backbone(Words(), 8, 2, shape=(5, 8), name="words").train()
    x = torch.rand(4, 5, 8)
    assert not torch.equal(model.forward_features(x), model.forward_features(x))
    freeze(model)
    model.train()
    assert torch.equal(model.forward_features(x), model.forward_features(x))
    unfreeze(model)
    assert not torch.equal(model.forward_features(x), model.forward_features(x))


def test_until_none_holds_the_statistics_and_trains_everything(shots):
    model = cnn()
    before = buffers(model)
    freeze(model, until=None)
    weights = {k: v.detach().clone() for k, v in model.named_parameters()}
    train(model, shots)
    assert all(torch.equal(before[k], v) for k, v in model.named_buffers())
    assert not any(torch.equal(weights[k], v) for k, v in model.named_parameters())


# ---- until ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("until", ["block4", "features.block4"])
def test_until_names_the_first_layer_that_learns(until):
    model = cnn()
    freeze(model, until=until)
    learning = {n for n, p in model.named_parameters() if p.requires_grad}
    expected = {
        n
        for n, _ in model.named_parameters()
        if n.startswith(("features.block4", "features.block5", "head"))
    }
    assert learning == expected
    model.train()
    training = [m.training for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert training == [False, False, False, True, True]


def test_until_works_inside_torchvisions_networks():
    model = load_backbone("resnet18", num_classes=2, size=32, seed=0)
    freeze(model, until="layer4")
    learning = {n.split(".")[1] for n, p in model.named_parameters() if p.requires_grad}
    assert learning == {"layer4", "weight", "bias"}  # the head's own two
    assert trainable(model) == 8_393_728 + 2 * 513


def test_trainable_counts_numbers():
    model = cnn()
    assert trainable(model) == sum(p.numel() for p in model.parameters())
    freeze(model)
    assert trainable(model) == 128 * 10 + 10


def test_an_unknown_layer_or_policy_gets_one_sentence():
    with pytest.raises(InputError, match=r"has no layer 'layer9'; expected .*block1.*head"):
        freeze(cnn(), until="layer9")
    with pytest.raises(InputError, match=r"batch_stats='eval' is unknown.*frozen, adapt, batch"):
        freeze(cnn(), batch_stats="eval")


def test_a_refused_call_changes_nothing():
    model = cnn()
    freeze(model, until="block3")
    before = [p.requires_grad for p in model.parameters()]
    with pytest.raises(InputError):
        freeze(model, until="layer9")
    assert [p.requires_grad for p in model.parameters()] == before
    model.train()
    assert not model.features.block1.bn.training


# ---- undoing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_stats", ["frozen", "adapt", "batch"])
def test_unfreeze_restores_the_network(shots, batch_stats):
    model, plain = cnn(), cnn()
    freeze(model, batch_stats=batch_stats)
    unfreeze(model)
    assert trainable(model) == trainable(plain)
    train(model, shots)
    train(plain, shots)
    one, two = model.state_dict(), plain.state_dict()
    assert all(torch.equal(one[k], two[k]) for k in two)


def test_freezing_again_replaces_the_first():
    model = cnn()
    freeze(model, until="head", batch_stats="batch")
    freeze(model, until="block2", batch_stats="frozen")
    model.train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert [m.training for m in norms] == [False, True, True, True, True]
    assert all(m.track_running_stats for m in norms)
    assert not any(p.requires_grad for p in model.features.block1.parameters())
    assert all(p.requires_grad for p in model.features.block2.parameters())


def test_a_copy_of_a_frozen_model_stays_frozen_on_its_own(shots):
    model = cnn()
    freeze(model)
    twin = copy.deepcopy(model)
    before = buffers(twin)
    train(twin, shots)
    assert all(torch.equal(before[k], v) for k, v in twin.named_buffers())
    assert not any(p.requires_grad for p in twin.features.parameters())
    unfreeze(twin)  # and the first is not unfrozen with it
    model.train()
    assert not model.features.block1.bn.training


# ---- freezing while training ---------------------------------------------------------------------


def test_momentum_does_not_move_what_is_frozen_in_the_middle(shots):
    """The naive way sets requires_grad and zeroes the gradient: momentum goes on pushing."""

    def start():
        model = cnn()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        train_one_epoch(model, batches(shots, 16), cross_entropy, optimizer)
        return model, optimizer

    naive, optimizer = start()
    for parameter in naive.features.parameters():
        parameter.requires_grad = False
        parameter.grad.zero_()
    weight = naive.features.block1.conv.weight.detach().clone()
    loss = cross_entropy(naive, (shots.x, shots.y))
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    optimizer.step()
    assert not torch.equal(naive.features.block1.conv.weight, weight)

    model, optimizer = start()
    part = freeze(model)
    assert all(p.grad is None for p in model.features.parameters())
    optimizer.zero_grad(set_to_none=False)
    cross_entropy(model, (shots.x, shots.y)).backward()
    optimizer.step()
    part.assert_unchanged()


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_freezing_and_unfreezing_during_fit(shots, optimizer):
    """Frozen, then free, then frozen again: it moves in the middle third and only there."""
    seen = []

    def stages(model, epoch):
        seen.append(model.features.block1.conv.weight.detach().clone())
        freeze(model, until={0: "head", 1: "block1", 2: "head"}[epoch])

    model = cnn()
    fit(
        model,
        shots,
        epochs=3,
        batch_size=16,
        lr=1e-2,
        optimizer=optimizer,
        unfreeze=stages,
    )
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[1], seen[2])
    assert torch.equal(seen[2], model.features.block1.conv.weight)


def test_assert_unchanged_names_a_parameter():
    model = cnn()
    part = freeze(model)
    part.assert_unchanged()
    with torch.no_grad():
        model.features.block2.conv.weight[0, 0, 0, 0] += 1
    assert part.changed() == ["features.block2.conv.weight"]
    with pytest.raises(AssertionError, match=r"1 of 30 .*features\.block2\.conv\.weight"):
        part.assert_unchanged()


# ---- LoRA comes after freezing -------------------------------------------------------------------


def test_lora_moves_no_name_and_is_not_frozen_by_mistake():
    model = cnn()
    part = freeze(model)
    add_lora(model, rank=2, alpha=2)
    part.assert_unchanged()
    for change in (freeze, unfreeze):  # would stop the matrices, or free their base
        with pytest.raises(InputError, match=r"has LoRA matrices.*merge_lora first"):
            change(model)
    assert trainable(model) < 10_000
    merge_lora(model)
    unfreeze(model)
    assert trainable(model) == trainable(cnn())
