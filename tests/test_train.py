"""The loop and `fit`: the arithmetic of a step, bookkeeping, resume bit for bit, kill -9."""

import ast
import copy
import inspect
import math
import random
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from transferlab import InputError, finetune, fit
from transferlab.checkpoint import load_checkpoint
from transferlab.data import MemoryDataset, batches, digits, fresh_letters, split
from transferlab.metrics import cross_entropy
from transferlab.models import small_cnn
from transferlab.optimizers import OPTIMIZERS
from transferlab.scale import Scale
from transferlab.train import take_step, train_one_epoch

HERE = Path(__file__).parent
HALF = Scale(precision="float16")


class Plain(Dataset):
    """A torch data set that is not ours: item by item, as tutorials write it."""

    def __init__(self, data: MemoryDataset) -> None:
        self.x, self.targets, self.classes = data.x, data.y.tolist(), data.classes

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int):
        return self.x[index], self.targets[index]


def net(seed: int = 0, width: int = 5, classes: int = 3, dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(width, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(16, classes),
    )


def equal(a: nn.Module, b: nn.Module) -> bool:
    one, two = a.state_dict(), b.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


# ---- one step ------------------------------------------------------------------------------------


def test_one_sgd_step_is_the_one_computed_by_hand():
    model = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(model.weight, 3.0)
    x = torch.tensor([[1.0], [2.0]], dtype=torch.float64)

    def squares(model, batch):
        x, y = batch
        return (model(x).flatten() - y).square().mean()

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = train_one_epoch(model, [(x, torch.tensor([1.0, 1.0]))], squares, optimizer)
    # residuals 3·1−1 = 2 and 3·2−1 = 5: loss (4+25)/2; gradient (2·2·1 + 2·5·2)/2 = 12
    assert loss == pytest.approx(14.5, abs=1e-6)
    assert model.weight.item() == pytest.approx(3.0 - 0.1 * 12, abs=1e-12)


def test_a_step_agrees_with_a_loop_written_in_plain_torch(points):
    data, mine, reference = points(), net(), net()
    engine = torch.optim.SGD(mine.parameters(), lr=0.1, momentum=0.9)
    loop = torch.optim.SGD(reference.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        train_one_epoch(mine, batches(data, 8), cross_entropy, engine)
        reference.train()
        for start in range(0, 23, 8):
            loop.zero_grad()
            out = reference(data.x[start : start + 8])
            F.cross_entropy(out, data.y[start : start + 8]).backward()
            loop.step()
    assert equal(mine, reference)


def test_the_loss_is_weighted_by_samples_not_by_batches():
    # 5 samples in batches of 4 and 1; the losses are the samples themselves: 0 0 0 0 | 10
    x = torch.tensor([0.0, 0.0, 0.0, 0.0, 10.0])[:, None]
    data = MemoryDataset(x, torch.zeros(5, dtype=torch.int64), ["only"])
    model = nn.Linear(1, 1)

    def loss_fn(model, batch):
        return batch[0].mean() + 0 * model.weight.sum()

    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    found = train_one_epoch(model, batches(data, 4), loss_fn, optimizer)
    naive = np.mean([batch[0].mean().item() for batch in batches(data, 4)])
    assert naive == 5.0
    assert found == 2.0


def test_the_loop_leaves_evaluation_mode_and_clears_old_gradients(points):
    model = net().eval()
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e6)
    fresh = net()
    for each in (model, fresh):
        optimizer = torch.optim.SGD(each.parameters(), lr=0.1)
        train_one_epoch(each, batches(points(), 8), cross_entropy, optimizer)
    assert model.training
    assert equal(model, fresh)


def test_augment_changes_what_the_model_sees_and_not_the_data(points):
    data = points()
    before, seen = data.x.clone(), []

    def loss_fn(model, batch):
        seen.append(batch[0].clone())
        return cross_entropy(model, batch)

    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train_one_epoch(model, batches(data, 8), loss_fn, optimizer, augment=lambda x: x + 100)
    assert torch.equal(torch.cat(seen), before + 100)
    assert torch.equal(data.x, before)


# ---- fit: budget and bookkeeping -----------------------------------------------------------------


def test_epochs_and_steps_are_the_same_budget(points):
    one, two = net(), net()
    by_epochs = fit(one, points(), epochs=4, batch_size=8)
    by_steps = fit(two, points(), steps=12, batch_size=8)
    assert by_epochs.steps == by_steps.steps == [3, 6, 9, 12]
    assert equal(one, two)


def test_steps_stop_in_the_middle_of_an_epoch(points):
    taken = []

    def loss_fn(model, batch):
        taken.append(len(batch[1]))
        return cross_entropy(model, batch)

    history = fit(net(), points(), steps=5, batch_size=8, loss_fn=loss_fn)
    assert taken == [8, 8, 7, 8, 8]
    assert history.steps == [3, 5]


def test_training_learns_and_the_history_says_so(points):
    data = points(200)
    history = fit(net(), data, val=data, epochs=20, lr=0.01)
    assert history.val_accuracy[-1] > 0.9 > history.val_accuracy[0]
    assert history.loss[-1] < history.loss[0]
    assert len(history.loss) == len(history.val_loss) == len(history.seconds) == 20
    assert "20 epochs, 80 steps" in repr(history)


def test_cosine_ends_at_zero_and_follows_the_formula(points):
    rates = []

    def spy(groups):
        engine = torch.optim.SGD(groups, lr=0.4)
        engine.register_step_pre_hook(lambda engine, *_: rates.append(engine.param_groups[0]["lr"]))
        return engine

    fit(net(), points(), steps=10, batch_size=8, optimizer=spy, schedule="cosine")
    expected = [0.4 * 0.5 * (1 + math.cos(math.pi * k / 10)) for k in range(10)]
    assert rates == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_by_name_trains(points, name):
    data = points(100)
    history = fit(net(), data, epochs=5, lr=0.01, optimizer=name)
    assert history.loss[-1] < history.loss[0]


def test_groups_have_their_own_learning_rates(points):
    model = net()
    before = [p.detach().clone() for p in model.parameters()]
    groups = [
        {"params": list(model[0].parameters()), "lr": 0.0},
        {"params": list(model[1].parameters()), "lr": 1e-3},
        {"params": list(model[4].parameters()), "lr": 1.0},
    ]
    fit(model, points(), epochs=1, lr=groups, optimizer="sgd")
    pairs = zip(model.parameters(), before, strict=True)
    moved = [float((a - b).detach().abs().max()) for a, b in pairs]
    assert moved[0] == moved[1] == 0
    assert 0 < moved[2] < moved[4]


# ---- determinism ---------------------------------------------------------------------------------


def test_same_seed_same_numbers_and_another_seed_others(points, each_device):
    def run(seed):
        model = net(dropout=0.5)
        history = fit(model, points(), epochs=3, batch_size=8, seed=seed, device=each_device)
        return model, history.loss

    (a, losses_a), (b, losses_b), (c, _) = run(1), run(1), run(2)
    assert losses_a == losses_b
    assert equal(a, b)
    assert not equal(a, c)


def test_fit_does_not_touch_the_callers_random_numbers(points):
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()

    def seed_all():
        random.seed(1), np.random.seed(2), torch.manual_seed(3)

    model = net(dropout=0.5)
    seed_all()
    expected = draw()
    seed_all()
    fit(model, points(), epochs=2, batch_size=8)
    assert draw() == expected


def test_what_the_caller_drew_before_does_not_matter(points):
    one, two = net(dropout=0.5), net(dropout=0.5)
    torch.manual_seed(1)
    fit(one, points(), epochs=2, batch_size=8)
    torch.manual_seed(2)
    fit(two, points(), epochs=2, batch_size=8)
    assert equal(one, two)


def test_validation_does_not_change_the_training(points):
    one, two = net(dropout=0.5), net(dropout=0.5)
    fit(one, points(), epochs=3, batch_size=8)
    fit(two, points(), val=points(seed=1), epochs=3, batch_size=8)
    assert equal(one, two)


@pytest.mark.parametrize("workers", [0, 2])
def test_any_torch_dataset_trains_to_the_same_weights(points, monkeypatch, workers):
    monkeypatch.setattr("transferlab.data.loader.cpu_quota", lambda: workers + 1.0)
    ours, plain = net(dropout=0.5), net(dropout=0.5)
    a = fit(ours, points(), epochs=2, batch_size=8)
    b = fit(plain, Plain(points()), epochs=2, batch_size=8)
    assert a.loss == b.loss
    assert equal(ours, plain)


# ---- the loop in plain sight ---------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [None, finetune.L2SP(0.1, head="4")], ids=["plain", "penalty"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_plain_and_the_scaled_step_give_equal_bits_at_the_defaults(points, optimizer, penalty):
    def trained(scale: Scale | None) -> tuple[nn.Module, list[float]]:
        model = net(dropout=0.5)
        options = {"epochs": 3, "batch_size": 8, "optimizer": optimizer, "schedule": "cosine"}
        with_penalty = copy.deepcopy(penalty)
        return model, fit(model, points(), penalty=with_penalty, scale=scale, **options).loss

    (plain, loss), (scaled, scaled_loss) = trained(None), trained(Scale())
    assert loss == scaled_loss
    assert equal(plain, scaled)


def test_fit_without_scale_takes_the_plain_step(points, monkeypatch):
    taken = []

    def noted(*arguments):
        taken.append(type(arguments[0]))
        return take_step(*arguments)

    monkeypatch.setattr("transferlab.train.take_step", noted)
    fit(net(), points(), epochs=1, batch_size=8)
    assert taken == [nn.Sequential] * 3  # the model itself, no wrapper
    fit(net(), points(), epochs=1, batch_size=8, scale=Scale())
    assert len(taken) == 3


def test_fit_is_read_on_one_screen():
    function = ast.parse(textwrap.dedent(inspect.getsource(fit))).body[0]
    docstring, first, last = function.body[0], function.body[1], function.body[-1]
    assert isinstance(docstring, ast.Expr)
    assert last.end_lineno - first.lineno + 1 <= 60
    assert not [node for node in ast.walk(function) if isinstance(node, ast.Lambda)]
    asked = "model train val epochs steps batch_size lr optimizer schedule loss_fn penalty augment "
    asked += "unfreeze checkpoint seed device scale"
    assert list(inspect.signature(fit).parameters) == asked.split()


# ---- scale ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_a_batch_in_parts_takes_the_same_steps(points, parts):
    # 23 samples in batches of 8: parts of unequal size, and a last batch with fewer rows than parts
    def trained(parts: int) -> tuple[nn.Module, list[float]]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 3)).double()
        data = points(23)
        data.x = data.x.double()
        options = {"epochs": 3, "batch_size": 8, "lr": 0.1, "optimizer": "sgd"}
        return model, fit(model, data, scale=Scale(parts=parts), **options).loss

    (whole, loss), (parted, parted_loss) = trained(1), trained(parts)
    assert parted_loss == pytest.approx(loss, rel=1e-6)
    for a, b in zip(whole.parameters(), parted.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_the_mean_of_the_means_of_uneven_parts_is_another_gradient(points):
    data = points(8)
    parts = list(zip(data.x.tensor_split(3), data.y.tensor_split(3), strict=True))
    model = net().eval()
    naive = sum(cross_entropy(model, part) for part in parts) / 3
    weighted = sum(cross_entropy(model, part) * len(part[1]) for part in parts) / 8
    whole = cross_entropy(model, (data.x, data.y))
    torch.testing.assert_close(weighted, whole)
    assert (naive - whole).abs() > 1e-3


def test_bfloat16_computes_in_16_bits_and_keeps_weights_in_32(points, each_device):
    seen = []
    model = net()
    model[0].register_forward_hook(lambda *found: seen.append(found[2].dtype))
    options = {"epochs": 2, "device": each_device}
    rough = fit(model, points(64), scale=Scale(precision="bfloat16"), **options)
    assert set(seen) == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert rough.loss == pytest.approx(fit(net(), points(64), **options).loss, rel=0.02)


def test_channels_last_changes_the_memory_and_not_the_result():
    def trained(channels_last: bool) -> tuple[nn.Module, list[float]]:
        torch.manual_seed(0)
        model = small_cnn(37, (3, 8, 8))
        data = fresh_letters(64, channels=3)
        return model, fit(model, data, epochs=2, scale=Scale(channels_last=channels_last)).loss

    (plain, loss), (last, last_loss) = trained(False), trained(True)
    weight = last.features.block2.conv.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not plain.features.block2.conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert last_loss == pytest.approx(loss, rel=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU; compiling is for GPUs")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_compiled_and_16_bit_runs_learn_on_a_gpu(precision):
    torch.manual_seed(0)
    model = small_cnn(10)
    fast = Scale(compile=True, channels_last=True, precision=precision)
    assert fit(model, digits(), epochs=3, scale=fast, device="cuda").loss[-1] < 0.3
    assert not [name for name in model.state_dict() if "_orig_mod" in name]


def test_a_classifier_keeps_its_accuracy_whatever_the_training_loss():
    parts = split(digits(), (0.1, 0.1))
    history = fit(small_cnn(10), parts[0], val=parts[1], epochs=1, loss_fn=finetune.mixup(1.0))
    assert len(history.val_accuracy) == 1


def test_validation_of_another_objective_uses_that_objective(points):
    def squares(model: nn.Module, batch) -> torch.Tensor:
        return F.mse_loss(model(batch[0]), torch.zeros(len(batch[0]), 3))

    model, val = net(), points(10, seed=1)
    history = fit(model, points(), val=val, epochs=2, loss_fn=squares)
    with torch.no_grad():
        expected = model.eval()(val.x).square().mean().item()
    assert history.val_loss[-1] == pytest.approx(expected, rel=1e-6)
    assert history.val_accuracy == []


def test_fit_works_on_data_that_is_drawn_anew():
    torch.manual_seed(0)
    model = small_cnn(37)
    history = fit(model, fresh_letters(256), epochs=2, batch_size=64, lr=3e-3)
    assert history.steps == [4, 8]
    assert history.loss[1] < history.loss[0]


def test_fresh_data_with_more_classes_than_outputs_are_refused_before_the_first_step():
    model = small_cnn(36)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(InputError, match=r"label 36, but the model has 36 outputs; .* 0 to 35"):
        fit(model, fresh_letters(256), epochs=1)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, r"give epochs or steps.*epochs=None and steps=None"),
        ({"epochs": 1, "steps": 1}, r"give epochs or steps.*epochs=1 and steps=1"),
        ({"epochs": 0}, r"epochs=0.*at least 1"),
        ({"steps": -1}, r"steps=-1.*at least 1"),
        ({"epochs": 1, "lr": 0.0}, r"lr=0\.0.*positive"),
        ({"epochs": 1, "lr": float("nan")}, r"lr=nan.*positive"),
        ({"epochs": 1, "optimizer": "sdg"}, r"optimizer='sdg' is unknown.*adam, adamw.*sgd"),
        ({"epochs": 1, "schedule": "cos"}, r"schedule='cos' is unknown.*constant or cosine"),
        ({"epochs": 1, "device": "gpu"}, r"device='gpu' is unknown.*cpu, cuda"),
        ({"epochs": 1, "batch_size": 0}, r"batch_size=0.*at least 1"),
        ({"epochs": 1, "lr": [{"params": []}]}, r"group has no lr"),
        ({"epochs": 1, "scale": HALF, "device": "cpu"}, r"float16.*'bfloat16' there"),
    ],
)
def test_a_wrong_argument_gets_one_sentence(points, options, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        fit(net(), points(), **options)
    assert "\n" not in str(caught.value)


def test_a_ready_made_optimizer_is_refused(points):
    model = net()
    with pytest.raises(InputError, match=r"optimizer is an object.*pass a name or a function"):
        fit(model, points(), epochs=1, optimizer=torch.optim.Adam(model.parameters()))


def test_a_loss_that_is_not_a_number_ends_the_run_and_keeps_the_last_checkpoint(points, tmp_path):
    calls = []

    def loss_fn(model, batch):
        calls.append(1)
        return cross_entropy(model, batch) * (float("nan") if len(calls) > 3 else 1)

    path = tmp_path / "run.ckpt"
    with pytest.raises(InputError, match=r"the loss became nan in epoch 2.*learning rate below"):
        fit(
            net(),
            points(),
            epochs=5,
            batch_size=8,
            loss_fn=loss_fn,
            checkpoint=path,
        )
    saved = load_checkpoint(path)
    assert len(saved["history"]["loss"]) == 1
    assert all(v.isfinite().all() for v in saved["model"].values())


def test_a_diverging_learning_rate_says_so(points):
    with pytest.raises(InputError, match=r"the loss became (nan|inf)"):
        fit(net(), points(), epochs=50, lr=1e30, optimizer="sgd")


def test_more_classes_than_outputs_are_refused_before_training():
    torch.manual_seed(0)
    model = small_cnn(5)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(InputError, match=r"label 9.*5 outputs"):
        fit(model, digits(), epochs=1)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_a_wholly_frozen_model_is_refused(points):
    model = net()
    for parameter in model.parameters():
        parameter.requires_grad = False
    with pytest.raises(InputError, match="no trainable parameters"):
        fit(model, points(), epochs=1)


# ---- the right choice of weights -----------------------------------------------------------------


def test_fit_has_no_place_for_test_data():
    assert not [name for name in inspect.signature(fit).parameters if "test" in name]


def test_moving_to_the_device_comes_before_the_optimizer(points, each_device):
    model, held = net(), []

    def engine(groups):
        held.extend(p for group in groups for p in group["params"])
        return torch.optim.SGD(groups, lr=0.1)

    fit(model, points(), epochs=1, optimizer=engine, device=each_device)
    assert {id(p) for p in held} == {id(p) for p in model.parameters()}
    assert all(p.device.type == each_device for p in model.parameters())


def test_digits_are_learned_from_the_training_part_alone(each_device):
    train, held_out = split(digits(), (0.6, 0.4), seed=0)
    torch.manual_seed(0)
    history = fit(small_cnn(10), train, val=held_out, epochs=5, device=each_device)
    assert history.val_accuracy[-1] > 0.95
