"""Features of a frozen backbone: computed once, kept on the disk, and a head trained on them."""

import copy
import json
import os
import platform
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import Dataset, Subset
from torchvision import transforms

from transferlab import InputError, data, evaluate, fit, freeze, load_backbone
from transferlab.data import MemoryDataset, digits, few_shot, fresh_letters, image_folder
from transferlab.features import extract_features, train_head
from transferlab.models import Backbone, Normalize, small_cnn


@pytest.fixture
def model():
    return load_backbone("small_cnn", "letters", num_classes=10, seed=0)


@pytest.fixture
def frozen(model):
    freeze(model)
    return model


@pytest.fixture(scope="module")
def few():
    return few_shot(digits(), 5, seed=0)


def plain(model: Backbone, x: torch.Tensor) -> torch.Tensor:
    """Return the features as the network itself computes them in evaluation mode."""
    model.eval()
    with torch.no_grad():
        return model.forward_features(x)


# ---- computing -----------------------------------------------------------------------------------


def test_features_are_those_of_the_frozen_network_in_training(frozen, few):
    found = extract_features(frozen, few, batch_size=7, device="cpu")
    frozen.train()
    with torch.no_grad():
        assert torch.allclose(found.x, frozen.forward_features(few.x), atol=1e-5)
    assert torch.equal(found.y, few.y)
    assert found.classes == few.classes
    assert found.x.shape == (50, frozen.width)


@pytest.mark.parametrize("name", ["resnet20", "mobilenet_v2", "shufflenet_v2_x0_5", "mlp"])
def test_every_kind_of_network_gives_its_own_features(name):
    model = load_backbone(name, num_classes=2, size=32, seed=0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # statistics as after a training
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
    frozen = freeze(model)
    x = torch.rand(5, *model.shape)
    images = MemoryDataset(x, torch.tensor([0, 1, 0, 1, 0]), ["a", "b"])
    found = extract_features(model, images, batch_size=2, device="cpu")
    assert torch.allclose(found.x, plain(model, x), rtol=1e-4, atol=1e-5)
    frozen.assert_unchanged()


def test_features_of_photos_are_those_of_the_plain_network(shared_data):
    weights = shared_data / "weights" / "mobilenet_v2_imagenet_dequantized.pth"
    model = load_backbone("mobilenet_v2", weights, num_classes=2)
    freeze(model)
    photos = data.subset(
        image_folder(shared_data / "hymenoptera" / "val", model.transform), torch.arange(0, 150, 50)
    )
    found = extract_features(model, photos, device="cpu")
    x = torch.stack([photos[i][0] for i in range(3)]).float() / 255
    assert torch.allclose(found.x, plain(model, x), rtol=1e-3, atol=1e-4)


def test_every_device_gives_the_same_features_and_trains_on_them(
    frozen, few, each_device, tmp_path
):
    expected = plain(frozen, few.x)
    for cache in (None, tmp_path, tmp_path):
        found = extract_features(frozen, few, device=each_device, cache=cache)
        assert torch.allclose(found.x.cpu(), expected, rtol=1e-2, atol=1e-3)  # a GPU may use TF32
    options = {"device": each_device, "cache": tmp_path}
    history = train_head(frozen, few, epochs=3, **options)
    assert history.loss[-1] < history.loss[0]


def test_features_can_be_trained_on(frozen, few):
    found = extract_features(frozen, few)
    nn.functional.cross_entropy(frozen.head(found.x), found.y.to(found.x.device)).backward()
    assert frozen.head.weight.grad is not None


def test_features_that_are_not_finite_are_refused(frozen, few):
    with torch.no_grad():
        frozen.features.block1.conv.weight.fill_(3e38)
    with pytest.raises(InputError, match="digits, features of small_cnn hold NaN or infinite"):
        extract_features(frozen, few)


def test_a_backbone_that_can_still_change_is_refused(model, few):
    with pytest.raises(InputError, match="is trainable"):
        extract_features(model, few)
    freeze(model, until="block5")
    with pytest.raises(InputError, match=r"features.block5\..* is trainable"):
        extract_features(model, few)


@pytest.mark.parametrize("batch_stats", ["adapt", "batch"])
def test_batch_statistics_are_refused(model, few, batch_stats):
    freeze(model, batch_stats=batch_stats)
    with pytest.raises(InputError, match=r"BatchNorm features.block1.bn depends on the batch"):
        extract_features(model, few)


def test_a_batchnorm_without_running_statistics_is_refused(model, few):
    model.features.block2.bn = nn.BatchNorm2d(32, track_running_stats=False)
    freeze(model)
    x = few.x[:8]
    assert not torch.allclose(plain(model, x)[:4], plain(model, x[:4]), atol=1e-3)  # even in eval
    with pytest.raises(InputError, match=r"features.block2.bn has no running statistics"):
        extract_features(model, few)


def test_every_layer_is_left_in_its_mode(frozen, few):
    frozen.train()
    modes = {name: module.training for name, module in frozen.named_modules()}
    extract_features(frozen, few)
    assert {name: module.training for name, module in frozen.named_modules()} == modes
    assert modes["features.block1.bn"] is False
    assert modes["features"] is True


# ---- keeping them on the disk --------------------------------------------------------------------


class Counted:
    """Extract features of a model, on the CPU and through one cache; count what is computed."""

    def __init__(self, model: Backbone, cache: Path) -> None:
        self.model, self.cache, self.samples = model, cache, 0
        first = next(m for m in model.features.modules() if isinstance(m, nn.Conv2d | nn.Linear))
        first.register_forward_hook(self._count)

    def _count(self, layer, inputs, output) -> None:
        self.samples += len(output)

    def __deepcopy__(self, memo):
        return self  # the copy of the model that computes is counted here too

    def __call__(self, dataset: Dataset) -> tuple[MemoryDataset, int]:
        """Return the features, and how many samples went through the network for them."""
        self.samples = 0
        found = extract_features(self.model, dataset, device="cpu", cache=self.cache)
        return found, self.samples


@pytest.fixture
def cached(frozen, tmp_path):
    return Counted(frozen, tmp_path / "cache")


def files(folder: Path, ending: str = ".x.npy") -> list[Path]:
    return sorted(folder.glob(f"*{ending}"))


def same(one: MemoryDataset, other: MemoryDataset) -> bool:
    return torch.equal(one.x, other.x) and torch.equal(one.y, other.y)


def test_the_second_call_reads(cached, few):
    first, computed = cached(few)
    again, recomputed = cached(few)
    # the first and the last sample are computed again each time, to compare
    assert (computed, recomputed) == (50 + 2, 2)
    assert same(first, again)
    assert torch.allclose(first.x, plain(cached.model, few.x), atol=1e-5)
    assert (again.classes, again.name) == (few.classes, "digits, features of small_cnn")


def test_an_equal_copy_of_model_and_data_reads_too(cached, few):
    first, _ = cached(few)
    other = load_backbone("small_cnn", "letters", num_classes=3, seed=9)  # another head
    freeze(other)
    same_data = MemoryDataset(few.x.clone(), few.y.clone(), few.classes, few.name)
    found, computed = Counted(other, cached.cache)(same_data)
    assert computed == 2
    assert same(found, first)


def test_the_cache_may_lie_at_home(frozen, few, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    found = extract_features(frozen, few, device="cpu", cache="~/features")
    assert len(files(tmp_path / "features")) == 1
    assert same(found, extract_features(frozen, few, device="cpu", cache="~/features"))


def test_a_person_can_read_what_the_features_belong_to(cached, few):
    cached(few)
    [features], [note] = files(cached.cache), files(cached.cache, ".json")
    assert features.name == f"{note.stem}.x.npy"
    found = json.loads(note.read_text(encoding="utf-8"))["of"]
    assert set(found) == {"data", "format", "libraries", "network"}
    assert found["data"]["name"] == "digits"
    assert found["data"]["shape of x"] == [50, 1, 8, 8]
    assert found["network"]["name"] == "small_cnn"
    assert found["libraries"]["torch"] == torch.__version__


def _change_a_weight(model):
    model.features.block1.conv.weight[3, 0, 1, 1] += 0.5


def _change_a_running_mean(model):
    model.features.block4.bn.running_mean[0] += 0.5


def _change_the_normalisation(model):
    model.normalize = Normalize([0.4], [0.3])


def _leave_out_the_normalisation(model):
    model.leave_out_normalization()


def _change_a_layer_without_weights(model):
    model.features.block3.relu = nn.Tanh()


def _change_what_nobody_prints(model):
    model.features.block3.relu.forward = torch.tanh  # as if the code of the layer was edited


@pytest.mark.parametrize(
    "change",
    [
        _change_a_weight,
        _change_a_running_mean,
        _change_the_normalisation,
        _leave_out_the_normalisation,
        _change_a_layer_without_weights,
        _change_what_nobody_prints,
    ],
)
def test_another_network_is_computed_anew(tmp_path, few, change):
    model = load_backbone("small_cnn", "letters", num_classes=10, seed=0)
    model.normalize = Normalize([0.5], [0.5])
    freeze(model)
    cached = Counted(model, tmp_path)
    before, _ = cached(few)
    with torch.no_grad():
        change(model)
    now, computed = cached(few)
    # a cache that knows the network by its name would return `before`
    assert not torch.allclose(now.x, before.x, atol=1e-3)
    assert torch.allclose(now.x, plain(model, few.x), atol=1e-5)
    assert computed >= 50


def test_other_tensors_are_computed_anew(cached, few):
    before, _ = cached(few)
    x, y = few.x.clone(), few.y.clone()
    x[25, 0, 4, 4] += 0.5  # neither the first nor the last sample
    pixel, computed = cached(MemoryDataset(x, few.y, few.classes, few.name))
    assert computed == 52
    assert not torch.equal(pixel.x[25], before.x[25])
    assert torch.equal(pixel.x[:25], before.x[:25])
    y[25] = 7
    label, computed = cached(MemoryDataset(few.x, y, few.classes, few.name))
    assert (computed, int(label.y[25])) == (52, 7)
    assert len(files(cached.cache)) == 3


def test_the_type_of_numbers_is_kept_and_noticed(cached, few):
    exact, _ = cached(few)
    with torch.autocast("cpu", torch.bfloat16):
        short, computed = cached(few)
        again, recomputed = cached(few)
    assert (exact.x.dtype, short.x.dtype, again.x.dtype) == (torch.float32, *[torch.bfloat16] * 2)
    assert (computed, recomputed) == (54, 2)
    assert cached(few)[0].x.dtype == torch.float32


def test_writing_to_the_features_changes_nothing_on_the_disk(cached, few):
    first, _ = cached(few)
    [file] = files(cached.cache)
    before = file.read_bytes()
    kept = first.x.clone()
    first.x.mul_(-3)
    first.y.zero_()
    assert file.read_bytes() == before
    again, _ = cached(few)
    assert torch.equal(again.x, kept)
    assert torch.equal(again.y, few.y)


def test_what_cannot_be_told_apart_is_refused(frozen, tmp_path):
    class Items(Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return torch.zeros(1, 8, 8), 0

    class Mirrored(MemoryDataset):  # other samples than those of its parent
        def __getitem__(self, index):
            return self.x[index].flip(-1), self.y[index]

    mirrored = Mirrored(torch.rand(3, 1, 8, 8), torch.tensor([0, 1, 0]), ["a", "b"])
    for odd in (Items(), fresh_letters(10), mirrored, Subset(Items(), [1])):
        with pytest.raises(
            InputError, match=r"cannot be told from another one.*fingerprint\(\)\.$"
        ):
            extract_features(frozen, odd, cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    assert len(extract_features(frozen, Items())) == 2  # in memory it works


def test_a_cache_that_is_a_file_is_refused(frozen, few, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"cache='.*file' is a file; expected a folder\."):
        extract_features(frozen, few, cache=tmp_path / "file")


# ---- image folders -------------------------------------------------------------------------------

SHRINK = transforms.Compose([transforms.Resize([8, 8]), transforms.PILToTensor()])


def picture(path: Path, color: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise((12, 12), 40 + color).convert("RGB").save(path)


@pytest.fixture
def photos(tmp_path):
    for i in range(6):
        picture(tmp_path / "photos" / "ab"[i % 2] / f"{i}.ppm", color=20 * i)
    return tmp_path / "photos"


@pytest.fixture
def colour(tmp_path):
    torch.manual_seed(0)
    model = small_cnn(2, shape=(3, 8, 8))
    freeze(model)
    return Counted(model, tmp_path / "cache")


def test_image_folders_are_known_by_their_files(colour, photos):
    first, computed = colour(image_folder(photos, SHRINK))
    again, recomputed = colour(image_folder(photos, SHRINK))
    assert (computed, recomputed) == (6 + 2, 2)
    assert same(first, again)
    (photos.parent / "elsewhere").mkdir()
    moved = photos.rename(photos.parent / "elsewhere" / "photos")
    assert colour(image_folder(moved, SHRINK))[1] == 2


def test_a_photo_that_was_changed_is_noticed(colour, photos):
    before, _ = colour(image_folder(photos, SHRINK))
    file = photos / "b" / "1.ppm"
    status = file.stat()
    picture(file, color=200)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))  # as some tools for copying do
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    now, computed = colour(image_folder(photos, SHRINK))
    assert computed == 6 + 2
    assert not torch.equal(now.x, before.x)


def test_other_files_labels_parts_and_transforms_are_computed_anew(colour, photos):
    whole = image_folder(photos, SHRINK)
    other = transforms.Compose([transforms.CenterCrop([8, 8]), transforms.PILToTensor()])
    found = [colour(whole), colour(image_folder(photos, other))]
    found += [colour(data.subset(whole, torch.tensor(rows))) for rows in ([0, 1, 4], [0, 2, 4])]
    (photos / "b" / "1.ppm").rename(photos / "a" / "1.ppm")
    found.append(colour(image_folder(photos, SHRINK)))
    assert [computed for _, computed in found] == [8, 8, 5, 5, 8]
    one, other, first, second, relabelled = (features for features, _ in found)
    assert not torch.equal(one.x, other.x)
    assert torch.allclose(first.x, one.x[[0, 1, 4]], atol=1e-6)
    assert torch.allclose(second.x, one.x[[0, 2, 4]], atol=1e-6)
    assert relabelled.y.tolist() == [0, 0, 0, 0, 1, 1]


def test_a_transform_without_words_is_refused(colour, photos):
    with pytest.raises(InputError, match=r"the transform <function .*> does not say what it does"):
        colour(image_folder(photos, lambda image: torch.zeros(3, 8, 8)))


def test_a_random_transform_is_not_kept(colour, photos):
    """The naive cache returns the first draw for ever, as if pictures had been augmented."""
    random = transforms.Compose([transforms.RandomCrop(8), transforms.PILToTensor()])
    with pytest.raises(InputError, match="same sample has other features when it is computed agai"):
        colour(image_folder(photos, random))
    assert not list(colour.cache.iterdir())
    assert len(extract_features(colour.model, image_folder(photos, random))) == 6


# ---- damage, crashes, several processes ----------------------------------------------------------


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _empty(content: bytes) -> bytes:
    return b""


def _flip(share: float):
    def flip(content: bytes) -> bytes:
        at = int(share * (len(content) - 1))
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    return flip


def _another_file(content: bytes) -> bytes:
    return b"<html>404</html>" * 1000


@pytest.mark.parametrize(
    "damage",
    [_cut, _empty, _flip(0), _flip(0.01), _flip(0.5), _flip(0.99), _flip(1), _another_file],
)
def test_a_damaged_file_is_computed_anew(cached, few, damage):
    cached(few)
    [file] = files(cached.cache)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.warns(UserWarning, match=r"features-\w+\.json is damaged; its content is"):
        now, computed = cached(few)
    assert computed == 52
    assert torch.allclose(now.x, plain(cached.model, few.x), atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cached(few)[1] == 2


def test_a_file_under_a_wrong_name_is_computed_anew(cached, few):
    cached(few)
    [before] = files(cached.cache, ".json")
    cached(few.subset(torch.arange(20)))
    [other] = set(files(cached.cache, ".json")) - {before}
    for ending in (".x.npy", ".y.npy", ".json"):
        one, two = (note.with_name(note.stem + ending) for note in (before, other))
        one.write_bytes(two.read_bytes())
    with pytest.warns(UserWarning, match="holds other data than its name says"):
        now, computed = cached(few)
    assert computed == 52
    assert len(now) == 50


class StoppedError(Exception):
    pass


def stop_at(rows: int):
    """Return a hook that ends the computation when so many samples have come."""
    seen = [0]

    def hook(layer, inputs, output):
        seen[0] += len(output)
        if seen[0] >= rows:
            raise StoppedError

    return hook


def test_an_interrupted_run_leaves_nothing_behind(cached, few):
    hook = cached.model.features.block5.conv.register_forward_hook(stop_at(30))
    with pytest.raises(StoppedError):
        extract_features(cached.model, few, batch_size=10, cache=cached.cache)
    assert not list(cached.cache.iterdir())
    hook.remove()
    assert cached(few)[1] == 52


def test_what_a_killed_run_left_is_swept_up(cached, few):
    cached(few)
    names = [path.name for path in files(cached.cache, "")]
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for file in files(cached.cache, ""):
        file.unlink()
        left = f".{file.name}.{platform.node()}-{ended.pid}-0.part"
        file.with_name(left).write_bytes(b"half of it")
    cached(few)
    assert [path.name for path in sorted(cached.cache.iterdir())] == names


def test_two_at_once_do_not_disturb_each_other(cached, few):
    """One writer is in the middle of its file when another one starts, writes and finishes."""
    other = Counted(copy.deepcopy(cached.model), cached.cache)
    inner = []

    def hook(layer, inputs, output):
        if not inner:
            inner.append(None)
            inner[0] = other(few)

    cached.model.features.block5.conv.register_forward_hook(hook)
    outer, _ = cached(few)
    assert same(outer, inner[0][0])
    assert torch.allclose(outer.x, plain(other.model, few.x), atol=1e-5)
    assert len(list(cached.cache.iterdir())) == 3
    assert other(few)[1] == 2


# ---- training a head -----------------------------------------------------------------------------


def test_the_head_becomes_that_of_the_whole_frozen_network(few, tmp_path):
    options = {"epochs": 4, "batch_size": 16, "lr": 0.01, "seed": 3}
    whole, quick = (load_backbone("small_cnn", "letters", num_classes=10, seed=0) for _ in "ab")
    freeze(whole)
    slow_history = fit(whole, few, val=few, **options)
    frozen = freeze(quick)
    history = train_head(quick, few, val=few, cache=tmp_path, **options)
    assert torch.allclose(quick.head.weight, whole.head.weight, atol=1e-5)
    assert torch.allclose(quick.head.bias, whole.head.bias, atol=1e-5)
    assert history.loss == pytest.approx(slow_history.loss, abs=1e-5)
    assert history.val_accuracy == pytest.approx(slow_history.val_accuracy)
    assert history.val_accuracy[-1] == pytest.approx(evaluate(quick, few).accuracy)
    frozen.assert_unchanged()


def test_features_from_the_disk_train_the_same_head(few, tmp_path):
    heads = []
    for cache in (None, tmp_path, tmp_path):
        model = load_backbone("small_cnn", "letters", num_classes=10, seed=0)
        freeze(model)
        train_head(model, few, epochs=2, cache=cache)
        heads.append(model.head.weight)
    assert torch.equal(heads[0], heads[1])
    assert torch.equal(heads[1], heads[2])


def test_train_head_refuses_what_features_cannot_do(model, few):
    with pytest.raises(InputError, match="is trainable"):
        train_head(model, few, epochs=1)
    freeze(model)
    for name in ("augment", "unfreeze"):
        with pytest.raises(
            InputError, match=f"^{name}= needs a pass through the backbone in every"
        ):
            train_head(model, few, epochs=1, **{name: lambda *_: None})
    model.replace_head(5)
    with pytest.raises(InputError, match="the data has label 9, but the model has 5 outputs"):
        train_head(model, few, epochs=1)


# ---- data larger than memory ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def peaks(tmp_path_factory):
    """The largest memory of a process of its own, in MB; see `peak_memory.py`."""
    if sys.platform != "linux":
        pytest.skip("needs /proc, which only Linux has, to see the peak of a process's memory")
    script = Path(__file__).with_name("peak_memory.py")
    # Freed blocks from 100 kB on go back to the system, so that the peak is what was in use.
    allocator = {"MALLOC_MMAP_THRESHOLD_": "100000"}
    done = subprocess.run(
        [sys.executable, script, tmp_path_factory.mktemp("peaks")],
        env=os.environ | allocator,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_memory_does_not_grow_with_the_features_on_the_disk(peaks):
    few, many, read, naive = peaks["features"]
    assert many < few + 5  # the difference between n and 4n features is 59 MB
    assert read < 5
    assert naive > 79  # all of them in memory


def test_memory_does_not_grow_with_a_folder_of_images(peaks):
    few, many, naive = peaks["fit"]
    assert many < few + 5  # the difference between n and 4n photos is 59 MB
    assert naive > 59
