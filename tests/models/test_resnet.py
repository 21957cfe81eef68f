"""Our residual networks against torchvision's and against published weights."""

import pytest
import torch
import torchvision
from torch import nn

from transferlab import evaluate, load_backbone
from transferlab.data import in_memory, load
from transferlab.finetune import freeze, unfreeze
from transferlab.models import narrow_resnet50, resnet20
from transferlab.models.resnet import Bottleneck
from transferlab.train import cross_entropy


def test_a_bottleneck_computes_what_torchvisions_does():
    torch.manual_seed(0)
    for stride, inputs in ((1, 32), (2, 16)):
        shortcut = nn.Sequential(nn.Conv2d(inputs, 32, 1, stride, bias=False), nn.BatchNorm2d(32))
        plain = stride == 1 and inputs == 32
        theirs = torchvision.models.resnet.Bottleneck(
            inputs, 8, stride, downsample=None if plain else shortcut
        )
        ours = Bottleneck(inputs, 8, stride)
        ours.load_state_dict(theirs.state_dict())
        x = torch.rand(2, inputs, 8, 8)
        for mode in (True, False):
            assert torch.equal(ours.train(mode)(x), theirs.train(mode)(x))


def test_the_narrow_resnet50_has_the_layers_of_the_wide_one():
    """The same names and kinds; only the number of channels differs."""
    theirs = torchvision.models.resnet50(weights=None)
    ours = narrow_resnet50(1000, (3, 64, 64)).features
    wide = {k: v.dim() for k, v in theirs.state_dict().items() if not k.startswith("fc.")}
    assert {k: v.dim() for k, v in ours.state_dict().items()} == wide
    assert sum(isinstance(m, nn.BatchNorm2d) for m in ours.modules()) == 53
    eighth = {k: v.shape[0] for k, v in ours.state_dict().items() if v.dim() == 4}
    assert all(theirs.state_dict()[k].shape[0] == 8 * n for k, n in eighth.items())


def test_resnet20_has_the_published_number_of_weights():
    assert sum(p.numel() for p in resnet20().parameters()) == 269_722  # the table says 0.27 M


@pytest.fixture(scope="module")
def cifar(shared_data_session):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRANSFERLAB_DATA", str(shared_data_session))
        yield in_memory(load("cifar10_jpg", "test"), workers=0)


def published(folder):
    return load_backbone("resnet20", folder / "weights" / "cifar10_resnet20-12fca82f.th")


def test_published_weights_do_what_they_did(cifar, shared_data, each_device):
    found = evaluate(published(shared_data), cifar, device=each_device)
    print(f"ResNet-20 on 1,000 CIFAR-10 JPEGs: {found}")
    assert found.accuracy >= 0.78  # 81 % by the data's README

    model = load_backbone(
        "resnet20", shared_data / "weights" / "cifar10_resnet20-12fca82f.th", normalize=False
    )
    naive = evaluate(model, cifar, device=each_device)
    print(f"without its normalisation: {naive}")
    assert naive.accuracy < found.accuracy - 0.05


def test_batch_norm_moves_under_requires_grad_and_costs_accuracy(cifar, shared_data):
    """One look at brighter pictures in training mode, no step taken, and the network is another."""
    before = evaluate(published(shared_data), cifar, device="cpu").accuracy
    x, y = cifar.x[::10].float() / 255, cifar.y[::10]
    brighter = (0.3 * x + 0.7).clamp(0, 1)
    after = {}
    for name in ("requires_grad", "freeze"):
        model = published(shared_data)
        part = freeze(model, batch_stats="frozen")
        if name == "requires_grad":
            unfreeze(model)
            for parameter in model.features.parameters():
                parameter.requires_grad = False
        model.train()
        for _ in range(10):
            cross_entropy(model, (brighter, y))
        after[name] = evaluate(model, cifar, device="cpu").accuracy
        assert bool(part.changed()) == (name == "requires_grad")
    print(f"before {before:.1%}, requires_grad=False {after['requires_grad']:.1%}")
    assert after["freeze"] == before
    assert after["requires_grad"] < before - 0.1
