"""A backbone checks what it is fed, and normalises once."""

import copy
import re

import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from transferlab import InputError, checks, data, load_backbone, models
from transferlab.data import MemoryDataset, batches, digits
from transferlab.models import (
    Normalize,
    mlp,
    narrow_inception,
    narrow_resnet50,
    narrow_vgg16,
    resnet20,
    small_cnn,
)


@pytest.mark.parametrize(
    ("build", "shape", "width"),
    [
        (small_cnn, (1, 8, 8), 128),
        (small_cnn, (3, 16, 16), 128),
        (mlp, (1, 28, 28), 64),
        (resnet20, (3, 32, 32), 64),
        (narrow_resnet50, (3, 32, 32), 256),
        (narrow_vgg16, (3, 32, 32), 64),
        (narrow_vgg16, (1, 64, 48), 64),
        (narrow_inception, (3, 32, 32), 256),
        (narrow_inception, (1, 23, 48), 256),
    ],
)
def test_shapes(build, shape, width):
    model = build(7, shape)
    x = torch.rand(2, *shape)
    assert model.forward_features(x).shape == (2, width) == (2, model.width)
    assert model(x).shape == (2, 7) == (2, model.num_classes)
    assert model.shape == shape


def test_the_output_is_head_of_features():
    model = small_cnn(5).eval()
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(model(x), model.head(model.forward_features(x)))


def test_normalize_is_the_formula_per_channel():
    layer = Normalize((0.1, 0.2, 0.3), (1.0, 2.0, 4.0))
    x = torch.rand(2, 3, 4, 4)
    for c, (mean, std) in enumerate([(0.1, 1.0), (0.2, 2.0), (0.3, 4.0)]):
        torch.testing.assert_close(layer(x)[:, c], (x[:, c] - mean) / std)
    assert not layer.state_dict()  # it is a recipe, not a weight


@pytest.mark.parametrize("shape", [(1, 9, 8), (3, 8, 8), (1, 16, 16)])
def test_a_wrong_size_gets_one_sentence(shape):
    with pytest.raises(InputError) as caught:
        small_cnn()(torch.rand(2, *shape))
    text = str(caught.value)
    assert f"small_cnn expects inputs of shape (N, 1, 8, 8); found (2, {str(shape)[1:]}" in text
    assert "\n" not in text


GREY = MemoryDataset(torch.rand(4, 1, 8, 8), [0, 1, 0, 1], ["a", "b"])


@pytest.mark.parametrize(
    ("build", "x", "advice", "follow"),
    [
        (small_cnn, torch.rand(1, 8, 8), "x[None]", lambda m, x: m(x[None])),
        (
            resnet20,
            torch.rand(2, 32, 32, 3),
            "x.permute(0, 3, 1, 2)",
            lambda m, x: m(x.permute(0, 3, 1, 2)),
        ),
        (
            resnet20,
            torch.rand(2, 1, 32, 32),
            "x.repeat(1, 3, 1, 1)",
            lambda m, x: m(x.repeat(1, 3, 1, 1)),
        ),
        (
            small_cnn,
            torch.randint(256, (2, 3, 8, 8)).byte(),
            "torchvision.transforms.functional.rgb_to_grayscale(x)",
            lambda m, x: m(torchvision.transforms.functional.rgb_to_grayscale(x)),
        ),
        (
            small_cnn,
            torch.rand(2, 784),
            "models.mlp(num_classes, shape=784)",
            lambda m, x: models.mlp(2, shape=784)(x),
        ),
        (
            lambda: small_cnn(2, (1, 16, 16)),
            GREY.x,
            "data.resize(dataset, 16)",
            lambda m, x: m(data.resize(GREY, 16).x),
        ),
    ],
)
def test_the_advice_for_a_wrong_shape_works_when_followed(build, x, advice, follow):
    model = build()
    with pytest.raises(InputError, match=re.escape(advice)):
        model(x)
    assert len(follow(model, x)) >= 1


@pytest.mark.parametrize("build", [small_cnn, resnet20])
def test_a_photo_transformed_by_the_model_fits_the_model(build):
    photo = Image.new("RGB", (50, 40), (255, 0, 0))
    model = build().eval()
    x = model.transform(photo)
    assert x.dtype == torch.uint8 and tuple(x.shape) == model.shape
    assert torch.equal(model(x[None]), model(x[None].float() / 255))


def test_a_table_has_no_photos():
    model = mlp(3, 30)
    assert model.shape == (30,) and model.transform is None
    assert model(torch.rand(2, 30)).shape == (2, 3)


def test_the_centre_of_a_photo_is_kept():
    photo = Image.new("RGB", (48, 16), (0, 0, 255))
    photo.paste((255, 0, 0), (16, 0, 32, 16))
    assert (small_cnn(2, (3, 8, 8)).transform(photo).float().mean((1, 2))[0]) > 200


def test_a_second_normalisation_is_noticed():
    """The naive pipeline normalises in the data's transform, as every tutorial does."""
    model = resnet20().eval()
    x = torch.rand(4, 3, 32, 32)
    naive = (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / 0.225
    with pytest.raises(InputError, match=r"normalises its input itself.*0\.\.1; found -\d"):
        model(naive)
    with pytest.raises(InputError, match=r"found 0\.00\.\.255\.00"):
        resnet20()(torch.tensor([0.0, 255.0]).repeat(3, 32, 16)[None])
    model(x)


def test_a_network_without_normalisation_takes_any_range():
    mlp(3, (1, 2, 2))(torch.full((2, 1, 2, 2), -7.0))


def test_a_new_head_is_new_and_the_features_are_not():
    model = load_backbone("small_cnn", weights="letters")
    twin = copy.deepcopy(model)
    model.replace_head(4)
    assert model.num_classes == 4 and twin.num_classes == 37
    one, two = model.features.state_dict(), twin.features.state_dict()
    assert all(torch.equal(one[k], two[k]) for k in one)
    with pytest.raises(InputError, match="num_classes=0: expected at least 1"):
        model.replace_head(0)
    assert model.num_classes == 4


def test_a_head_follows_its_features(each_device):
    model = small_cnn().to(each_device).double()
    model.replace_head(3)
    assert model.head.weight.dtype == torch.float64
    assert model.head.weight.device.type == each_device
    assert model(torch.rand(2, 1, 8, 8, device=each_device, dtype=torch.float64)).shape == (2, 3)


def test_every_parameter_gets_a_gradient(each_device):
    narrow = (narrow_resnet50(), narrow_vgg16(), narrow_inception())
    for model in (small_cnn(), *narrow, resnet20(), mlp(10, (1, 8, 8))):
        model.to(each_device)
        x = torch.rand(4, *model.shape, device=each_device)
        model(x).square().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_backbone_is_an_ordinary_module():
    model = small_cnn()
    names = [name for name, _ in model.named_children()]
    assert names == ["normalize", "features", "head"]
    [(x, _), *_] = batches(digits(), 16)
    assert model(x).shape == (16, 10)


def test_the_range_of_pixels_is_checked_in_every_call():
    model, raw = load_backbone("resnet20", num_classes=2, seed=0), 255 * torch.rand(2, 3, 32, 32)
    for _ in range(2):
        with pytest.raises(InputError, match=r"expects pixels in 0..1"):
            model(raw)
        model(raw / 255)


def test_a_gpu_notes_strange_pixels_and_says_so_when_asked(each_device):
    model = resnet20().to(each_device)
    checks.check_pixels_seen(model)  # nothing seen yet
    raw = 255 * torch.rand(2, 3, 32, 32, device=each_device)
    with pytest.raises(InputError, match=r"expects pixels in 0..1; found"):
        model(raw)
        checks.check_pixels_seen(nn.Sequential(model))
    model(raw / 255)
    checks.check_pixels_seen(nn.Sequential(model))


def test_a_network_for_colour_refuses_grey_images_in_a_sentence():
    with pytest.raises(InputError, match="normalises 3 channels; found shape=\\(1, 28, 28\\)"):
        resnet20(10, (1, 28, 28))


def test_softmax_regression_is_an_mlp_without_hidden_layers():
    assert mlp(10, (1, 8, 8), widths=())(torch.rand(2, 1, 8, 8)).shape == (2, 10)
