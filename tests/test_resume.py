"""Resume: bit for bit after any interruption, and no foreign run, by name."""

import copy
import functools
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from transferlab import InputError, finetune, fit, freeze
from transferlab.checkpoint import load_checkpoint, save_checkpoint
from transferlab.data import MemoryDataset, augment, image_folder
from transferlab.finetune import gradual_unfreezing, layer_decay, mixup
from transferlab.metrics import cross_entropy
from transferlab.models import small_cnn
from transferlab.scale import Scale
from transferlab.train import train_one_epoch


def net(
    seed: int = 0, dropout: float = 0.0, activation: type[nn.Module] = nn.ReLU
) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(5, 16), nn.BatchNorm1d(16), activation(), nn.Dropout(dropout), nn.Linear(16, 3)
    )


def equal(a: nn.Module, b: nn.Module) -> bool:
    one, two = a.state_dict(), b.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


# ---- resume --------------------------------------------------------------------------------------


def run_in_two(make, data, path: Path, monkeypatch, *, stop_at: int = 2, **options):
    """Train 4 epochs at once, and again interrupted before epoch `stop_at`; return both."""
    whole = make()
    history = fit(whole, data, epochs=4, batch_size=8, **fresh(options))
    epochs = itertools.count()

    def interrupted(*arguments, **more):
        if next(epochs) == stop_at:
            raise KeyboardInterrupt
        return train_one_epoch(*arguments, **more)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("transferlab.train.train_one_epoch", interrupted)
        fit(make(), data, epochs=4, batch_size=8, checkpoint=path, **fresh(options))
    assert load_checkpoint(path)["history"]["steps"] == [3, 6][:stop_at]
    torch.rand(7), np.random.rand(3), random.random()  # a new process has other random numbers
    resumed = make()
    later = fit(resumed, data, epochs=4, batch_size=8, checkpoint=path, **fresh(options))
    return (whole, history), (resumed, later)


def fresh(options: dict) -> dict:
    """A penalty is made anew for every run, as in a new process."""
    return {k: v() if k == "penalty" else v for k, v in options.items()}


def staged(model: nn.Module, epoch: int) -> None:
    """Head only, then everything."""
    freeze(model, until="4" if epoch < 2 else None)


RUNS = {
    "plain": {},
    "sgd with momentum": {"optimizer": "sgd", "lr": 0.05},
    "cosine": {"schedule": "cosine", "lr": 0.01},
    "penalty": {"penalty": lambda: finetune.L2SP(0.1, 0.01, head="4")},
    "unfreezing": {"unfreeze": staged},
    "augment": {"augment": lambda x: x + 0.1 * torch.randn_like(x)},
    "everything": {
        "schedule": "cosine",
        "penalty": lambda: finetune.L2SP(0.1, 0.01, head="4"),
        "unfreeze": staged,
        "optimizer": "sgd",
        "augment": lambda x: x + 0.1 * torch.randn_like(x),
    },
}


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_an_interrupted_run_ends_bit_for_bit_like_a_whole_one(
    points, tmp_path, monkeypatch, options
):
    path = tmp_path / "run.ckpt"
    (whole, history), (resumed, later) = run_in_two(
        lambda: net(dropout=0.3), points(), path, monkeypatch, val=points(seed=5), **options
    )
    assert equal(whole, resumed)
    assert history.loss == later.loss
    assert history.penalty == later.penalty
    assert history.val_loss == later.val_loss
    assert history.steps == later.steps


def test_two_and_two_epochs_equal_four(points, tmp_path, each_device):
    path, options = tmp_path / "run.ckpt", {"batch_size": 8, "lr": 0.01}
    options["device"] = each_device
    whole, halves = net(dropout=0.3), net(dropout=0.3)
    fit(whole, points(), epochs=4, checkpoint=tmp_path / "whole.ckpt", **options)
    fit(halves, points(), epochs=2, checkpoint=path, **options)
    assert not equal(whole, halves)
    halves = net(dropout=0.3)
    history = fit(halves, points(), epochs=4, checkpoint=path, **options)
    assert history.epochs == 4
    assert equal(whole, halves)
    # the optimizer too, and every random state: the two files hold the same
    one, two = load_checkpoint(tmp_path / "whole.ckpt"), load_checkpoint(path)
    for content in (one, two):
        content["history"]["seconds"] = None
    assert flat(one).keys() == flat(two).keys()
    for key, value in flat(one).items():
        other = flat(two)[key]
        same = torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other
        assert same, key


def test_resume_without_random_state_would_differ(points, tmp_path):
    """The naive checkpoint (weights and optimizer only) fails what the tests above demand."""
    whole, naive = net(dropout=0.3), net(dropout=0.3)
    options = {"batch_size": 8}
    fit(whole, points(), epochs=4, **options)
    engines = []

    def engine(groups):
        engines.append(torch.optim.Adam(groups, lr=1e-3))
        if len(engines) == 2:
            engines[1].load_state_dict(engines[0].state_dict())
        return engines[-1]

    fit(naive, points(), epochs=2, optimizer=engine, **options)
    fit(naive, points(), epochs=2, optimizer=engine, **options)
    assert not equal(whole, naive)


def test_resuming_with_the_same_model_and_a_new_penalty_keeps_the_first_anchor(points, tmp_path):
    """In a notebook the second cell passes the model that the first cell has trained."""
    path, options = tmp_path / "run.ckpt", {"batch_size": 8, "lr": 0.01}
    whole, halves = net(), net()
    fit(whole, points(), epochs=4, penalty=finetune.L2SP(0.5, head="4"), **options)
    for epochs in (2, 4):
        penalty = finetune.L2SP(0.5, head="4")
        fit(halves, points(), epochs=epochs, penalty=penalty, checkpoint=path, **options)
    assert equal(whole, halves)


def flat(value, name: str = "") -> dict:
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        return {name: value}
    return {k: v for key, inner in items for k, v in flat(inner, f"{name}/{key}").items()}


def test_a_finished_run_says_so_and_is_not_trained_again(points, tmp_path, capsys):
    path, options = tmp_path / "run.ckpt", {"batch_size": 8}
    one, two = net(), net()
    fit(one, points(), epochs=2, checkpoint=path, **options)
    assert capsys.readouterr().out == ""
    history = fit(two, points(), epochs=2, checkpoint=path, **options)
    assert capsys.readouterr().out == "run.ckpt is finished (2 epochs)\n"
    assert equal(one, two)
    assert history.epochs == 2
    fit(two, points(), epochs=2, checkpoint=path, **options)  # with the model that it trained
    assert equal(one, two)


def test_resume_refuses_another_architecture_and_other_data(points, tmp_path):
    path, options = tmp_path / "run.ckpt", {"batch_size": 8}
    fit(net(), points(), epochs=2, checkpoint=path, **options)
    torch.manual_seed(0)
    other = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    before = {k: v.clone() for k, v in other.state_dict().items()}
    with pytest.raises(InputError, match=r"run\.ckpt belongs to another architecture: \S+ has"):
        fit(other, points(), epochs=4, checkpoint=path, **options)
    assert all(torch.equal(before[k], v) for k, v in other.state_dict().items())
    with pytest.raises(InputError, match=r"samples=23, this run samples=30"):
        fit(net(), points(30), epochs=4, checkpoint=path, **options)


def test_resume_refuses_another_penalty_and_fewer_epochs(points, tmp_path):
    path, options = tmp_path / "run.ckpt", {"batch_size": 8}
    penalty = finetune.L2SP(0.5, head="4")
    fit(net(), points(), epochs=2, checkpoint=path, penalty=penalty, **options)
    with pytest.raises(InputError, match=r"penalty=L2SP\(strength=0\.5.*penalty=None"):
        fit(net(), points(), epochs=4, checkpoint=path, **options)
    with pytest.raises(InputError, match=r"6 steps already; this run asks for 3"):
        fit(net(), points(), epochs=1, checkpoint=path, penalty=penalty, **options)


def test_resume_refuses_to_go_on_from_the_middle_of_an_epoch(points, tmp_path):
    path, options = tmp_path / "run.ckpt", {"batch_size": 8}
    fit(net(), points(), steps=5, checkpoint=path, **options)
    with pytest.raises(InputError, match="after 5 steps, in the middle of an epoch of 3"):
        fit(net(), points(), steps=9, checkpoint=path, **options)


def test_resume_refuses_a_cut_checkpoint(points, tmp_path):
    path, options = tmp_path / "run.ckpt", {"batch_size": 8}
    fit(net(), points(), epochs=2, checkpoint=path, **options)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"run\.ckpt is cut short"):
        fit(net(), points(), epochs=4, checkpoint=path, **options)


# ---- foreign runs: each differs from the first in one thing, and is refused by its name ----------


def scaled_loss(factor: float):
    def loss_fn(model, batch):
        return factor * cross_entropy(model, batch)

    return loss_fn


def weighted_loss(model, batch, factor: float = 1.0):
    return factor * cross_entropy(model, batch)


class Shift:
    """An augmentation that is an object."""

    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, x):
        return x + self.by


FACTOR = 1.0


def global_loss(model, batch):
    return FACTOR * cross_entropy(model, batch)


def adam(**options):
    return lambda groups: torch.optim.Adam(groups, lr=1e-3, **options)


def sgd(**options):
    return lambda groups: torch.optim.SGD(groups, lr=1e-3, **options)


def head_first(model, epoch):
    freeze(model, until="4" if epoch < 1 else None)


def head_longer(model, epoch):
    freeze(model, until="4" if epoch < 3 else None)


def in_groups(order: tuple[int, ...], rates: tuple[float, ...] = (0.01, 0.01, 0.01)):
    """Return a function from a model to parameter groups: of layers 0, 1 and 4, in this order."""
    return lambda model: [
        {"params": list(model[i].parameters()), "lr": rate}
        for i, rate in zip(order, rates, strict=True)
    ]


def frozen_until_head(model):
    freeze(model, until="4")


def frozen_statistics_move(model):
    freeze(model, until="4", batch_stats="adapt")


def permuted(data: MemoryDataset) -> MemoryDataset:
    """The same samples with the same labels, two of them in another order."""
    one, two = (data.y == data.y[0]).nonzero().flatten()[:2].tolist()
    index = torch.arange(len(data))
    index[one], index[two] = two, one
    return data.subset(index)


def relabelled(data: MemoryDataset) -> MemoryDataset:
    return MemoryDataset(data.x, (data.y + 1) % 3, data.classes, data.name)


def renamed(data: MemoryDataset) -> MemoryDataset:
    return MemoryDataset(data.x, data.y, ["x", "y", "z"], data.name)


def one_pixel(data: MemoryDataset) -> MemoryDataset:
    x = data.x.clone()
    x[7, 3] += 1e-3
    return MemoryDataset(x, data.y, data.classes, data.name)


def same(value):
    return value


# name: (what the first run has besides the common settings, what the second has, what is named).
# "net" makes the model, "prepare" is done to it, "data" and "val" change the points, "groups" makes
# groups of the model; everything else goes to fit.
FOREIGN = {
    "learning rate": ({}, {"lr": 0.5}, "lr=0.01, this run lr=0.5"),
    "batch size": ({}, {"batch_size": 4}, "batch_size=8"),
    "seed": ({}, {"seed": 3}, "seed=0"),
    "schedule": ({}, {"schedule": "cosine"}, "schedule=constant"),
    "planned steps": ({"schedule": "cosine"}, {"schedule": "cosine", "epochs": 5}, "steps=12"),
    "optimizer": ({}, {"optimizer": "sgd"}, "optimizer=Adam, this run optimizer=SGD"),
    "betas": ({"optimizer": adam()}, {"optimizer": adam(betas=(0.5, 0.999))}, "betas"),
    "epsilon": ({"optimizer": adam()}, {"optimizer": adam(eps=1e-3)}, "eps"),
    "amsgrad": ({"optimizer": adam()}, {"optimizer": adam(amsgrad=True)}, "amsgrad"),
    "weight decay": ({"optimizer": sgd()}, {"optimizer": sgd(weight_decay=0.1)}, "weight_decay"),
    "momentum": (
        {"optimizer": sgd(momentum=0.9)},
        {"optimizer": sgd(momentum=0.5)},
        "momentum=0.9, this run momentum=0.5",
    ),
    "Nesterov": (
        {"optimizer": sgd(momentum=0.9)},
        {"optimizer": sgd(momentum=0.9, nesterov=True)},
        "nesterov",
    ),
    "number of groups": ({}, {"groups": in_groups((0, 1, 4))}, "parameter groups=1"),
    "order of groups": (
        {"groups": in_groups((0, 1, 4))},
        {"groups": in_groups((4, 1, 0))},
        r"parameters of group 0 it has 0.weight \(16, 5\), this run 4.weight \(3, 16\)",
    ),
    "rate of one group": (
        {"groups": in_groups((0, 1, 4))},
        {"groups": in_groups((0, 1, 4), (0.01, 0.01, 0.02))},
        "lr of group 2=0.01",
    ),
    "layer decay": (
        {"groups": lambda model: layer_decay(model, 0.01, 0.9)},
        {"groups": lambda model: layer_decay(model, 0.01, 0.8)},
        "lr of group 0",
    ),
    "objective": ({}, {"loss_fn": mixup(0.2)}, "loss_fn=transferlab.metrics.cross_entropy"),
    "mixup's alpha": ({"loss_fn": mixup(0.2)}, {"loss_fn": mixup(1.0)}, "alpha=0.2"),
    "captured number": (
        {"loss_fn": scaled_loss(1.0)},
        {"loss_fn": scaled_loss(2.0)},
        "factor=1.0",
    ),
    "default argument": (
        {"loss_fn": lambda m, b, factor=1.0: factor * cross_entropy(m, b)},
        {"loss_fn": lambda m, b, factor=2.0: factor * cross_entropy(m, b)},
        "loss_fn",
    ),
    "lambda": (
        {"loss_fn": lambda m, b: 1.0 * cross_entropy(m, b)},
        {"loss_fn": lambda m, b: 2.0 * cross_entropy(m, b)},
        "loss_fn",
    ),
    "partial": (
        {"loss_fn": functools.partial(weighted_loss, factor=1.0)},
        {"loss_fn": functools.partial(weighted_loss, factor=2.0)},
        "'factor': 1.0",
    ),
    "penalty": ({}, {"penalty": lambda: finetune.L2(0.1)}, "penalty=None"),
    "penalty's strength": (
        {"penalty": lambda: finetune.L2(0.1)},
        {"penalty": lambda: finetune.L2(0.2)},
        r"L2\(strength=0.1\)",
    ),
    "kind of penalty": (
        {"penalty": lambda: finetune.L1(0.1)},
        {"penalty": lambda: finetune.L2(0.1)},
        "penalty=L1",
    ),
    "penalty's head": (
        {"penalty": lambda: finetune.L2SP(0.1, 0.1, head="4")},
        {"penalty": lambda: finetune.L2SP(0.1, 0.1, head="0")},
        "head='4'",
    ),
    "decoupled penalty": (
        {"penalty": lambda: finetune.L2SP(0.1, head="4")},
        {"penalty": lambda: finetune.L2SP(0.1, head="4", decoupled=True)},
        "decoupled=False",
    ),
    "penalty's anchor": (
        {"penalty": lambda: finetune.L2SP(0.1, head="4").anchor_at(net(seed=5))},
        {"penalty": lambda: finetune.L2SP(0.1, head="4").anchor_at(net(seed=6))},
        "penalty is anchored elsewhere",
    ),
    "augmentation": ({}, {"augment": augment.noise(0.1)}, "augment=None"),
    "no augmentation": ({"augment": augment.noise(0.1)}, {}, "augment=transferlab.data.augment"),
    "augmentation's strength": (
        {"augment": augment.noise(0.1)},
        {"augment": augment.noise(0.2)},
        "std=0.1",
    ),
    "composed augmentation": (
        {"augment": augment.compose(same, augment.noise(0.1))},
        {"augment": augment.compose(same, augment.noise(0.3))},
        "std=0.1",
    ),
    "augmenting object": ({"augment": Shift(0.0)}, {"augment": Shift(0.1)}, "'by': 0.0"),
    "unfreezing": ({}, {"unfreeze": head_first}, "unfreeze=None"),
    "another plan": ({"unfreeze": head_first}, {"unfreeze": head_longer}, "unfreeze=.*head_first"),
    "unfreezing's pace": (
        {"unfreeze": gradual_unfreezing(every=1)},
        {"unfreeze": gradual_unfreezing(every=2)},
        "every=1",
    ),
    "freezing": ({}, {"prepare": frozen_until_head}, "trainable parameters it has 0.weight, this"),
    "frozen statistics": (
        {"prepare": frozen_until_head},
        {"prepare": frozen_statistics_move},
        "layers kept in one mode",
    ),
    "starting weights": ({}, {"net": functools.partial(net, 9)}, "other starting weights"),
    "activation": (
        {},
        {"net": functools.partial(net, activation=nn.Tanh)},
        r"in model it has \(2\): ReLU\(\), this run \(2\): Tanh\(\)",
    ),
    "dropout": ({}, {"net": functools.partial(net, dropout=0.9)}, "p=0.0.*p=0.9"),
    "precision": ({}, {"scale": Scale(precision="bfloat16")}, "'precision': 'float32'"),
    "parts": ({}, {"scale": Scale(parts=2)}, "'parts': 1"),
    "samples": ({}, {"data": lambda data: data.subset(torch.arange(20))}, "samples=23"),
    "other samples": ({}, {"data": one_pixel}, "other inputs than this run"),
    "order of the samples": ({}, {"data": permuted}, "other inputs than this run"),
    "labels": ({}, {"data": relabelled}, "other labels than this run"),
    "class names": ({}, {"data": renamed}, "in classes it has class 0, this run x"),
    "validation added": ({}, {"val": same}, "validation=none"),
    "validation left out": ({"val": same}, {}, "validation=there is one"),
    "other validation data": (
        {"val": same},
        {"val": one_pixel},
        "other inputs of the validation data",
    ),
}


def train_for(epochs: int, data: MemoryDataset, path: Path, changes: dict) -> nn.Module:
    """Train a network with the common settings and some changes; return it."""
    changes = dict(changes)
    model = changes.pop("net", net)()
    changes.pop("prepare", same)(model)
    data = changes.pop("data", same)(data)
    options = {"lr": 0.01, "batch_size": 8, "epochs": epochs, **changes}
    if "groups" in options:
        options["lr"] = options.pop("groups")(model)
    for name in ("penalty", "val"):
        if name in options:
            options[name] = options[name](data) if name == "val" else options[name]()
    fit(model, data, checkpoint=path, **options)
    return model


@pytest.mark.parametrize(("first", "second", "named"), FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_run_is_refused_by_name(points, tmp_path, first, second, named):
    path = tmp_path / "run.ckpt"
    train_for(2 if "schedule" not in first else 4, points(), path, first)
    before, untouched = path.read_bytes(), copy.deepcopy(second.get("net", net)())
    with pytest.raises(InputError, match=rf"run\.ckpt belongs to another run: .*{named}") as caught:
        train_for(4, points(), path, second)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    model = second.get("net", net)()  # the weights that a refused run was given stay as they are
    with pytest.raises(InputError):
        train_for(4, points(), path, {**second, "net": lambda: model})
    assert equal(model, untouched)


@pytest.mark.parametrize(("first", "second", "named"), FOREIGN.values(), ids=FOREIGN)
def test_the_same_run_made_anew_is_not_refused(points, tmp_path, first, second, named):
    """Both sides of every pair above go on when nothing differs, in a model made anew."""
    for number, changes in enumerate((first, second)):
        path, options = tmp_path / f"{number}.ckpt", {"epochs": 4, **changes}
        train_for(4, points(), path, options)
        whole = load_checkpoint(path)["model"]
        again = train_for(4, points(), path, options)
        assert all(torch.equal(v, whole[k]) for k, v in again.state_dict().items())


def test_a_global_number_counts_too(points, tmp_path, monkeypatch):
    path = tmp_path / "run.ckpt"
    train_for(2, points(), path, {"loss_fn": global_loss})
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    with pytest.raises(InputError, match=r"FACTOR=1\.0"):
        train_for(4, points(), path, {"loss_fn": global_loss})


def test_what_cannot_say_what_it_is_is_refused_before_the_first_step(points, tmp_path):
    generator = torch.Generator()

    def noisy(x):
        return x + torch.randn(x.shape, generator=generator)

    model = net()
    with pytest.raises(InputError, match="augment holds a Generator, which does not say what it"):
        fit(model, points(), epochs=1, augment=noisy, checkpoint=tmp_path / "run.ckpt")
    assert equal(model, net())
    fit(model, points(), epochs=1, augment=noisy)  # without a checkpoint nobody needs to know


def test_a_data_set_of_files_is_told_by_its_labels_and_a_sample(tmp_path):
    from PIL import Image

    for name, colour in (("ants", 10), ("bees", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(4):
            picture = Image.new("RGB", (8, 8), (colour + i,) * 3)
            picture.save(tmp_path / "photos" / name / f"{i}.png")
    path, photos = tmp_path / "run.ckpt", image_folder(tmp_path / "photos")
    torch.manual_seed(0)
    model = small_cnn(2, (3, 8, 8))
    start = copy.deepcopy(model)
    fit(model, photos, epochs=1, batch_size=4, checkpoint=path)
    os.utime(tmp_path / "photos" / "ants" / "0.png")  # touched, and the same
    fit(
        copy.deepcopy(start),
        image_folder(tmp_path / "photos"),
        epochs=2,
        batch_size=4,
        checkpoint=path,
    )
    Image.new("RGB", (8, 8)).save(tmp_path / "photos" / "ants" / "0.png")
    with pytest.raises(InputError, match="other inputs than this run"):
        fit(
            copy.deepcopy(start),
            image_folder(tmp_path / "photos"),
            epochs=3,
            batch_size=4,
            checkpoint=path,
        )


def test_random_transforms_do_not_make_the_same_data_foreign(points, tmp_path):
    class Jittered(Dataset):
        """Draws from torch's generator, as torchvision's transforms do."""

        def __init__(self, data):
            self.x, self.targets, self.classes = data.x, data.y.tolist(), data.classes

        def __len__(self):
            return len(self.targets)

        def __getitem__(self, index):
            return self.x[index] + 0.1 * torch.randn(5), self.targets[index]

    path = tmp_path / "run.ckpt"
    for epochs in (1, 2):
        history = fit(net(), Jittered(points()), epochs=epochs, batch_size=8, checkpoint=path)
    assert history.epochs == 2


def test_moments_of_another_shape_never_reach_the_optimizer(points, tmp_path):
    """torch loads them, and a fused optimizer then writes outside of its memory."""
    path = tmp_path / "run.ckpt"
    train_for(2, points(), path, {})
    content = load_checkpoint(path)
    state = content["optimizer"]["state"]
    state[0]["exp_avg"] = state[0]["exp_avg"][:3]
    save_checkpoint(path, {k: v for k, v in content.items() if k != "format"})
    model = net()
    with pytest.raises(InputError, match=r"exp_avg of 0\.weight \(16, 5\) has shape \(3, 5\)"):
        fit(model, points(), epochs=4, batch_size=8, lr=0.01, checkpoint=path)
    assert equal(model, net())


# ---- the file: where it lies, who may write it ---------------------------------------------------


def test_home_is_expanded_and_links_are_followed(points, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    fit(net(), points(), epochs=1, checkpoint="~/runs/run.ckpt")
    real = tmp_path / "runs" / "run.ckpt"
    assert real.is_file()
    link = tmp_path / "link.ckpt"
    link.symlink_to(real)
    fit(net(), points(), epochs=2, checkpoint=link)
    assert link.is_symlink()
    assert len(load_checkpoint(real)["history"]["loss"]) == 2


def test_the_umask_is_kept(points, tmp_path):
    before = os.umask(0o027)
    try:
        fit(net(), points(), epochs=1, checkpoint=tmp_path / "run.ckpt")
    finally:
        os.umask(before)
    assert (tmp_path / "run.ckpt").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("place", "sentence"),
    [("file/run.ckpt", r"run\.ckpt cannot be written: File exists"), (".", "is a folder")],
)
def test_a_place_that_cannot_be_written_is_refused_before_epoch_1(
    points, tmp_path, place, sentence
):
    (tmp_path / "file").touch()
    model = net()
    with pytest.raises(InputError, match=sentence):
        fit(model, points(), epochs=1, checkpoint=tmp_path / place)
    assert equal(model, net())


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (PermissionError(13, "Permission denied"), r"run\.ckpt cannot be read: Permission denied"),
        (OSError(24, "Too many open files"), r"run\.ckpt cannot be read: Too many open files"),
    ],
)
def test_a_good_file_that_cannot_be_opened_is_not_called_damaged(
    points, tmp_path, monkeypatch, error, sentence
):
    path = tmp_path / "run.ckpt"
    fit(net(), points(), epochs=1, checkpoint=path)
    before = path.read_bytes()

    def refuse(self, *arguments, **options):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        with pytest.raises(InputError, match=sentence) as caught:
            load_checkpoint(path)
    assert "delete" not in str(caught.value) and "cut short" not in str(caught.value)
    assert path.read_bytes() == before


def test_a_second_run_on_the_same_file_is_refused_while_the_first_one_trains(points, tmp_path):
    path, refused = tmp_path / "run.ckpt", []

    def try_too(run):
        with pytest.raises(InputError, match=r"run\.ckpt is in use by another run; wait") as caught:
            fit(net(), points(), epochs=1, checkpoint=path)
        refused.append(str(caught.value))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transferlab.run.TrainingRun.save", try_too)
        fit(net(), points(), epochs=1, checkpoint=path)
    assert len(refused) == 1
    fit(net(), points(), epochs=2, checkpoint=path)  # the lock is gone with the run


WRITERS = """
import sys, time
import torch
from transferlab.checkpoint import save_checkpoint
value, path, until = float(sys.argv[1]), sys.argv[2], time.time() + float(sys.argv[3])
rounds = 0
while time.time() < until:
    save_checkpoint(path, {"model": torch.full((4096,), value)})
    rounds += 1
print(rounds)
"""


def test_two_writers_never_leave_a_damaged_file(tmp_path, seconds: float = 3.0):
    path = tmp_path / "run.ckpt"
    arguments = [str(path), str(seconds)]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITERS, value, *arguments], stdout=subprocess.PIPE)
        for value in ("1", "2")
    ]
    read = 0
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            model = load_checkpoint(path)["model"]
            assert float(model.min()) == float(model.max())  # of one writer, whole
            read += 1
    assert [writer.returncode for writer in writers] == [0, 0]
    assert all(int(writer.communicate()[0]) > 10 for writer in writers)
    assert read > 10
    assert [p.name for p in tmp_path.iterdir()] == ["run.ckpt"]


# ---- kill -9 -------------------------------------------------------------------------------------

KILLED = """
import hashlib, json, os, signal, sys
from pathlib import Path
import torch
from torch import nn
torch.set_num_threads(1)
from transferlab import checkpoint, finetune, fit, freeze
from transferlab.data import MemoryDataset
from transferlab import train as loop

folder = Path(sys.argv[1])

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def train(path, moment=None):
    steps, writes = [0], [0]
    plain_step = loop.take_step
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3)
    )
    x = torch.randn(50, 6)
    data = MemoryDataset(x, x[:, :3].argmax(1), "abc")

    def counted_step(*arguments):
        steps[0] += 1
        if moment == "before the first checkpoint" and steps[0] == 3: die()
        if moment == "in the middle of an epoch" and steps[0] == 17: die()
        return plain_step(*arguments)
    loop.take_step = counted_step

    fsync, save, replace = os.fsync, torch.save, Path.replace
    def counted_save(content, file):
        writes[0] += 1
        if moment == "while the file is written" and writes[0] == 3:
            file.write(b"PK half of a checkpoint"); file.flush(); die()
        return save(content, file)
    def late_fsync(number):
        if moment == "while the file goes to the disk" and writes[0] == 3: die()
        return fsync(number)
    def late_replace(self, target):
        if moment == "before it is renamed" and writes[0] == 3: die()
        moved = replace(self, target)
        if moment == "after it is renamed" and writes[0] == 3: die()
        return moved
    torch.save, os.fsync, Path.replace = counted_save, late_fsync, late_replace

    def unfreeze(model, epoch):
        freeze(model, until="4" if epoch < 2 else None)

    fit(model, data, epochs=6, batch_size=8, lr=0.01, schedule="cosine", optimizer="sgd",
        penalty=finetune.L2SP(0.1, head="4"), unfreeze=unfreeze,
        checkpoint=path, device="cpu")
    state = model.state_dict()
    digest = hashlib.sha256(b"".join(state[k].numpy().tobytes() for k in state)).hexdigest()
    path.with_suffix(".sha").write_text(digest)

def in_child(*arguments):
    # A fork of a process that has only imported torch is as good as a new one, and faster.
    pid = os.fork()
    if pid == 0:
        try:
            train(*arguments)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(7)
    status = os.waitpid(pid, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

found = {}
in_child(folder / "whole.ckpt")
found["whole"] = {"sha": (folder / "whole.sha").read_text()}
for number, moment in enumerate(sys.argv[2:]):
    path = folder / f"{number}.ckpt"
    killed = in_child(path, moment)
    kept = len(checkpoint.load_checkpoint(path)["history"]["loss"]) if path.exists() else 0
    again = in_child(path)
    litter = sorted(p.name for p in folder.iterdir() if p.name.endswith(".part"))
    found[moment] = {"killed": killed, "kept": kept, "again": again, "litter": litter,
                     "sha": (folder / f"{number}.sha").read_text()}
print(json.dumps(found))
"""
# the moment -> how many epochs the checkpoint must hold after the kill
MOMENTS = {
    "before the first checkpoint": 0,
    "in the middle of an epoch": 2,
    "while the file is written": 2,
    "while the file goes to the disk": 2,
    "before it is renamed": 2,
    "after it is renamed": 3,
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork (Linux, macOS)")
def test_kill_9_at_any_moment_loses_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path), *MOMENTS],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    whole = found.pop("whole")["sha"]
    assert len(found) == len(MOMENTS)
    for moment, result in found.items():
        assert result["killed"] == -9, moment
        assert result["kept"] == MOMENTS[moment], moment
        assert result["again"] == 0, moment
        assert result["litter"] == [], moment
        assert result["sha"] == whole, moment


@pytest.fixture
def one_thread():
    """Sums have the same last digits only with the same number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork (Linux, macOS)")
def test_kills_at_random_moments_lose_nothing(points, tmp_path, one_thread):
    """20 times: kill whatever is running, start again, and end bit for bit as never killed."""
    pick, kills = random.Random(0), 0

    def run(path: Path) -> None:
        model = net(dropout=0.3)
        fit(model, points(40), epochs=30, batch_size=8, lr=0.01, checkpoint=path)

    run(tmp_path / "whole.ckpt")
    whole = load_checkpoint(tmp_path / "whole.ckpt")["model"]
    path = tmp_path / "run.ckpt"
    while kills < 20:
        child = os.fork()
        if child == 0:
            run(path)
            os._exit(0)
        time.sleep(pick.uniform(0.005, 0.15))
        os.kill(child, signal.SIGKILL)
        if os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            kills += 1
        else:  # it was faster than the kill: begin anew
            path.unlink()
    run(path)
    found = load_checkpoint(path)["model"]
    assert all(torch.equal(whole[name], found[name]) for name in whole)
    assert not list(tmp_path.glob("*.part")) + list(tmp_path.glob(".*.part"))
