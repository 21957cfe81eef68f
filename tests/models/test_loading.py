"""Any network by name, with the preprocessing of its weights, bit-equal to torchvision's."""

import dataclasses
import hashlib
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from transferlab import InputError, load_backbone
from transferlab.data import batches, image_folder, in_memory, labels, load
from transferlab.metrics import evaluate
from transferlab.models import (
    Backbone,
    card,
    load_weights,
    read_weights,
    save_weights,
    small_cnn,
)
from transferlab.models.loading import OWN
from transferlab.models.torchvision_models import _version, torchvision_names

PRESETS = torchvision.models


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No weights on this machine, and no network."""
    monkeypatch.setenv("TRANSFERLAB_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("TRANSFERLAB_DATA", raising=False)


def picture(size: tuple[int, int] = (333, 270), seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def write(network: nn.Module, path: Path) -> Path:
    """A checkpoint as torchvision writes them: its own names, the hash in the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return path.rename(path.with_name(f"{path.stem}-{digest}.pth"))


def randomised(name: str, **options) -> nn.Module:
    """A torchvision network whose BatchNorm statistics are no longer 0 and 1."""
    torch.manual_seed(0)
    network = torchvision.models.get_model(name, weights=None, **options)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


@torch.inference_mode()
def test_resnet18_gives_torchvisions_own_logits(tmp_path):
    theirs = randomised("resnet18")
    ours = load_backbone("resnet18", write(theirs, tmp_path / "resnet18.pth")).eval()
    assert ours.num_classes == 1000 and ours.shape == (3, 224, 224)
    preset = PRESETS.ResNet18_Weights.IMAGENET1K_V1.transforms()
    for image in (picture(), picture((200, 500)), picture((100, 90)), picture().convert("L")):
        expected = theirs(preset(image.convert("RGB"))[None])
        x = ours.transform(image)
        assert x.dtype == torch.uint8 and x.shape == (3, 224, 224)
        assert torch.equal(ours(x[None].float() / 255), expected)


@torch.inference_mode()
def test_the_same_through_a_folder_of_photos(tmp_path):
    theirs = randomised("mobilenet_v2")
    ours = load_backbone("mobilenet_v2", write(theirs, tmp_path / "m.pth")).eval()
    for number in range(2):
        (tmp_path / "photos" / "a").mkdir(parents=True, exist_ok=True)
        picture((300 + number, 250), number).save(tmp_path / "photos" / "a" / f"{number}.png")
    data = in_memory(image_folder(tmp_path / "photos", ours.transform), workers=0)
    [(x, _)] = batches(data, 2)
    preset = PRESETS.MobileNet_V2_Weights.IMAGENET1K_V1.transforms()
    y = torch.stack([preset(picture((300 + n, 250), n)) for n in range(2)])
    torch.testing.assert_close(ours(x), theirs(y), rtol=0, atol=0)


@torch.inference_mode()
def test_inception_gives_torchvisions_own_logits(tmp_path):
    theirs = randomised("googlenet", init_weights=False, transform_input=True)
    ours = load_backbone("googlenet", write(theirs, tmp_path / "googlenet.pth")).eval()
    preset = PRESETS.GoogLeNet_Weights.IMAGENET1K_V1.transforms()
    found = ours(ours.transform(picture())[None].float() / 255)
    torch.testing.assert_close(found, theirs(preset(picture())[None]), rtol=0, atol=0)


def test_files_without_auxiliary_heads_are_read_too(tmp_path):
    theirs = randomised("googlenet", init_weights=False, aux_logits=False)
    load_backbone("googlenet", write(theirs, tmp_path / "googlenet.pth"), num_classes=3)


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2", "efficientnet_b1", "regnet_y_400mf"])
def test_two_versions_of_weights_have_their_own_preprocessing(name):
    versions = torchvision.models.get_model_weights(name)
    for version in versions:
        found = _version(name, version.name, versions, {}).transforms()
        expected = version.transforms()
        assert (found.resize_size, found.crop_size) == (expected.resize_size, expected.crop_size)
    presets = {(v.transforms().resize_size[0], v.url) for v in versions}
    assert len(presets) == 2


def test_named_weights_come_from_the_folder_of_weights(tmp_path, monkeypatch):
    network = randomised("mobilenet_v2")
    version = PRESETS.MobileNet_V2_Weights.IMAGENET1K_V2
    file = write(network, tmp_path / "data" / "weights" / "mobilenet_v2.pth")
    monkeypatch.setenv("TRANSFERLAB_DATA", str(tmp_path / "data"))
    with monkeypatch.context() as patch:  # a file of the name that torchvision expects
        patch.setattr(type(version), "url", property(lambda self: f"https://x/{file.name}"))
        model = load_backbone("mobilenet_v2", weights="IMAGENET1K_V2", num_classes=2)
    assert model.transform.resize == 232  # V1 has 256
    assert model.weights == "IMAGENET1K_V2"
    found, wanted = model.features.state_dict(), network.state_dict()
    assert all(torch.equal(v, wanted[k]) for k, v in found.items())
    # under torchvision's real name the hash in that name does not fit
    file.rename(file.with_name(Path(version.url).name))
    with pytest.raises(InputError, match=r"7ebf99e0\.pth is damaged or altered"):
        load_backbone("mobilenet_v2", weights="IMAGENET1K_V2", num_classes=2)


RECIPES = {
    "vgg16": {},
    "resnet50": {},
    "inception_v3": {"init_weights": False, "transform_input": True},
}


@pytest.mark.parametrize("name", RECIPES)
@torch.inference_mode()
def test_the_networks_of_the_recipes_from_the_folder_of_torch(name, tmp_path, monkeypatch):
    """Their real weights cannot be had without a network: a file in torchvision's layout can."""
    theirs = randomised(name, **RECIPES[name])
    file = write(theirs, tmp_path / "torch" / "hub" / "checkpoints" / f"{name}.pth")
    version = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    monkeypatch.setattr(type(version), "url", property(lambda self: f"https://x/{file.name}"))
    ours = load_backbone(name, "IMAGENET1K_V1").eval()
    file.unlink()  # VGG-16 takes half a gigabyte
    assert ours.weights == "IMAGENET1K_V1" and ours.num_classes == 1000
    x = version.transforms()(picture())[None]
    found = ours(ours.transform(picture())[None].float() / 255)
    torch.testing.assert_close(found, theirs(x), rtol=0, atol=0)
    ours.replace_head(2)
    assert ours(torch.rand(1, *ours.shape)).shape == (1, 2)


@pytest.mark.parametrize("name", ["resnet50", "vgg16", "inception_v3", "mobilenet_v2"])
def test_absent_weights_name_the_file_and_the_folder(name, tmp_path):
    file = Path(torchvision.models.get_model_weights(name).DEFAULT.url).name
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    sentence = rf"{name} IMAGENET1K_V\d: {file} is not on this machine.*into {folder}\.$"
    with pytest.raises(InputError, match=sentence) as caught:
        load_backbone(name, weights="DEFAULT", num_classes=2)
    assert "\n" not in str(caught.value)
    assert not folder.exists()


# ---- every family --------------------------------------------------------------------------------

# name -> a small size that it allows
FAMILIES = {
    "resnet18": 32,
    "mobilenet_v2": 32,
    "mobilenet_v3_small": 32,
    "squeezenet1_1": 32,
    "shufflenet_v2_x0_5": 32,
    "googlenet": 32,
    "densenet121": 32,
    "efficientnet_b0": 32,
    "mnasnet0_5": 32,
    "regnet_y_400mf": 32,
    "alexnet": 64,
    "vgg11": 32,
    "inception_v3": 75,
    "vit_b_16": 224,
    "swin_t": 224,
    "convnext_tiny": 32,
}


@pytest.mark.parametrize(("name", "size"), FAMILIES.items(), ids=FAMILIES)
def test_features_and_scores_in_both_modes(name, size):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_backbone(name, num_classes=3, size=size, seed=0)
    x = torch.rand(2, 3, size, size)
    modes = (False,) if name in ("vit_b_16", "swin_t", "vgg11") else (True, False)
    for mode in modes:  # Inception and GoogLeNet return tuples in training mode elsewhere
        model.train(mode)
        with torch.no_grad():
            features, scores = model.forward_features(x), model(x)
        assert features.shape == (2, model.width)
        assert scores.shape == (2, 3)
        assert features.isfinite().all()
    assert isinstance(model.head, nn.Linear)
    assert model.head.in_features == model.width
    assert model.transform(picture()).shape == (3, size, size)


def test_the_seed_makes_random_weights_and_head():
    one, two, other = (load_backbone("resnet18", num_classes=2, seed=s) for s in (1, 1, 2))
    state = one.state_dict()
    assert all(torch.equal(v, two.state_dict()[k]) for k, v in state.items())
    assert not torch.equal(state["head.weight"], other.state_dict()["head.weight"])
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_backbone("resnet18", num_classes=2, seed=1)
    assert torch.equal(torch.rand(3), expected)


def test_every_classifier_of_torchvision_has_a_name():
    names = [*OWN, *torchvision_names()]
    assert {"vgg16", "resnet18", "resnet50", "inception_v3", "mobilenet_v2"} < set(names)
    assert {"mlp", "small_cnn", "resnet20", "narrow_resnet50"} < set(names)
    assert {"narrow_vgg16", "narrow_inception"} < set(names)
    assert not [name for name in names if "rcnn" in name or "deeplab" in name]


# ---- saving and reading again --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("small_cnn", 8),
        ("narrow_resnet50", 32),
        ("narrow_vgg16", 32),
        ("narrow_inception", 32),
        ("resnet18", 32),
        ("googlenet", 32),
    ],
)
def test_what_is_saved_is_read_back(tmp_path, name, size):
    model = load_backbone(name, num_classes=3, size=size, seed=1)
    with torch.no_grad():
        model.train()(torch.rand(4, *model.shape))  # the statistics move
    path = tmp_path / "mine.safetensors"
    save_weights(model, path)
    again = load_backbone(name, path, size=size)
    x = torch.rand(2, *model.shape)
    assert torch.equal(again.eval()(x), model.eval()(x))
    assert again.num_classes == 3
    assert load_backbone(name, path, num_classes=5, size=size).num_classes == 5
    assert [p.name for p in tmp_path.iterdir()] == ["mine.safetensors"]
    save_weights(model, tmp_path / "half.safetensors", dtype=torch.float16)
    half = load_backbone(name, tmp_path / "half.safetensors", size=size)
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * path.stat().st_size
    torch.testing.assert_close(half.eval()(x), model.eval()(x), rtol=0.05, atol=0.02)


def test_the_checkpoint_of_fit_is_a_file_of_weights(tmp_path):
    from transferlab import fit
    from transferlab.data import digits, few_shot

    model = load_backbone("small_cnn", num_classes=10, seed=0)
    path = tmp_path / "run.ckpt"
    fit(model, few_shot(digits(), 2), epochs=1, checkpoint=path, device="cpu")
    again = load_backbone("small_cnn", path)
    one, two = model.state_dict(), again.state_dict()
    assert all(torch.equal(one[k], two[k]) for k in one)


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": "resnet19", "num_classes": 2}, r"network 'resnet19' is unknown; expected mlp"),
        ({"name": "fasterrcnn_resnet50_fpn", "num_classes": 2}, r"is unknown; expected mlp"),
        ({"name": "resnet18"}, r"resnet18 without weights has no head yet; give num_classes="),
        ({"name": "small_cnn"}, r"small_cnn without weights has no head yet"),
        ({"name": "small_cnn", "num_classes": 0}, r"num_classes=0: expected at least 1"),
        (
            {"name": "inception_v3", "num_classes": 2, "size": 74},
            r"inception_v3 needs images of at least 75 pixels; found size=74",
        ),
        ({"name": "vgg16", "num_classes": 2, "size": 8}, r"vgg16 needs images of at least 32"),
        ({"name": "vit_b_16", "num_classes": 2, "size": 256}, r"vit_b_16 works at 224 pixels only"),
        ({"name": "small_cnn", "num_classes": 2, "size": 2}, r"at least 4 pixels; found size=2"),
        (
            {"name": "resnet18", "weights": "IMAGENET1K_V7", "num_classes": 2},
            r"weights 'IMAGENET1K_V7' are neither a file nor one of IMAGENET1K_V1, DEFAULT\.",
        ),
        ({"name": "small_cnn", "weights": "leters"}, r"'leters'.*no shipped checkpoint.*letters"),
        ({"name": "narrow_vgg16", "num_classes": 2, "size": 31}, r"least 32 pixels; found \(3, 31"),
        ({"name": "narrow_inception", "num_classes": 2, "size": 22}, r"least 23 pixels; found"),
        ({"name": "mlp", "weights": "letters"}, r"'letters' belong to small_cnn, not to mlp"),
        ({"name": "resnet18", "weights": "letters"}, r"'letters' are neither a file nor one of"),
        ({"name": "small_cnn", "weights": "no/such.pth"}, r"'no/such\.pth': there is no such file"),
    ],
)
def test_a_wrong_argument_gets_one_sentence(arguments, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        load_backbone(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("resnet 50", "resnet50"),
        ("ResNet-18", "resnet18"),
        ("smal_cnn", "small_cnn"),
        ("mobilenetv2", "mobilenet_v2"),
    ],
)
def test_the_name_that_may_have_been_meant_works(name, meant):
    with pytest.raises(InputError, match=r"is unknown; expected mlp.*Did you mean '") as caught:
        load_backbone(name, num_classes=2)
    advised = str(caught.value).partition("Did you mean ")[2].strip("'?")
    assert advised == meant
    assert load_backbone(advised, num_classes=2).num_classes == 2


@pytest.mark.parametrize("name", [None, 18, "", "zzz"])
def test_what_is_like_no_name_gets_no_guess(name):
    with pytest.raises(InputError, match=r"is unknown; expected mlp.*such as 'timm:resnet50'\.$"):
        load_backbone(name, num_classes=2)


def test_what_is_advised_for_arguments_works(tmp_path):
    with pytest.raises(InputError, match="no head yet; give num_classes="):
        load_backbone("small_cnn")
    assert load_backbone("small_cnn", num_classes=2).num_classes == 2
    squeezenet = randomised("squeezenet1_1")
    torch.save(squeezenet.state_dict(), tmp_path / "s.pt")
    with pytest.raises(InputError, match=r"head is a convolution; give num_classes= for a new one"):
        load_backbone("squeezenet1_1", tmp_path / "s.pt")
    assert load_backbone("squeezenet1_1", tmp_path / "s.pt", num_classes=2).num_classes == 2
    with pytest.raises(InputError, match="shipped are ") as caught:
        load_backbone("small_cnn", "leters")
    for name in str(caught.value).partition("shipped are ")[2].rstrip(".").split(", "):
        assert load_backbone(card(name)["architecture"], name).weights == name


@pytest.mark.parametrize("prefix", ["model.", "module.model.", "backbone.", "net.encoder."])
@pytest.mark.parametrize("name", ["small_cnn", "resnet18"])
def test_the_prefixes_of_other_libraries_are_removed(tmp_path, prefix, name):
    """Lightning's checkpoints are like this, for networks of ours and of torchvision."""
    network = (
        small_cnn(3, (1, 32, 32)).eval() if name == "small_cnn" else randomised(name, num_classes=3)
    )
    state = {prefix + key: tensor for key, tensor in network.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state, "optimizer_states": []}, tmp_path / "w.ckpt")
    assert read_weights(tmp_path / "w.ckpt").keys() == {
        key.removeprefix("module.") for key in state
    }
    model = load_backbone(name, tmp_path / "w.ckpt", size=32).eval()
    x = torch.rand(2, *model.shape)
    assert torch.equal(model(x), network(model.normalize(x)))


def test_a_folder_is_no_file_of_weights(tmp_path):
    with pytest.raises(InputError, match="is a folder; expected a file of weights"):
        load_backbone("small_cnn", tmp_path)


def test_the_hash_of_a_shipped_checkpoint_can_be_given():
    sha256 = card("letters")["sha256"]
    assert load_backbone("small_cnn", "letters", sha256=sha256).weights == "letters"
    with pytest.raises(InputError, match="damaged or altered"):
        load_backbone("small_cnn", "letters", sha256="0" * 64)


def test_weights_of_another_architecture_are_refused(tmp_path):
    path = write(randomised("resnet18"), tmp_path / "resnet18.pth")
    sentence = r"resnet18-\w+\.pth belongs to another architecture: \d+ tensors are missing.*such"
    for name in ("mobilenet_v2", "resnet50"):
        with pytest.raises(InputError, match=sentence):
            load_backbone(name, path, num_classes=2)
    for name in ("small_cnn", "resnet20"):
        with pytest.raises(InputError, match=r"resnet18-\w+\.pth (belongs to|holds no head)"):
            load_backbone(name, path, num_classes=2)


def test_features_without_a_head_are_refused(tmp_path):
    model = load_backbone("resnet18", num_classes=2, seed=0)
    state = {k: v for k, v in model.state_dict().items() if k.startswith("features.")}
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth holds no head; expected tensors head\.weight"):
        load_backbone("resnet18", tmp_path / "w.pth", num_classes=2)


def test_leaving_out_the_normalisation_needs_a_word():
    assert isinstance(
        load_backbone("resnet18", num_classes=2, normalize=False).normalize, nn.Identity
    )
    kept = load_backbone("resnet18", num_classes=2).normalize
    assert kept.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert kept.std.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])


# ---- real weights on real photos -----------------------------------------------------------------


@torch.inference_mode()
def features(model, data) -> np.ndarray:
    model.eval()
    return torch.cat([model.forward_features(x) for x, _ in batches(data, 8)]).numpy()


def probe(model, train, test) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    head.fit(features(model, train), train.y.numpy())
    return head.score(features(model, test), test.y.numpy())


@pytest.fixture(scope="module")
def ants_and_bees(shared_data_session):
    """Decoded once: uint8 photos of 224×224."""
    file = shared_data_session / "weights" / "mobilenet_v2_imagenet_dequantized.pth"
    transform = load_backbone("mobilenet_v2", file).transform
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("TRANSFERLAB_DATA", str(shared_data_session))
        warnings.simplefilter("ignore")
        parts = [load("hymenoptera", part, transform) for part in ("train", "test")]
    return file, *(in_memory(part, workers=0) for part in parts)


def test_imagenet_features_tell_ants_from_bees(ants_and_bees):
    file, train, test = ants_and_bees
    real = probe(load_backbone("mobilenet_v2", file), train, test)
    noise = probe(load_backbone("mobilenet_v2", num_classes=2, seed=0), train, test)
    naive = probe(load_backbone("mobilenet_v2", file, normalize=False), train, test)
    print(
        f"linear probe on ants and bees: ImageNet weights {real:.1%}, random weights {noise:.1%}, "
        f"ImageNet weights without their normalisation {naive:.1%}"
    )
    assert real >= 0.92
    assert noise < real - 0.2
    assert naive < real


@torch.inference_mode()
def test_the_imagenet_head_knows_ants_and_bees_without_training(ants_and_bees):
    file, _, test = ants_and_bees
    model = load_backbone("mobilenet_v2", file).eval()
    assert model.num_classes == 1000
    names = (file.parent / "imagenet_class_names.txt").read_text().splitlines()
    said = torch.cat([model(x).argmax(1) for x, _ in batches(test, 8)])
    found = {}
    for label, name in enumerate(("ant, emmet, pismire", "bee")):
        right = said[labels(test) == label] == names.index(name)
        found[name[:3]] = right.float().mean().item()
    print("zero-shot top-1:", {k: f"{v:.1%}" for k, v in found.items()})
    assert found["ant"] > 0.7 and found["bee"] > 0.75  # 76 and 83 % by the data's README


def test_real_weights_get_a_new_head(ants_and_bees):
    file, train, _ = ants_and_bees
    model = load_backbone("mobilenet_v2", file, num_classes=2, seed=0)
    found = evaluate(model, train.subset(torch.arange(0, 244, 12)), device="cpu")
    assert found.confusion.shape == (2, 2)
    assert 0.3 < found.loss < 1.5  # an untrained head: about ln 2


class TestNote:
    """What `save_weights` notes beside the tensors comes back without being said again."""

    def test_version_and_size_of_torchvision_weights(self, tmp_path):
        file = tmp_path / "resnet50.pth"
        torch.save(torchvision.models.resnet50().state_dict(), file)
        model = load_backbone("resnet50", file, num_classes=2, size=64)
        model.transform = dataclasses.replace(model.transform, version="IMAGENET1K_V2")
        save_weights(model, tmp_path / "mine.safetensors")
        again = load_backbone("resnet50", tmp_path / "mine.safetensors")
        assert again.transform.version == "IMAGENET1K_V2"
        assert again.transform.resize == round(232 * 64 / 224)  # V1 would be 256 * 64 / 224
        assert again.shape == (3, 64, 64)

    def test_size_of_our_own_network(self, tmp_path):
        save_weights(small_cnn(3, (1, 12, 12)), tmp_path / "mine.safetensors")
        assert load_backbone("small_cnn", tmp_path / "mine.safetensors").shape == (1, 12, 12)

    @pytest.mark.parametrize("name", ["small_cnn", "resnet18"])
    @pytest.mark.parametrize("classes", [["ant", "bee", "Käfer"], None])
    def test_names_of_classes_and_columns(self, tmp_path, name, classes):
        model = load_backbone(name, num_classes=3, size=32)
        model.classes, model.columns = classes, ["pixel 1", "pixel 2"]
        save_weights(model, tmp_path / "mine.safetensors")
        again = load_backbone(name, tmp_path / "mine.safetensors")
        assert again.classes == classes
        assert again.columns == ["pixel 1", "pixel 2"]
        other = load_backbone(name, tmp_path / "mine.safetensors", num_classes=3)
        assert other.classes is None  # the outputs of a new head have no names
        assert other.columns == ["pixel 1", "pixel 2"]

    def test_names_that_are_no_texts_are_not_saved(self, tmp_path):
        model = small_cnn(2)
        model.classes = [0, 1]
        with pytest.raises(InputError, match=r"classes=\[0, 1\]; expected list of str or NoneType"):
            save_weights(model, tmp_path / "mine.safetensors")
        assert not list(tmp_path.iterdir())

    def test_files_from_before_these_entries(self):
        model = load_backbone("small_cnn", "letters")
        assert model.classes is None and model.columns is None

    def test_an_unknown_preprocessing_is_refused(self, tmp_path):
        model = load_backbone("resnet18", num_classes=2, size=32)
        model.transform = dataclasses.replace(model.transform, version="IMAGENET1K_V9")
        save_weights(model, tmp_path / "mine.safetensors")
        with pytest.raises(InputError, match=r"preprocessing of 'IMAGENET1K_V9'.* IMAGENET1K_V1"):
            load_backbone("resnet18", tmp_path / "mine.safetensors")

    def test_missing_normalisation_has_to_be_said_again(self, tmp_path):
        model = load_backbone("resnet20", num_classes=2, normalize=False)
        save_weights(model, tmp_path / "raw.safetensors")
        with pytest.raises(InputError, match="give normalize=False"):
            load_backbone("resnet20", tmp_path / "raw.safetensors")
        load_backbone("resnet20", tmp_path / "raw.safetensors", normalize=False)

    def test_another_architecture(self, tmp_path):
        save_weights(small_cnn(3), tmp_path / "mine.safetensors")
        with pytest.raises(InputError, match="belong to small_cnn, not to resnet20"):
            load_backbone("resnet20", tmp_path / "mine.safetensors")


def test_no_classes_and_no_size_are_errors_not_defaults():
    with pytest.raises(InputError, match="num_classes=0"):
        load_backbone("mobilenet_v3_small", num_classes=0)
    with pytest.raises(InputError, match="found size=0"):
        load_backbone("mobilenet_v3_small", num_classes=2, size=0)


def test_another_size_keeps_the_channels_of_the_file(tmp_path):
    save_weights(small_cnn(3, (3, 8, 8)), tmp_path / "colour.safetensors")
    model = load_backbone("small_cnn", tmp_path / "colour.safetensors", size=16)
    assert model.shape == (3, 16, 16)


def test_home_is_expanded_where_files_are_written_and_where_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save_weights(small_cnn(4), "~/four.safetensors")
    assert (tmp_path / "four.safetensors").is_file()
    assert load_backbone("small_cnn", "~/four.safetensors").num_classes == 4
    assert len(read_weights("~/four.safetensors")) == len(small_cnn(4).state_dict())


# ---- a network of one's own ----------------------------------------------------------------------


def own_network(outputs: int, name: str = "mine") -> Backbone:
    features = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.ReLU())
    return Backbone(features, width=10, num_classes=outputs, shape=(1, 8, 8), name=name)


def test_a_network_of_ones_own_is_wrapped_saved_and_reloaded(tmp_path):
    model = own_network(3)
    model.classes, model.trained_on = ["a", "b", "c"], "letters"
    save_weights(model, tmp_path / "mine.safetensors")
    again = own_network(7)  # the file says how many outputs
    load_weights(again, tmp_path / "mine.safetensors")
    x = torch.rand(4, 1, 8, 8)
    assert torch.equal(model(x), again(x))
    assert (again.classes, again.trained_on) == (["a", "b", "c"], "letters")


def test_the_weights_of_another_network_change_nothing(tmp_path):
    save_weights(own_network(3, "other"), tmp_path / "other.safetensors")
    model = own_network(3)
    before = model.head.weight.clone()
    with pytest.raises(InputError, match="belong to other, not to mine"):
        load_weights(model, tmp_path / "other.safetensors")
    assert torch.equal(model.head.weight, before)
