"""Looking inside: probes by depth, similarity of layers, Grad-CAM, on networks made by hand."""

import copy
import itertools

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn import functional as F

from transferlab import InputError, freeze, load_backbone
from transferlab.data import MemoryDataset, digits, few_shot, split
from transferlab.interpret import (
    cka,
    compare_layers,
    grad_cam,
    minibatch_cka,
    probe_by_depth,
    unbiased_hsic,
)
from transferlab.models import mlp, small_cnn


@pytest.fixture
def letters():
    return load_backbone("small_cnn", "letters", num_classes=10, seed=0)


@pytest.fixture(scope="module")
def few():
    train, held_out = split(digits(), (0.5, 0.5), seed=0)
    return few_shot(train, 10), few_shot(held_out, 10)


class Images(nn.Module):
    """Return what it is given, counting how often: a stand-in for layers whose output is known."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.features(x)


def traces(model):
    """Everything that looking inside must leave as it was."""
    return (
        [module.training for module in model.modules()],
        [len(module._forward_hooks) + len(module._backward_hooks) for module in model.modules()],
        [(p.requires_grad, p.grad) for p in model.parameters()],
        [buffer.clone().tolist() for buffer in model.buffers()],
    )


# ---- linear probe by depth -----------------------------------------------------------------------


def test_each_probe_is_a_logistic_regression_on_averaged_standardised_features(letters, few):
    train, held_out = few
    found = probe_by_depth(letters, train, held_out, batch_size=7, device="cpu")
    assert [name for name, _ in found] == ["block1", "block2", "block3", "block4", "block5"]
    letters.eval()
    for depth, (_, accuracy) in enumerate(found, start=1):
        with torch.no_grad():
            x, x_held_out = (
                letters.features[:depth](data.x).mean((2, 3)).double().numpy() for data in few
            )
        scaler = StandardScaler().fit(x)
        probe = LogisticRegression(max_iter=1000).fit(scaler.transform(x), train.y)
        assert accuracy == pytest.approx(
            probe.score(scaler.transform(x_held_out), held_out.y), abs=0.011
        )
    assert found[-1][1] > found[0][1] + 0.05  # deeper layers tell digits apart better


def test_held_out_features_are_standardised_with_the_training_data():
    x = torch.tensor([0.0, 0.1, 1.0, 1.1]).view(4, 1, 1, 1)
    train = MemoryDataset(x, torch.tensor([0, 0, 1, 1]), "ab")
    ones = MemoryDataset(x[2:], torch.tensor([1, 1]), "ab")  # of the second class only
    assert probe_by_depth(Images(nn.ReLU()), train, ones, device="cpu") == [("0", 1.0)]
    # Standardised by itself, the held-out data lies around 0, and half of it is misread.
    features = StandardScaler().fit_transform(x.view(4, 1))
    naive = LogisticRegression().fit(features, train.y)
    assert naive.score(StandardScaler().fit_transform(ones.x.view(2, 1)), ones.y) == 0.5


def test_all_layers_are_recorded_in_one_pass(few):
    model = Images(nn.ReLU(), nn.Tanh(), nn.ReLU())
    probe_by_depth(model, *few, batch_size=50, device="cpu")
    assert model.calls == 4  # 100 samples twice, in batches of 50


def test_a_layer_that_writes_into_its_input_does_not_change_what_was_recorded():
    # The two classes are −3 and −1; the ReLU makes 0 of both, in the convolution's own output.
    y = torch.arange(40) % 2
    x = (2.0 * y - 3).view(40, 1, 1, 1)
    data = MemoryDataset(x, y, "ab")
    conv = nn.Conv2d(1, 1, 1)
    nn.init.ones_(conv.weight)
    nn.init.zeros_(conv.bias)
    model = Images(conv, nn.ReLU(inplace=True))
    assert probe_by_depth(model, data, data, ["0", "1"], device="cpu") == [("0", 1.0), ("1", 0.5)]
    kept = []
    with conv.register_forward_hook(lambda module, inputs, output: kept.append(output)):
        model(x)
    assert (kept[0] == 0).all()  # the naive hook keeps what the ReLU has written


def test_probing_leaves_the_network_as_it_was(letters, few):
    letters.train()
    before = traces(letters)
    probe_by_depth(letters, *few, device="cpu")
    assert traces(letters) == before
    wrong = MemoryDataset(torch.rand(4, 1, 9, 9), torch.arange(4), "abcd")
    with pytest.raises(InputError, match="expects inputs of shape"):
        probe_by_depth(letters, wrong, wrong, device="cpu")
    assert traces(letters) == before


class ChannelsLast(Images):
    """The network inside, with feature maps (N, H, W, C), as in torchvision's Swin transformers."""

    name = "swin, made by hand"

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        for layer in self.features:
            layer.register_forward_pre_hook(lambda module, inputs: inputs[0].movedim(-1, 1))
            layer.register_forward_hook(lambda module, inputs, output: output.movedim(1, -1))

    def forward(self, x):
        return super().forward(x.movedim(1, -1))


def test_positions_are_averaged_wherever_the_channels_are(few, letters):
    blocks = [letters.features.block1, letters.features.block2]
    expected = probe_by_depth(Images(*blocks), *few, device="cpu")
    assert probe_by_depth(ChannelsLast(*blocks), *few, device="cpu") == expected


def test_tokens_are_averaged(few):
    class Tokens(nn.Module):
        def forward(self, x):
            return x.flatten(2).movedim(1, 2)  # (N, positions, channels)

    pixels = probe_by_depth(Images(nn.Identity()), *few, ["0"], device="cpu")
    assert probe_by_depth(Images(Tokens()), *few, ["0"], device="cpu") == pixels


def test_every_stage_of_a_torchvision_network_is_probed(each_device):
    model = load_backbone("resnet18", num_classes=2, size=64, seed=0)
    data = MemoryDataset(torch.rand(4, 3, 64, 64), torch.tensor([0, 1, 0, 1]), "ab")
    found = probe_by_depth(model, data, data, batch_size=3, device=each_device)
    assert [name for name, _ in found] == ["relu", "layer1", "layer2", "layer3", "layer4"]
    assert found[-1][1] == 1.0  # four points in 512 dimensions can always be told apart


def test_bad_input_of_a_probe_gets_a_sentence(letters, few):
    train, held_out = few
    with pytest.raises(InputError, match="one class only; a probe needs at least two"):
        probe_by_depth(letters, train.subset(train.y == 3), held_out, device="cpu")

    class Unused(Images):
        def forward(self, x):
            return self.features[0](x)

    with pytest.raises(InputError, match="layer '1' was not used in the forward pass"):
        probe_by_depth(Unused(nn.ReLU(), nn.Tanh()), train, held_out, device="cpu")

    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    with pytest.raises(InputError, match=r"layer '0' returns tuple; expected a tensor"):
        probe_by_depth(Images(Pair()), train, held_out, ["0"], device="cpu")


# ---- CKA -----------------------------------------------------------------------------------------


def draw(n, width, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, width, generator=generator, dtype=torch.float64)


def hsic(gram_x, gram_y):
    """The biased estimate, as it is defined: tr(KHLH) / (n − 1)²."""
    n = len(gram_x)
    centre = torch.eye(n, dtype=torch.float64) - 1 / n
    return torch.trace(gram_x @ centre @ gram_y @ centre) / (n - 1) ** 2


def dense_cka(x, y, estimate=hsic):
    gram_x, gram_y = x @ x.T, y @ y.T
    norms = estimate(gram_x, gram_x) * estimate(gram_y, gram_y)
    return (estimate(gram_x, gram_y) / norms.sqrt()).item()


def song(gram_x, gram_y):
    """HSIC₁ as a U-statistic: the mean over all ordered choices of four different samples."""
    terms = [
        gram_x[i, j] * (gram_y[i, j] + gram_y[q, r] - 2 * gram_y[i, q])
        for i, j, q, r in itertools.permutations(range(len(gram_x)), 4)
    ]
    return torch.stack(terms).mean()


@pytest.mark.parametrize(("n", "d1", "d2"), [(40, 7, 5), (12, 30, 50), (20, 30, 5), (20, 20, 20)])
def test_cka_equals_its_definition_with_few_and_with_many_samples(n, d1, d2):
    x = draw(n, d1, 0) + 3
    y = x @ draw(d1, d2, 1) + draw(n, d2, 2)
    assert cka(x, y) == pytest.approx(dense_cka(x, y), abs=1e-10)
    assert cka(x, y) == pytest.approx(cka(y, x), abs=1e-12)
    assert cka(x.float(), y.float()) == pytest.approx(cka(x, y), abs=1e-5)


@pytest.mark.parametrize("similarity", [cka, lambda x, y: minibatch_cka(x, y, batch_size=9)])
@pytest.mark.parametrize(("n", "width"), [(30, 6), (9, 25)])
def test_cka_does_not_see_rotation_scale_or_shift(similarity, n, width):
    x = draw(n, width, 0)
    y = x @ draw(width, 8, 1) + draw(n, 8, 2)
    rotation, _ = torch.linalg.qr(draw(width, width, 3))
    expected = similarity(x, y)
    assert similarity(x @ rotation * 7 + 2, y) == pytest.approx(expected, abs=1e-10)
    assert similarity(x, x @ rotation * 0.1) == pytest.approx(1, abs=1e-10)
    bent = x @ torch.diag(torch.linspace(0.1, 5, width, dtype=torch.float64))
    assert similarity(bent, y) != pytest.approx(expected, abs=1e-3)  # any other map is seen


def test_independent_features_fool_the_plain_estimate_and_not_the_debiased_one():
    n, seeds = 32, range(10)
    pairs = [(draw(n, 2000, seed), draw(n, 2000, seed + 100)) for seed in seeds]
    assert min(cka(*pair) for pair in pairs) > 0.95  # they have nothing in common
    debiased = [minibatch_cka(*pair) for pair in pairs]
    # With D ≫ N the products of different samples are nearly independent normal numbers, n(n−1)/2
    # of them, so the estimate is a correlation with this standard deviation.
    deviation = (2 / (n * (n - 1))) ** 0.5
    assert abs(sum(debiased) / len(debiased)) < 3 * deviation / len(debiased) ** 0.5
    assert max(map(abs, debiased)) < 4 * deviation


def test_unbiased_hsic_is_the_u_statistic_of_its_definition():
    pairs = [draw(6, 3, seed) for seed in range(5)]
    grams = torch.stack([part @ part.T for part in pairs])
    found = unbiased_hsic(grams[:2], grams[2:])
    assert found.shape == (2, 3)
    for a, b in itertools.product(range(2), range(3)):
        assert found[a, b] == pytest.approx(song(grams[a], grams[2 + b]).item(), abs=1e-10)


def test_one_batch_with_all_samples_gives_the_debiased_cka():
    x, y = draw(7, 3, 0), draw(7, 4, 1)
    assert minibatch_cka(x, y) == pytest.approx(dense_cka(x, y, song), abs=1e-10)


def test_the_mean_over_batches_is_the_value_of_all_samples():
    x, y = draw(8, 3, 0), draw(8, 3, 1)
    gram_x, gram_y = x @ x.T, y @ y.T

    def mean_over_batches(size, estimate):
        rows = [list(choice) for choice in itertools.combinations(range(8), size)]
        found = [estimate(gram_x[r][:, r], gram_y[r][:, r]) for r in rows]
        return torch.stack(found).mean().item()

    def ours(gram_x, gram_y):
        return unbiased_hsic(gram_x[None], gram_y[None])[0, 0]

    whole = ours(gram_x, gram_y).item()
    for size in (4, 5, 7):  # over all batches there are, exactly
        assert mean_over_batches(size, ours) == pytest.approx(whole, abs=1e-12)
    assert mean_over_batches(4, hsic) != pytest.approx(hsic(gram_x, gram_y).item(), rel=0.1)


def test_minibatches_converge_to_the_value_of_all_samples():
    x = draw(2048, 20, 0)
    y = x @ draw(20, 20, 1) + 3 * draw(2048, 20, 2)
    whole = minibatch_cka(x, y, batch_size=2048)
    assert minibatch_cka(x, y, batch_size=32) == pytest.approx(whole, abs=0.02)
    # The plain estimate on batches is far from it.
    plain = [cka(*pair) for pair in zip(x.split(32), y.split(32), strict=True)]
    assert sum(plain) / len(plain) > whole + 0.1


def test_samples_sorted_by_class_are_mixed_before_they_are_batched():
    # Two representations that share the class and nothing else.
    classes = torch.eye(4, dtype=torch.float64).repeat_interleave(32, 0) * 4
    x, y = ((classes @ draw(4, 10, seed)) + draw(128, 10, seed + 9) for seed in (0, 1))
    whole = minibatch_cka(x, y, batch_size=128)
    assert whole > 0.5
    assert minibatch_cka(x, y, batch_size=32) == pytest.approx(whole, abs=0.1)
    batches = [minibatch_cka(x[i : i + 32], y[i : i + 32]) for i in range(0, 128, 32)]
    assert max(batches) < 0.3  # one class in each batch: what they share is gone


def test_a_last_batch_that_is_too_small_is_left_out():
    x, y = draw(35, 4, 0), draw(35, 4, 1)
    order = torch.randperm(35, generator=torch.Generator().manual_seed(0))[:32]
    expected = minibatch_cka(x[order], y[order], batch_size=32)
    assert minibatch_cka(x, y, batch_size=32) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        (torch.rand(5, 2), torch.rand(4, 2), r"found shapes \(5, 2\) and \(4, 2\)"),
        (torch.rand(5), torch.rand(5), r"expected \(N, D1\) and \(N, D2\)"),
        (torch.ones(5, 2), torch.rand(5, 2), "the same for all samples"),
    ],
)
def test_bad_input_of_cka_gets_a_sentence(x, y, sentence):
    for similarity in (cka, minibatch_cka):
        with pytest.raises(InputError, match=sentence):
            similarity(x, y)


def test_three_samples_are_too_few_for_the_unbiased_estimate():
    with pytest.raises(InputError, match="no batch has 4 samples"):
        minibatch_cka(torch.rand(3, 2), torch.rand(3, 2))


def test_layers_are_compared_as_their_features_would_be(letters, few, each_device):
    train, _ = few
    other = small_cnn()
    found = compare_layers(letters, other, train, ["block2", "block5"], device=each_device)
    assert found.shape == (2, 2)
    with torch.no_grad():
        letters.eval().cpu(), other.eval().cpu()
        a = [letters.features[:depth](train.x).flatten(1) for depth in (2, 5)]
        b = [other.features[:depth](train.x).flatten(1) for depth in (2, 5)]
    for row, column in itertools.product(range(2), range(2)):
        expected = minibatch_cka(a[row], b[column])
        assert found[row, column].item() == pytest.approx(expected, abs=1e-4)


def test_a_network_is_like_itself_and_every_stage_has_a_row(letters, few):
    train, _ = few
    same = compare_layers(letters, copy.deepcopy(letters), train, batch_size=32, device="cpu")
    assert same.shape == (5, 5)
    assert torch.allclose(same.diagonal(), torch.ones(5, dtype=torch.float64), atol=1e-6)
    assert torch.allclose(same, same.T, atol=1e-6)
    assert compare_layers(letters, letters, train, device="cpu").diagonal().min() > 1 - 1e-6
    other = compare_layers(letters, mlp(shape=(1, 8, 8)), train, device="cpu")
    assert other.shape == (5, 2)


def test_comparing_leaves_the_networks_as_they_were(letters, few):
    train, _ = few
    letters.train()
    before = traces(letters)
    first = compare_layers(letters, letters, train, batch_size=32, seed=1, device="cpu")
    second = compare_layers(letters, letters, train, batch_size=32, seed=1, device="cpu")
    assert torch.equal(first, second)
    assert traces(letters) == before


# ---- Grad-CAM ------------------------------------------------------------------------------------


class Corners(nn.Module):
    """Class 0 is the light in the upper left corner, class 1 that in the lower right one.

    The first block is the identity, so the map of class 0 can be written down: the gradient of
    its score is 1 at 4 of 64 positions, hence α = 1/16, and the map is x/16.
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        conv = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.ones_(conv.weight)
        self.features = nn.Sequential(conv, nn.ReLU(inplace))

    def forward(self, x):
        maps = self.features(x)
        return torch.stack([maps[:, 0, :2, :2].sum((1, 2)), maps[:, 0, 6:, 6:].sum((1, 2))], 1)


@pytest.fixture
def corner():
    x = torch.zeros(1, 1, 8, 8)
    x[0, 0, :2, :2] = 1.0
    return x


def test_the_map_is_the_one_that_can_be_written_down(corner):
    assert torch.allclose(grad_cam(Corners(), corner, 0, device="cpu"), corner[:, 0] / 16)
    assert torch.allclose(grad_cam(Corners(), corner, device="cpu"), corner[:, 0] / 16)


def test_a_small_map_is_enlarged_to_the_image_and_lights_the_right_corner(corner):
    class Small(nn.Module):
        """Average 4×4 pixels; class 0 sees the upper left cell, class 1 speaks against it."""

        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(nn.AvgPool2d(4), nn.ReLU())

        def forward(self, x):
            cell = self.features(x)[:, 0, 0, 0]
            return torch.stack([cell, -cell], 1)

    heat = grad_cam(Small(), corner, 0, device="cpu")
    assert heat.shape == (1, 8, 8)
    assert heat[0, :2, :2].min() > 3 * heat[0, 4:, 4:].max()
    assert heat.max() == heat[0, 0, 0] == pytest.approx(0.25 * 0.25)
    assert (grad_cam(Small(), corner, 1, device="cpu") == 0).all()  # evidence against is not drawn


def test_a_frozen_backbone_has_a_map(letters, few, each_device):
    x = few[0].x[:6]
    free = grad_cam(letters, x, device=each_device)
    freeze(letters, until=None)
    for parameter in letters.parameters():
        parameter.requires_grad = False
    frozen = grad_cam(letters, x, device=each_device)
    assert frozen.shape == (6, 8, 8)
    assert (frozen >= 0).all() and (frozen.amax((1, 2)) > 0).all()
    assert torch.equal(frozen, free)
    # The way found in most tutorials: hooks on the layer, then backward from the score.
    letters.cpu().eval()
    seen = []
    with (
        letters.features.block5.register_full_backward_hook(lambda *found: seen.append(found)),
        pytest.raises(RuntimeError, match="does not require grad"),
    ):
        letters(x)[:, 0].sum().backward()
    assert not seen


def test_a_map_needs_no_gradient_mode_of_the_caller_and_leaves_nothing_behind(letters, few):
    letters.train()
    before = traces(letters)
    expected = grad_cam(letters, few[0].x[:3], 4, "block4", device="cpu")
    with torch.no_grad():
        again = grad_cam(letters, few[0].x[:3], 4, "features.block4", device="cpu")
    assert torch.equal(expected, again)
    assert not expected.requires_grad
    assert traces(letters) == before
    with pytest.raises(InputError, match=r"target=10: the model has 10 outputs; .* 0 to 9"):
        grad_cam(letters, few[0].x[:3], 10, device="cpu")
    assert traces(letters) == before


@pytest.mark.parametrize("layer", ["0", "1"])
def test_layers_that_write_into_their_input_change_nothing(corner, layer):
    x = corner - 0.5  # the ReLU has something to cut
    expected = grad_cam(Corners(inplace=False), x, 0, layer, device="cpu")
    assert torch.equal(grad_cam(Corners(inplace=True), x, 0, layer, device="cpu"), expected)
    assert torch.equal(x, corner - 0.5)


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1"])
def test_torchvision_networks_have_maps_of_the_size_of_the_image(name):
    model = load_backbone(name, num_classes=3, size=64, seed=0)
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    heat = grad_cam(model, x, torch.tensor([0, 2]), device="cpu")
    assert heat.shape == (2, 64, 64)
    assert torch.isfinite(heat).all() and (heat >= 0).all()
    assert torch.allclose(heat[1:], grad_cam(model, x[1:], 2, device="cpu"), rtol=1e-3, atol=1e-6)


def test_maps_with_channels_last_are_read_right(corner):
    class Scores(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.features, self.inner, self.name = inner.features, inner, getattr(inner, "name", "")

        def forward(self, x):
            return self.inner(x).sum((1, 2, 3))[:, None]

    torch.manual_seed(0)
    blocks = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU()
    expected = grad_cam(Scores(Images(*blocks)), corner, device="cpu")
    assert expected.max() > 0
    found = grad_cam(Scores(ChannelsLast(*blocks)), corner, device="cpu")
    assert torch.allclose(found, expected)
    with torch.device("meta"):  # the one family of torchvision that has such maps
        swin, x = load_backbone("swin_t", num_classes=3), torch.rand(1, 3, 224, 224)
    assert swin.features.features[0](x).shape == (1, 56, 56, 96)


@pytest.mark.parametrize(
    ("name", "layer"), [("letters", "block3"), ("letters", "block5"), ("resnet18", "layer3")]
)
def test_the_maps_are_those_of_captum(name, layer):
    captum = pytest.importorskip("captum.attr", reason="needs captum, which is not installed")
    torch.manual_seed(0)
    if name == "letters":
        model, x = load_backbone("small_cnn", "letters", num_classes=10, seed=0), digits().x[:5]
    else:
        model, x = load_backbone(name, num_classes=10, size=64, seed=0), torch.rand(5, 3, 64, 64)
    target = torch.tensor([0, 1, 2, 3, 4])
    reference = captum.LayerGradCam(model.eval(), model.get_submodule(f"features.{layer}"))
    expected = reference.attribute(x.clone(), target, relu_attributions=True).detach()
    expected = F.interpolate(expected, x.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    found = grad_cam(model, x, target, layer, device="cpu")
    assert found.amax((1, 2)).max() > 0
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_bytes_are_read_as_pixels(letters, few):
    x = (few[0].x[:2] * 255).byte()
    assert torch.equal(
        grad_cam(letters, x, 1, device="cpu"), grad_cam(letters, x.float() / 255, 1, device="cpu")
    )


def test_a_layer_without_maps_gets_a_sentence(corner):
    with pytest.raises(InputError, match=r"Backbone has no stage with feature maps"):
        grad_cam(mlp(shape=(1, 8, 8)), corner, device="cpu")
    with pytest.raises(InputError, match=r"layer '2' returns no feature maps; .* found \(1, 128\)"):
        grad_cam(mlp(shape=(1, 8, 8)), corner, layer="2", device="cpu")
