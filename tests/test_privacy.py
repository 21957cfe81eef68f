"""Membership inference against known answers; DP-SGD against its definition, step by step."""

import copy
import math
import sys

import numpy as np
import pytest
import torch
from scipy import optimize, special, stats
from sklearn.metrics import auc, roc_auc_score
from torch import nn
from torch.nn import functional as F

from transferlab import InputError, evaluate, fit, freeze, load_backbone
from transferlab.data import MemoryDataset, digits, few_shot, split
from transferlab.device import seeded
from transferlab.finetune.freezing import unfreeze
from transferlab.metrics import interval
from transferlab.models import mlp, save_weights, small_cnn
from transferlab.privacy import (
    dp_sgd,
    fit_private,
    membership_inference,
    noise_for,
    per_sample_gradients,
    replace_batch_norm,
    roc_curve,
    spent_epsilon,
)

# ---- The attack ----------------------------------------------------------------------------------


class Scores(nn.Module):
    """A classifier whose scores are its input."""

    def forward(self, x):
        return x


def of_confidence(values) -> MemoryDataset:
    """Samples of class 0 on which `Scores` has these confidences, log(p / (1 − p))."""
    values = torch.as_tensor(np.asarray(values), dtype=torch.float32)
    x = torch.stack([values, torch.zeros_like(values)], 1)
    return MemoryDataset(x, torch.zeros(len(x), dtype=torch.int64), "ab")


def attack(members, non_members, **options):
    return membership_inference(
        Scores(), of_confidence(members), of_confidence(non_members), device="cpu", **options
    )


def draws(seed: int, n: int = 30, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1, n)


def start(seed: int) -> nn.Module:
    with seeded(seed):
        return mlp(shape=(1, 8, 8), widths=[64])


def trained(data, seed: int, epochs: int) -> nn.Module:
    """A small network that learns its few samples by heart."""
    model, quiet = start(seed), {"device": "cpu"}
    fit(model, data, epochs=epochs, batch_size=25, lr=3e-3, seed=seed, **quiet)
    return model


@pytest.fixture(scope="module")
def overfitted():
    """For five seeds: a model, its members, other samples, and a model of those others' kind."""
    runs = []
    for seed in range(5):
        parts = split(digits(), (0.2, 0.2, 0.6), seed=seed)
        members, others = (few_shot(part, 5, seed) for part in parts[:2])
        models = [trained(data, seed, epochs=60) for data in (members, others)]
        runs.append((models[0], members, parts[2], models[1]))
    return runs


@pytest.mark.parametrize(("n", "m"), [(200, 200), (40, 500), (500, 7)])
def test_the_area_is_that_of_scikit_learn_for_any_sizes_and_ties(n, m):
    members, non_members = draws(0, n, 0.5).round(1), draws(1, m).round(1)
    found = attack(members, non_members)
    known = np.r_[np.ones(n), np.zeros(m)]
    expected = roc_auc_score(known, np.r_[members, non_members])
    assert found.auc.mean == pytest.approx(expected, abs=1e-12)
    assert auc(found.fpr, found.tpr) == pytest.approx(expected, abs=1e-12)
    assert found.auc.low < found.auc.mean < found.auc.high
    assert found.auc.n == n + m


def test_the_order_of_samples_is_that_of_their_losses():
    torch.manual_seed(0)
    x, y = torch.randn(300, 5), torch.randint(0, 5, (300,))
    members, non_members = (
        MemoryDataset(x[i], y[i], "abcde") for i in (slice(100), slice(100, 300))
    )
    losses = F.cross_entropy(x.double(), y, reduction="none")
    known = np.r_[np.ones(100), np.zeros(200)]
    found = membership_inference(Scores(), members, non_members, device="cpu")
    assert found.auc.mean == pytest.approx(roc_auc_score(known, -losses), abs=1e-12)


def test_rates_can_be_counted_by_hand():
    fpr, tpr = roc_curve(np.array([3.0, 2.0, 2.0, 0.0]), np.array([2.0, 1.0]))
    assert tpr.tolist() == [0, 0.25, 0.75, 0.75, 1]  # thresholds: none, 3, 2, 1, 0
    assert fpr.tolist() == [0, 0, 0.5, 1, 1]


def test_few_false_alarms_mean_one_in_a_hundred_non_members():
    non_members = np.arange(200.0)  # two of them may be accused: 199 and 198
    found = attack([500, 198, 197.5, 150, 0], non_members)
    assert found.tpr_at_low_fpr.mean == pytest.approx(3 / 5)
    # With 50 non-members none may be.
    assert attack([500, 49, 48.5], np.arange(50.0)).tpr_at_low_fpr.mean == pytest.approx(1 / 3)


def test_the_size_of_a_set_does_not_matter():
    members, non_members = draws(0, 50, 1.0), draws(1, 50)
    once, five_times = attack(members, non_members), attack(members, np.tile(non_members, 5))
    assert once.auc.mean == pytest.approx(five_times.auc.mean)
    assert once.tpr_at_low_fpr.mean == pytest.approx(five_times.tpr_at_low_fpr.mean)


def test_confident_answers_are_told_apart_although_their_loss_rounds_to_zero():
    members, non_members = np.linspace(60, 70, 20), np.linspace(40, 50, 20)
    scores = of_confidence(np.r_[members, non_members])
    naive = F.cross_entropy(scores.x, scores.y, reduction="none")
    assert (naive == 0).all()  # in float32, and the area under their curve is 1/2
    assert attack(members, non_members).auc.mean == 1.0


def test_a_useless_attack_has_no_advantage():
    runs = [(draws(2 * seed), draws(2 * seed + 1)) for seed in range(20)]
    naive = [np.max(np.subtract(*roc_curve(*pair)[::-1])) for pair in runs]
    assert min(naive) > 0 and np.mean(naive) > 0.15  # the best threshold of the same samples
    found = [attack(*pair).advantage for pair in runs]
    low_high = interval([one.mean for one in found])
    assert low_high.low <= 0 <= low_high.high
    covered = np.mean([one.low <= 0 <= one.high for one in found])
    assert covered > 0.85  # 95 % less what 15 samples in each half cost


def test_a_perfect_attack_has_all_of_it():
    found = attack(np.arange(30) + 100, np.arange(30))
    assert (found.auc.mean, found.tpr_at_low_fpr.mean) == (1, 1)
    assert 0.9 < found.advantage.mean <= 1  # the threshold of one half can miss one of the other
    assert str(found).startswith("AUC 1.000, advantage 0.9")
    assert str(found).endswith("finds 100.0% of the members at 1 % false alarms")


def test_one_seed_gives_one_interval():
    pair = draws(0, mean=1.0), draws(1)
    assert attack(*pair, seed=3).auc == attack(*pair, seed=3).auc
    assert attack(*pair, seed=3).auc != attack(*pair, seed=4).auc


def test_an_overfitted_model_gives_its_members_away(overfitted):
    seen, unseen = [], []
    for model, members, non_members, other in overfitted:
        pair = members, non_members
        seen.append(membership_inference(model, *pair, device="cpu").auc.mean)
        unseen.append(membership_inference(other, *pair, device="cpu").auc.mean)
    assert interval(seen).low > 0.6
    assert interval(unseen).low < 0.5 < interval(unseen).high  # it never saw the members


def test_a_reference_cancels_what_makes_a_sample_easy_for_everybody():
    # How easy a sample is varies much more than what training on it adds.
    easy, other = draws(0, 300, 0) * 10, draws(1, 300, 0) * 10
    x = [np.stack([easy + 1, easy], 1), np.stack([other, other], 1)]  # (model, reference)
    members, non_members = (
        MemoryDataset(torch.from_numpy(part), torch.zeros(300, dtype=torch.int64), "ab")
        for part in x
    )

    class Column(nn.Module):
        def __init__(self, number):
            super().__init__()
            self.number = number

        def forward(self, x):
            return F.pad(x[:, [self.number]], (0, 1))

    model, reference = Column(0), Column(1)
    plain = membership_inference(model, members, non_members, device="cpu")
    calibrated = membership_inference(model, members, non_members, [reference], device="cpu")
    assert plain.auc.mean < 0.6
    assert calibrated.auc.mean == pytest.approx(1, abs=1e-9)
    twice = membership_inference(model, members, non_members, [reference] * 2, device="cpu")
    assert twice.auc == calibrated.auc  # the mean over references


def test_sets_of_two_kinds_are_told_apart_by_a_model_that_saw_neither(overfitted):
    *_, non_members, model = overfitted[0]
    inverted = MemoryDataset(1 - non_members.x, non_members.y, non_members.classes)
    found = membership_inference(model, non_members, inverted, device="cpu")
    assert found.auc.low > 0.9  # which is why the docstring asks for one distribution


@pytest.mark.parametrize(
    ("members", "labels", "sentence"),
    [
        ([1.0], 0, "found 1 members and 30 non-members; expected at least 2 of each"),
        ([1.0, 2.0], 4, r"label 4, but the model has 2 outputs; expected labels 0 to 1"),
    ],
)
def test_bad_input_of_an_attack_gets_a_sentence(members, labels, sentence):
    data = of_confidence(members)
    data = MemoryDataset(data.x, data.y + labels, "abcde")
    with pytest.raises(InputError, match=sentence):
        membership_inference(Scores(), data, of_confidence(draws(0)), device="cpu")


# ---- The defence ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def opacus():
    return pytest.importorskip("opacus", reason="needs opacus, which is not installed")


@pytest.fixture
def letters():
    return load_backbone("small_cnn", "letters", num_classes=10, seed=0)


@pytest.fixture(scope="module")
def few():
    return few_shot(digits(), 2)


@pytest.fixture(scope="module")
def exact(few):
    """The same samples in float64, to compare long sums."""
    return MemoryDataset(few.x.double(), few.y, few.classes)


def private(model, data, **options):
    pytest.importorskip("opacus", reason="needs opacus, which is not installed")
    options = {"epochs": 1, "batch_size": 5, "lr": 0.1, "noise": 1.0, "delta": 1e-3} | options
    return fit_private(model, data, **{"device": "cpu"} | options)


def by_hand(model, data, *, epochs, batch_size, lr, noise, max_grad_norm=1.0, seed=0):
    """DP-SGD, one sample after another; return how many batches were empty."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    empty = 0
    model.train()
    with seeded(seed):
        for _ in range(epochs * math.ceil(len(data) / batch_size)):
            drawn = (torch.rand(len(data)) < batch_size / len(data)).nonzero().flatten()
            empty += len(drawn) == 0
            sums = [torch.zeros_like(p) for p in parameters]
            for i in drawn.tolist():
                loss = F.cross_entropy(model(data.x[i : i + 1]), data.y[i : i + 1])
                gradients = torch.autograd.grad(loss, parameters)
                norm = torch.cat([g.flatten() for g in gradients]).norm().item()
                for total, gradient in zip(sums, gradients, strict=True):
                    total += gradient * min(1, max_grad_norm / norm)
            with torch.no_grad():
                for parameter, total in zip(parameters, sums, strict=True):
                    if noise:
                        deviation = noise * max_grad_norm
                        total += torch.normal(0, deviation, total.shape, dtype=total.dtype)
                    parameter -= lr * total / batch_size
    return empty


def assert_same_weights(one, other, **tolerance):
    for (name, a), b in zip(one.named_parameters(), other.parameters(), strict=True):
        assert torch.allclose(a, b, **tolerance), name


def private_nets():
    """Return every kind of network that can be private."""
    frozen = load_backbone("small_cnn", "letters", num_classes=10, seed=0)
    freeze(frozen)
    kept = load_backbone("small_cnn", "letters", num_classes=10, seed=0)
    freeze(kept, until=None)
    grouped = small_cnn(widths=(8, 8, 16, 16, 16))
    replace_batch_norm(grouped)
    return {"head": frozen, "statistics kept": kept, "GroupNorm": grouped}


@pytest.mark.parametrize("kind", ["head", "statistics kept", "GroupNorm"])
def test_gradients_of_samples_are_those_of_one_sample_after_another(kind, few, opacus):
    model = private_nets()[kind].double().train()
    x, y = few.x[:4].double(), few.y[:4]
    found, losses = per_sample_gradients(model, x, y)
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    assert list(found) == names
    for i in range(4):
        model.zero_grad()
        loss = F.cross_entropy(model(x[[i]]), y[[i]])
        loss.backward()
        assert losses[i].item() == pytest.approx(loss.item(), abs=1e-12)
        for name in names:
            expected = model.get_parameter(name).grad
            assert torch.allclose(found[name][i], expected, rtol=1e-9, atol=1e-12)
    if kind == "GroupNorm":  # opacus' own hooks know no BatchNorm, kept or not
        hooked = opacus.GradSampleModule(model)
        F.cross_entropy(model(x.clone().requires_grad_()), y).backward()
        for name in names:
            theirs = model.get_parameter(name).grad_sample
            assert torch.allclose(found[name], theirs, rtol=1e-9, atol=1e-12)
        hooked.to_standard_module()


def test_no_sample_moves_the_weights_further_than_the_clipping_norm(few):
    model, norm = private_nets()["GroupNorm"], 0.3
    gradients, _ = per_sample_gradients(model.train(), few.x, few.y)
    norms = torch.cat([g.flatten(1) for g in gradients.values()], 1).norm(dim=1)
    assert norms.min() > norm  # every one of them must be clipped
    for i in range(3):
        alone = few.subset(torch.tensor([i]))
        moved = copy.deepcopy(model)
        private(moved, alone, batch_size=1, lr=1.0, noise=0.0, max_grad_norm=norm)
        pairs = zip(moved.parameters(), model.parameters(), strict=True)
        distance = torch.cat([(a - b).detach().flatten() for a, b in pairs]).norm().item()
        assert distance == pytest.approx(norm, rel=1e-3)
        assert distance <= norm * (1 + 1e-6)


@pytest.mark.parametrize("kind", ["head", "GroupNorm"])
def test_every_step_is_the_one_of_the_definition(kind, exact):
    settings = {"epochs": 2, "batch_size": 6, "lr": 0.5, "noise": 0.7, "max_grad_norm": 0.4}
    ours = private_nets()[kind].double()
    reference = copy.deepcopy(ours)
    private(ours, exact, **settings, seed=3)
    by_hand(reference, exact, **settings, seed=3)
    assert_same_weights(ours, reference, rtol=1e-5, atol=1e-7)  # opacus clips to C − 1e-6


def test_an_empty_batch_adds_its_noise_too(exact):
    data = exact.subset(torch.arange(3))
    settings = {"epochs": 10, "batch_size": 1, "lr": 0.1, "noise": 0.5}
    ours = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double()
    reference = copy.deepcopy(ours)
    history = private(ours, data, **settings)
    assert by_hand(reference, data, **settings) >= 3  # of 30 batches
    assert_same_weights(ours, reference, rtol=1e-5, atol=1e-6)
    assert history.steps == list(range(3, 31, 3))
    assert np.isfinite(history.loss).all()


def test_without_noise_and_clipping_it_is_plain_sgd(exact):
    ours = private_nets()["GroupNorm"].double()
    plain = copy.deepcopy(ours).train()
    history = private(ours, exact, epochs=3, batch_size=5, lr=0.2, noise=0.0, max_grad_norm=1e9)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.2)
    with seeded(0):
        for _ in range(12):
            drawn = torch.rand(20) < 5 / 20
            optimizer.zero_grad()
            loss = F.cross_entropy(plain(exact.x[drawn]), exact.y[drawn], reduction="sum")
            (loss / 5).backward()  # the expected size of a batch, whatever its own
            optimizer.step()
    assert_same_weights(ours, plain, rtol=1e-9, atol=1e-12)
    assert history.epsilon == math.inf


def test_the_noise_has_the_deviation_that_it_should():
    # Inputs of zeros have no gradient, so the weights show the noise alone.
    data = MemoryDataset(torch.zeros(4, 100), torch.arange(4), "abcd")
    model = nn.Linear(100, 200, bias=False)
    before = model.weight.detach().clone()
    private(model, data, batch_size=4, lr=4.0, noise=0.8, max_grad_norm=2.5)
    noise = (model.weight.detach() - before).flatten().double().numpy()
    low, high = stats.chi2.interval(0.999, len(noise))
    assert (low / len(noise)) ** 0.5 < noise.std() / (0.8 * 2.5) < (high / len(noise)) ** 0.5
    assert abs(noise.mean()) < 4 * 2.0 / len(noise) ** 0.5
    assert stats.kstest(noise / 2.0, "norm").pvalue > 1e-3


def test_gradients_that_do_not_fit_in_memory_at_once_give_the_same_weights(exact, monkeypatch):
    settings = {"epochs": 2, "batch_size": 15, "noise": 0.5}
    whole = private_nets()["GroupNorm"].double()
    parts = copy.deepcopy(whole)
    private(whole, exact, **settings)
    numbers = sum(p.numel() for p in parts.parameters())
    monkeypatch.setattr(dp_sgd, "GRADIENT_BYTES", 4 * numbers * 4)  # those of four samples
    private(parts, exact, **settings)
    assert_same_weights(whole, parts, rtol=1e-9, atol=1e-12)


def test_the_seed_fixes_the_run_and_nothing_else(few):
    models = [private_nets()["head"] for _ in range(3)]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    histories = [private(m, few, seed=s) for m, s in zip(models, (1, 1, 2), strict=True)]
    assert torch.equal(torch.rand(3), expected)  # the caller's generator went on undisturbed
    assert_same_weights(models[0], models[1], rtol=0, atol=0)
    assert histories[0].loss == histories[1].loss
    assert not torch.equal(models[0].head.weight, models[2].head.weight)


def test_it_runs_on_every_device_and_reads_bytes(few, each_device):
    model = load_backbone("small_cnn", "letters", num_classes=10, seed=0)
    freeze(model)
    data = MemoryDataset((few.x * 255).byte(), few.y, few.classes)
    history = private(model, data, device=each_device)
    assert history.epochs == 1 and math.isfinite(history.loss[0])
    assert model.head.weight.device.type == each_device


# ---- what it leaves, and what it refuses ---------------------------------------------------------


def test_nothing_of_opacus_is_left_on_the_model(few, tmp_path):
    model = private_nets()["statistics kept"]
    keys = list(model.state_dict())
    attributes = [set(vars(module)) for module in model.modules()]
    private(model, few)
    assert type(model).__name__ == "Backbone"
    assert list(model.state_dict()) == keys
    assert [set(vars(module)) for module in model.modules()] == attributes
    assert all(not vars(p) and p.grad is None for p in model.parameters())
    hooks = [m._forward_hooks or m._backward_hooks for m in model.modules()]
    assert not any(hooks)
    copy.deepcopy(model)
    save_weights(model, tmp_path / "private.safetensors")
    again = load_backbone("small_cnn", tmp_path / "private.safetensors")
    assert evaluate(again, few, device="cpu").loss == evaluate(model, few, device="cpu").loss


def test_nothing_is_left_after_an_error_either(few):
    class Breaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.calls = nn.Linear(64, 10), 0

        def forward(self, x):
            self.calls += 1
            if self.calls == 4:
                raise KeyboardInterrupt
            return self.head(x.flatten(1))

    model = Breaks()
    with pytest.raises(KeyboardInterrupt):
        private(model, few, epochs=5)
    assert all(not vars(p) and p.grad is None for p in model.parameters())


@pytest.mark.parametrize("batch_stats", [None, "adapt", "batch"])
def test_batch_normalisation_that_mixes_samples_is_refused(letters, few, batch_stats, opacus):
    if batch_stats is None:
        for parameter in letters.features.parameters():
            parameter.requires_grad = False  # the statistics still follow the private data
    else:
        freeze(letters, batch_stats=batch_stats)
    before = copy.deepcopy(letters.state_dict())
    letters.train()
    # opacus looks at trainable layers only, and lets this pass.
    assert opacus.validators.ModuleValidator.is_valid(letters)
    with pytest.raises(InputError, match=r"BatchNorm features\.block1\.bn makes every sample's"):
        private(letters, few)
    assert all(torch.equal(letters.state_dict()[name], before[name]) for name in before)


def test_a_trainable_batch_normalisation_is_refused_and_kept_statistics_are_not(letters, few):
    with pytest.raises(InputError, match=r"freeze\(model, until=None\).*replace_batch_norm"):
        private(letters, few)
    frozen = freeze(letters, until=None)
    scale = letters.features.block1.bn.weight.clone()
    private(letters, few)
    frozen.assert_unchanged()  # the statistics
    assert not torch.equal(letters.features.block1.bn.weight, scale)  # all else learns
    unfreeze(letters)
    with pytest.raises(InputError, match="BatchNorm"):
        private(letters, few)


def test_batch_norm_is_replaced_as_opacus_does_it(letters, opacus):
    theirs = opacus.validators.ModuleValidator.fix(letters)
    replace_batch_norm(letters)
    assert repr(letters) == repr(theirs)
    x = torch.rand(3, 1, 8, 8)
    assert torch.allclose(letters(x), theirs(x))
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6)).double().eval()
    replace_batch_norm(model)
    assert model[1].weight.dtype == torch.float64
    assert not model[1].training


def test_layers_that_write_into_their_input_can_be_private(opacus):
    model = load_backbone("squeezenet1_1", num_classes=2, size=32, seed=0)
    data = MemoryDataset(torch.rand(4, 3, 32, 32), torch.tensor([0, 1, 0, 1]), "ab")
    before = model.head.weight.detach().clone()
    private(model, data, batch_size=4)
    assert not torch.equal(model.head.weight, before)
    hooked = opacus.GradSampleModule(copy.deepcopy(model))
    with pytest.raises(RuntimeError, match="modified inplace"):
        hooked(data.x)  # the way by hooks on every layer


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"noise": None}, r"give epsilon or noise, one of them; found epsilon=None and noise=None"),
        ({"epsilon": 3.0}, "give epsilon or noise, one of them"),
        ({"noise": None, "epsilon": 0.0}, "expected a positive epsilon"),
        ({"noise": -1.0}, "a noise of at least 0"),
        ({"epochs": 0}, "epochs=0: expected at least 1"),
        ({"batch_size": 21}, "batch_size=21: expected 1 to 20, the number of samples"),
        ({"lr": 0.0}, r"found lr=0.0 .* expected positive numbers"),
        ({"max_grad_norm": -1.0}, r"max_grad_norm=-1.0; expected positive numbers"),
        ({"delta": 0.05}, "delta=0.05: expected less than 1/20"),
        (
            {"noise": None, "epsilon": 1e-9, "delta": 1e-12},
            r"epsilon=1e-09 is out of reach of any noise in 4 steps",
        ),
    ],
)
def test_bad_arguments_get_a_sentence(few, options, sentence, opacus):
    with pytest.raises(InputError, match=sentence):
        private(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), few, **options)


def test_bad_models_get_a_sentence(few):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 5))
    with pytest.raises(InputError, match="label 9, but the model has 5 outputs"):
        private(model, few)
    model.requires_grad_(False)
    with pytest.raises(InputError, match="no trainable parameters"):
        private(model, few)
    backbone = load_backbone("resnet20", num_classes=10, seed=0)
    replace_batch_norm(backbone)
    wrong = MemoryDataset(torch.rand(4, 3, 32, 32) * 255, torch.arange(4), "abcd")
    with pytest.raises(InputError, match=r"expects pixels in 0..1"):
        private(backbone, wrong, batch_size=4)


def test_a_loss_that_explodes_ends_the_run(few):
    with pytest.raises(InputError, match=r"the loss became (nan|inf) in epoch \d.*below 1e\+38"):
        private(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), few, lr=1e38, epochs=3)


def test_without_opacus_a_sentence_says_what_to_install(few, monkeypatch):
    monkeypatch.setitem(sys.modules, "opacus", None)  # what Python does for a missing package
    with pytest.raises(InputError, match=r"needs the package opacus.*pip install opacus"):
        fit_private(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), few, epochs=1, noise=1.0)


# ---- accounting ----------------------------------------------------------------------------------


def gaussian_epsilon(mu: float, delta: float) -> float:
    """The exact epsilon of a Gaussian mechanism (Balle and Wang, 2018, theorem 8)."""

    def excess(epsilon):
        normal = stats.norm.cdf
        return (
            normal(mu / 2 - epsilon / mu) - np.exp(epsilon) * normal(-mu / 2 - epsilon / mu) - delta
        )

    return optimize.brentq(excess, 1e-9, 600)


def renyi_epsilon(noise: float, rate: float, steps: int, delta: float) -> float:
    """A coarse bound: Rényi divergences by numerical integration, converted as Mironov (2017)."""
    z = np.linspace(-50 * noise, 50 * noise + 50, 200_001)
    # The noise's density without the sample, and how much likelier z is with it.
    log_density = stats.norm.logpdf(z, 0, noise)
    log_ratio = np.logaddexp(np.log1p(-rate), np.log(rate) + (2 * z - 1) / (2 * noise**2))
    bounds = []
    for alpha in (2, 3, 4, 6, 8, 12, 16, 24, 32):
        log_terms = log_density + alpha * log_ratio
        divergence = (special.logsumexp(log_terms) + math.log(z[1] - z[0])) / (alpha - 1)
        bounds.append(steps * divergence + math.log(1 / delta) / (alpha - 1))
    return min(bounds)


@pytest.mark.parametrize(("noise", "steps"), [(1.0, 1), (2.0, 10), (8.0, 200)])
def test_without_sampling_epsilon_lies_between_the_exact_value_and_a_plain_bound(
    noise, steps, opacus
):
    found = spent_epsilon(noise, 1.0, steps, 1e-5)
    exact = gaussian_epsilon(math.sqrt(steps) / noise, 1e-5)
    plain = steps / (2 * noise**2) + math.sqrt(2 * steps * math.log(1e5)) / noise
    assert exact <= found <= plain
    assert found < 1.15 * exact + 0.02


@pytest.mark.parametrize(
    ("noise", "rate", "steps"), [(1.0, 0.1, 100), (3.0, 0.5, 40), (0.8, 0.01, 500)]
)
def test_epsilon_agrees_with_two_other_ways_to_compute_it(noise, rate, steps, opacus):
    found = spent_epsilon(noise, rate, steps, 1e-5)
    accountant = opacus.accountants.PRVAccountant()
    accountant.history = [(noise, rate, steps)]
    tight = accountant.get_epsilon(1e-5)
    coarse = renyi_epsilon(noise, rate, steps, 1e-5)
    unsampled = gaussian_epsilon(math.sqrt(steps) / noise, 1e-5)
    assert tight - 0.02 <= found <= min(coarse, unsampled)
    assert found < 1.25 * tight + 0.1 and coarse < 1.5 * found + 0.2


def test_more_noise_or_fewer_steps_cost_less(opacus):
    assert spent_epsilon(2.0, 0.2, 50, 1e-5) < spent_epsilon(1.0, 0.2, 50, 1e-5)
    assert spent_epsilon(1.0, 0.2, 10, 1e-5) < spent_epsilon(1.0, 0.2, 50, 1e-5)
    assert spent_epsilon(1.0, 0.1, 50, 1e-5) < spent_epsilon(1.0, 0.2, 50, 1e-5)
    assert spent_epsilon(0.0, 0.2, 50, 1e-5) == math.inf


def test_the_noise_is_chosen_for_the_budget(few, opacus):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    history = private(model, few, epochs=2, noise=None, epsilon=3.0)
    assert history.noise == noise_for(3.0, 0.25, 8, 1e-3)
    assert history.epsilon == spent_epsilon(history.noise, 0.25, 8, 1e-3)
    assert 2.98 < history.epsilon <= 3.0
    assert repr(history).endswith(f"ε = {history.epsilon:.2f} at δ = 0.001")


def test_the_rate_is_that_of_the_batches_that_are_drawn(opacus):
    # opacus' engine takes 1/len(loader) for the rate, here 1/2: 50 of 100 samples, not 64.
    data = MemoryDataset(torch.rand(100, 3), torch.arange(100) % 2, "ab")
    history = private(nn.Linear(3, 2), data, batch_size=64)
    assert history.epsilon == spent_epsilon(1.0, 0.64, 2, 1e-3)
    assert history.epsilon > spent_epsilon(1.0, 0.5, 2, 1e-3)


def test_private_training_hides_the_members_that_plain_training_shows(opacus):
    # The labels are drawn by lot: whatever a model knows about them, it has learned by heart.
    shown, hidden = [], []
    for seed in range(3):
        lots = torch.Generator().manual_seed(seed)
        members, non_members = (
            MemoryDataset(part.x, torch.randint(10, (len(part),), generator=lots), part.classes)
            for part in split(digits(), (0.03, 0.5), seed)
        )
        plain, guarded = trained(members, seed, epochs=40), start(seed)
        private(guarded, members, epochs=40, batch_size=25, lr=0.5, noise=2.0, seed=seed)
        for model, found in ((plain, shown), (guarded, hidden)):
            found.append(membership_inference(model, members, non_members, device="cpu").auc.mean)
    assert interval(shown).low > 0.8
    assert interval(np.subtract(shown, hidden)).low > 0
