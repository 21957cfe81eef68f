"""LoRA: nothing changes at first, little learns, and what has learned is saved whole."""

import copy
import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from transferlab import InputError, fit, freeze, load_backbone
from transferlab.data import MemoryDataset, digits, few_shot
from transferlab.finetune import L2, L2SP, trainable
from transferlab.models import (
    Backbone,
    LoRA,
    add_lora,
    has_lora,
    load_lora,
    merge_lora,
    save_lora,
    save_weights,
)
from transferlab.models.weights import read_note

A = ".parametrizations.weight.0.A"


@pytest.fixture
def shots() -> MemoryDataset:
    return few_shot(digits(), 4, seed=0)


def cnn(num_classes: int = 10, seed: int = 0) -> Backbone:
    return load_backbone("small_cnn", weights="letters", num_classes=num_classes, seed=seed)


def adapted(rank: int = 4, alpha: float = 8, **options) -> Backbone:
    model = cnn()
    freeze(model)
    add_lora(model, rank, alpha, **options)
    return model


def moved(model: nn.Module, size: float = 0.1) -> nn.Module:
    """Move the matrices, as training would."""
    torch.manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, LoRA):
                module.A.add_(size * torch.randn_like(module.A))
                module.B.add_(size * torch.randn_like(module.B))
    return model


def odd_features() -> nn.Module:
    """Convolutions of every kind, a linear layer, and normalisation between them."""
    return nn.Sequential(
        nn.Conv2d(3, 8, (3, 5), stride=(2, 1), padding=(1, 2), bias=True),
        nn.Conv2d(8, 8, 3, padding="same", groups=8, padding_mode="reflect"),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 12, 3, dilation=2, groups=2, bias=False),
        nn.Conv2d(12, 6, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 5),
    )


def odd() -> Backbone:
    torch.manual_seed(0)
    return Backbone(odd_features(), 5, 2, shape=(3, 12, 12), name="odd").double().eval()


# ---- the start -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [True, False])
def test_the_outputs_are_exactly_the_same_at_first(shots, mode):
    plain = cnn()
    freeze(plain)
    assert torch.equal(adapted().train(mode)(shots.x), plain.train(mode)(shots.x))


def test_only_the_matrices_and_the_head_learn():
    plain, model = cnn(), adapted(rank=4)
    inputs = [9, 32 * 9, 32 * 9, 64 * 9, 64 * 9]
    outputs = [32, 32, 64, 64, 128]
    matrices = 4 * (sum(inputs) + sum(outputs))
    assert trainable(model) == matrices + 128 * 10 + 10 == 9518
    assert trainable(plain) / trainable(model) > 14
    names = {n.rpartition(".")[2] for n, p in model.named_parameters() if p.requires_grad}
    assert names == {"A", "B", "weight", "bias"}
    assert all(p.requires_grad for p in model.head.parameters())


def test_the_base_does_not_move_and_the_matrices_do(shots):
    model = cnn()
    part = freeze(model)
    add_lora(model, rank=2, alpha=2)
    before = copy.deepcopy(model.state_dict())
    fit(model, shots, epochs=3, batch_size=16, lr=1e-2, optimizer="sgd")
    part.assert_unchanged()
    for name, tensor in model.state_dict().items():
        learns = name.endswith((".A", ".B")) or name.startswith("head.")
        assert torch.equal(tensor, before[name]) != learns, name


def test_the_random_matrices_follow_the_seed_and_leave_the_callers_draws_alone():
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    models = [adapted(seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.rand(3), wanted)
    one, two, three = (m.features.block2.conv.parametrizations.weight[0].A for m in models)
    assert torch.equal(one, two)
    assert not torch.equal(one, three)


# ---- the sum -------------------------------------------------------------------------------------


def test_a_convolution_is_two_branches_the_second_of_one_pixel():
    """As it is drawn in books: the frozen layer, and beside it A, then B as a 1×1 convolution."""
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 8, 3, stride=2, padding=1)
    model = Backbone(nn.Sequential(layer, nn.Flatten()), 8 * 16, 2, shape=(3, 8, 8), name="one")
    model.double()
    x = torch.rand(5, 3, 8, 8, dtype=torch.float64)
    freeze(model)
    plain = layer(x)
    add_lora(model, rank=2, alpha=6)
    moved(model)
    lora = layer.parametrizations.weight[0]
    beside = F.conv2d(x, lora.A.view(2, 3, 3, 3), stride=2, padding=1)
    beside = F.conv2d(beside, lora.B.view(8, 2, 1, 1))
    torch.testing.assert_close(layer(x), plain + 3 * beside, rtol=0, atol=1e-12)
    assert (3 * beside).abs().max() > 0.01


def test_a_linear_layer_is_the_formula():
    torch.manual_seed(0)
    layer = nn.Linear(6, 4).double()
    model = Backbone(nn.Sequential(nn.Flatten(), layer), 4, 2, shape=(1, 2, 3), name="one").double()
    x = torch.rand(5, 6, dtype=torch.float64)
    freeze(model)
    W, b = layer.weight.clone(), layer.bias  # noqa: N806
    add_lora(model, rank=2, alpha=6)
    moved(model)
    lora = layer.parametrizations.weight[0]
    wanted = x @ (W + 6 / 2 * lora.B @ lora.A).T + b
    torch.testing.assert_close(layer(x), wanted, rtol=0, atol=1e-14)


def test_what_is_added_has_the_rank_that_was_asked_for():
    model = moved(odd_with_lora(2))
    for module in model.modules():
        if isinstance(module, LoRA):
            assert torch.linalg.matrix_rank((module.B @ module.A).detach()) <= 2


def odd_with_lora(rank: int) -> Backbone:
    model = odd()
    freeze(model)
    add_lora(model, rank, alpha=4)
    return model.eval()


def test_attention_that_reads_weights_without_calling_layers():
    """In evaluation, torch's encoder layer takes a fast path past its linear layers: matrices in a
    wrapper around such a layer would learn in training and be ignored afterwards."""

    class First(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)

        def forward(self, x):
            return self.encoder(x)[:, 0]

    torch.manual_seed(0)
    model = Backbone(First(), 8, 2, shape=(5, 8), name="words")
    x = torch.rand(3, 5, 8)
    freeze(model)
    with torch.no_grad():
        before = model.eval()(x)
        add_lora(model, rank=2, alpha=2)
        assert torch.equal(model(x), before)
    for layer in ("linear1", "linear2", "self_attn.out_proj"):
        assert f"features.encoder.{layer}.parametrizations.weight.0.A" in model.state_dict()
    moved(model, 1.0)
    with torch.no_grad():
        fast = model(x)
    slow = model.train()(x)
    assert (slow - before).abs().max() > 0.1
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-5)


# ---- which layers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (None, {1, 2, 3, 4, 5}),
        (["block4"], {4}),
        (["features.block2.conv", "block5"], {2, 5}),
        (["block1.conv", "block1"], {1}),
    ],
)
def test_layers_are_named_as_in_freeze(layers, expected):
    model = adapted(layers=layers)
    found = {n for n, m in model.named_modules() if isinstance(m, LoRA)}
    assert found == {f"features.block{i}.conv.parametrizations.weight.0" for i in expected}


def test_bad_input_gets_a_sentence_and_changes_nothing():
    model = cnn()
    with pytest.raises(InputError, match=r"features\.block1\.conv\.weight is trainable.*freeze"):
        add_lora(model, 4, 4)
    freeze(model)
    with pytest.raises(InputError, match=r"layers has 'block9'.*expected some of features\.block1"):
        add_lora(model, 4, 4, layers=["block4", "block9"])
    with pytest.raises(InputError, match=r"layers has 'block4\.bn'.*no linear layer or conv"):
        add_lora(model, 4, 4, layers=["block4.bn"])
    for rank, alpha in ((0, 4), (4, 0)):
        with pytest.raises(InputError, match=r"rank=.*expected at least 1 and a positive number"):
            add_lora(model, rank, alpha)
    assert not has_lora(model)
    assert model.state_dict().keys() == cnn().state_dict().keys()
    add_lora(model, 4, 4)
    with pytest.raises(InputError, match="has LoRA matrices already; call merge_lora"):
        add_lora(model, 4, 4)


# ---- merging -------------------------------------------------------------------------------------


def test_merging_gives_the_plain_network_with_the_same_outputs(shots):
    model, plain = moved(adapted()).eval(), cnn().eval()
    before = model(shots.x)
    assert not torch.allclose(before, plain(shots.x), atol=1e-2)
    merge_lora(model)
    assert not has_lora(model)
    torch.testing.assert_close(model(shots.x), before, rtol=0, atol=1e-5)
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert [type(m) for m in model.modules()] == [type(m) for m in plain.modules()]


def test_merging_in_float64_and_for_every_kind_of_layer():
    model = odd_with_lora(3)
    x = torch.rand(4, 3, 12, 12, dtype=torch.float64)
    assert torch.equal(model(x), odd()(x))
    before = moved(model)(x)
    assert (before - odd()(x)).abs().max() > 1e-3
    merge_lora(model)
    torch.testing.assert_close(model(x), before, rtol=0, atol=1e-12)
    assert model.state_dict().keys() == odd().state_dict().keys()


def test_a_merged_network_is_saved_and_read_as_any_other(shots, tmp_path):
    model = moved(adapted())
    merge_lora(model)
    save_weights(model, tmp_path / "merged.safetensors")
    again = load_backbone("small_cnn", weights=tmp_path / "merged.safetensors")
    assert torch.equal(again.eval()(shots.x), model.eval()(shots.x))


# ---- layers that share a weight ------------------------------------------------------------------


def tied() -> Backbone:
    torch.manual_seed(0)
    layers = nn.Flatten(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.Linear(6, 6)
    model = Backbone(nn.Sequential(*layers), 6, 2, shape=(1, 2, 3), name="tied").double()
    model.features[3].weight = model.features[1].weight
    freeze(model)
    return model.eval()


def test_a_shared_weight_has_one_pair_of_matrices_and_is_merged_once():
    model, x = tied(), torch.rand(5, 1, 2, 3, dtype=torch.float64)
    before = model(x)
    add_lora(model, rank=2, alpha=4)
    assert torch.equal(model(x), before)
    assert sum(p.numel() for n, p in model.named_parameters() if n[-2:] in (".A", ".B")) == 2 * 24
    changed = moved(model)(x)
    assert (changed - before).abs().max() > 1e-3
    lora = model.features[1].parametrizations.weight[0]
    wanted = model.features[1].parametrizations.weight.original + 2 * lora.B @ lora.A
    merge_lora(model)
    assert model.features[1].weight is model.features[3].weight
    torch.testing.assert_close(model.features[1].weight, wanted, rtol=0, atol=1e-14)
    torch.testing.assert_close(model(x), changed, rtol=0, atol=1e-12)


def test_the_matrices_of_a_shared_weight_are_saved_and_read_again(tmp_path):
    model, again = tied(), tied()
    add_lora(model, rank=2, alpha=4)
    x = torch.rand(5, 1, 2, 3, dtype=torch.float64)
    wanted = moved(model)(x)
    save_lora(model, tmp_path / "task.safetensors")
    assert not [n for n in load_file(tmp_path / "task.safetensors") if "original" in n]
    load_lora(again, tmp_path / "task.safetensors")
    assert torch.equal(again(x), wanted)
    merge_lora(again)
    torch.testing.assert_close(again(x), wanted, rtol=0, atol=1e-12)


def test_matrices_for_one_of_two_layers_that_share_are_refused():
    model, x = tied(), torch.rand(5, 1, 2, 3, dtype=torch.float64)
    before = model(x)
    sentence = (
        r"features\.1 and features\.3 share a weight, and features\.3 gets no matrices; choose"
    )
    with pytest.raises(InputError, match=sentence):
        add_lora(model, 2, 4, layers=["1", "4"])
    assert not has_lora(model) and torch.equal(model(x), before)
    for layers in (["1", "3"], ["4"]):  # as advised: both, or neither
        model = tied()
        add_lora(model, 2, 4, layers=layers)
        changed = moved(model)(x)
        merge_lora(model)
        torch.testing.assert_close(model(x), changed, rtol=0, atol=1e-12)


# ---- saving --------------------------------------------------------------------------------------


def test_saving_as_a_plain_network_before_merging_is_refused(tmp_path):
    with pytest.raises(InputError, match="call merge_lora first"):
        save_weights(adapted(), tmp_path / "plain.safetensors")
    assert not list(tmp_path.iterdir())


def trained(shots, num_classes: int = 10) -> Backbone:
    model = cnn(num_classes)
    freeze(model)
    add_lora(model, rank=3, alpha=8, layers=["block3", "block5"])
    fit(model, shots, epochs=2, batch_size=16, lr=1e-2)
    return model.eval()


def test_a_saved_task_comes_back_whole(shots, tmp_path):
    """On a fresh base with another head. The naive file, without the head, gives other scores."""
    model = trained(shots)
    save_lora(model, tmp_path / "task.safetensors")
    again = cnn(num_classes=3, seed=9)
    freeze(again)
    load_lora(again, tmp_path / "task.safetensors")
    assert torch.equal(again.eval()(shots.x), model(shots.x))
    fit(again, shots, steps=1)  # and it can go on learning

    naive = cnn(seed=9)
    freeze(naive)
    add_lora(naive, rank=3, alpha=8, layers=["block3", "block5"])
    matrices = {n: t for n, t in model.state_dict().items() if n.endswith((".A", ".B"))}
    naive.load_state_dict(matrices, strict=False)
    assert torch.equal(naive.eval().forward_features(shots.x), model.forward_features(shots.x))
    assert not torch.allclose(naive(shots.x), model(shots.x), atol=0.1)


def test_the_file_holds_what_training_moved_and_nothing_else(shots, tmp_path):
    model = trained(shots)
    save_lora(model, tmp_path / "task.safetensors")
    saved = load_file(tmp_path / "task.safetensors")
    numbers = sum(t.numel() for n, t in saved.items() if "running" not in n and "num_b" not in n)
    assert numbers == trainable(model)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in saved.items())
    save_weights(cnn(), tmp_path / "plain.safetensors")
    small, large = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("task", "plain"))
    assert small < large / 10


@pytest.mark.parametrize("policy", ["frozen", "adapt", "batch"])
def test_running_statistics_that_moved_come_back_too(shots, tmp_path, policy):
    model = cnn()
    freeze(model, batch_stats=policy)
    add_lora(model, rank=2, alpha=2)
    fit(model, shots, epochs=2, batch_size=16, lr=1e-2)
    save_lora(model, tmp_path / "task.safetensors")
    again = cnn(seed=9)
    freeze(again, batch_stats=policy)
    load_lora(again, tmp_path / "task.safetensors")
    assert torch.equal(again.eval()(shots.x), model.eval()(shots.x))


def test_another_base_is_refused_and_stays_as_it_was(shots, tmp_path):
    file = tmp_path / "task.safetensors"
    save_lora(trained(shots), file)
    other = cnn()
    with torch.no_grad():
        other.features.block1.conv.weight[0, 0, 0, 0] += 1e-6
    freeze(other)
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(InputError, match=r"task.safetensors was trained on other weights"):
        load_lora(other, file)
    assert other.state_dict().keys() == before.keys()
    assert all(torch.equal(before[k], v) for k, v in other.state_dict().items())
    assert not has_lora(other)

    network = load_backbone("resnet20", num_classes=10)
    freeze(network)
    with pytest.raises(InputError, match="belong to small_cnn, not to resnet20"):
        load_lora(network, file)


def test_another_normalisation_is_another_base(tmp_path):
    model = load_backbone("resnet20", num_classes=2, seed=0)
    freeze(model)
    add_lora(model, 1, 1)
    save_lora(model, tmp_path / "task.safetensors")
    raw = load_backbone("resnet20", num_classes=2, normalize=False, seed=0)
    freeze(raw)
    with pytest.raises(InputError, match="was trained on other weights"):
        load_lora(raw, tmp_path / "task.safetensors")


def test_the_names_of_the_classes_belong_to_the_task(tmp_path):
    model = adapted()
    model.classes = list("abcdefghij")
    save_lora(model, tmp_path / "task.safetensors")
    again = cnn(num_classes=3)
    freeze(again)
    load_lora(again, tmp_path / "task.safetensors")
    assert again.classes == list("abcdefghij")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda m: m.pop("features.block1.bn.running_mean"),
            "its tensors are not those of one LoRA",
        ),
        (lambda m: m.update(x=torch.zeros(1)), "its tensors are not those of one LoRA"),
        (lambda m: m.update({"head.bias": torch.zeros(3)}), "are not those of one LoRA"),
        (lambda m: m.pop("head.weight"), "holds no head"),
        (lambda m: [m.pop(n) for n in list(m) if n.endswith(".A")], "rank=0, alpha=8: expected"),
        (
            lambda m: m.update({n: t[:2] for n, t in m.items() if n.endswith("block3.conv" + A)}),
            "its tensors are not those of one LoRA",
        ),
        (lambda m: m.update({"features.x" + A: torch.zeros(3, 4)}), "layers has 'features.x'"),
        (lambda m: m.update({n: t * torch.inf for n, t in m.items()}), "NaN, infinite or too"),
    ],
)
def test_tensors_that_are_not_one_lora_change_nothing(tmp_path, change, sentence):
    model, file = adapted(), tmp_path / "task.safetensors"
    save_lora(model, file)
    matrices, note = load_file(file), read_note(file)
    del note["sha256"]
    change(matrices)
    save_file(matrices, file, metadata={"transferlab": json.dumps(note)})
    plain = cnn(num_classes=3)
    freeze(plain)
    before = copy.deepcopy(plain.state_dict())
    with pytest.raises(InputError, match=sentence):
        load_lora(plain, file)
    assert not has_lora(plain)
    assert all(torch.equal(before[name], t) for name, t in plain.state_dict().items())


def test_foreign_cut_and_altered_files_are_refused(shots, tmp_path):
    file, model = tmp_path / "task.safetensors", cnn()
    freeze(model)
    save_weights(model, file)
    with pytest.raises(InputError, match=r"task.safetensors holds no LoRA matrices"):
        load_lora(model, file)
    save_lora(trained(shots), file)
    content = bytearray(file.read_bytes())
    file.write_bytes(content[:-100])
    with pytest.raises(InputError, match="cut short"):
        load_lora(model, file)
    content[-5] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="was altered"):
        load_lora(model, file)
    with pytest.raises(InputError, match="does not exist"):
        load_lora(model, tmp_path / "none.safetensors")
    assert not has_lora(model)
    with pytest.raises(InputError, match="no LoRA matrices to save; call add_lora"):
        save_lora(model, tmp_path / "nothing.safetensors")
    assert [f.name for f in tmp_path.iterdir()] == ["task.safetensors"]


# ---- with the rest of the house ------------------------------------------------------------------


def test_a_copy_learns_on_its_own(shots):
    model = adapted()
    twin = copy.deepcopy(model)
    before = copy.deepcopy(model.state_dict())
    fit(twin, shots, epochs=1, lr=1e-2)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert not all(torch.equal(before[k], v) for k, v in twin.state_dict().items())


@pytest.mark.parametrize("penalty", [L2, L2SP])
def test_a_penalty_acts_on_the_matrices(penalty):
    """After many steps without a loss, A and B are 0 with L2, and at their start with L2-SP."""
    model = moved(odd_with_lora(2))
    loras = [m for m in model.modules() if isinstance(m, LoRA)]
    start = [(m.A.detach().clone(), m.B.detach().clone()) for m in loras]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    bound = penalty(0.4)
    bound.prepare(model, optimizer)
    base = model.features[0].parametrizations.weight.original
    before = base.detach().clone()
    for step in range(40):
        for lora in loras:
            away = 1.0 if step == 0 else 0.0
            lora.A.grad, lora.B.grad = (
                away * torch.ones_like(lora.A),
                away * torch.ones_like(lora.B),
            )
        bound.add_to_gradients()
        optimizer.step()
    for lora, (a, b) in zip(loras, start, strict=True):
        wanted = (a, b) if penalty is L2SP else (0 * a, 0 * b)
        torch.testing.assert_close((lora.A.detach(), lora.B.detach()), wanted, rtol=0, atol=1e-6)
    assert torch.equal(base, before)


def test_a_run_with_lora_resumes_bit_for_bit(shots, tmp_path):
    def run(epochs: int, **options) -> dict[str, torch.Tensor]:
        model = adapted()
        fit(model, shots, epochs=epochs, batch_size=16, **options)
        return model.state_dict()

    whole = run(4)
    run(2, checkpoint=tmp_path / "run.pt")
    resumed = run(4, checkpoint=tmp_path / "run.pt")
    assert all(torch.equal(whole[name], tensor) for name, tensor in resumed.items())


def test_lora_works_on_the_device(shots, each_device):
    model = adapted()
    history = fit(model, shots, epochs=5, lr=1e-2, device=each_device)
    assert history.loss[-1] < history.loss[0]
