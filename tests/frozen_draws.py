"""What `test_frozen.py` freezes: the first draws of every set, every augmentation, every network.

Each entry is made anew from a fixed seed. Exact draws (random integers, copies of pixels) are kept
as hashes. What comes out of matrix products, interpolation or a Fourier transform may differ in the
last digits on another processor; of that a few numbers are kept and compared with a tolerance.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from transferlab import data, models, pretrain
from transferlab.applications import (
    detection,
    faces,
    recommendation,
    scenes,
    segmentation,
    speech,
    text,
)
from transferlab.data import augment
from transferlab.device import seeded
from transferlab.files import hash_tensors

SENTENCES = ["Return the mean of all rows.", "A mean row, of all!", "Rows of nothing."]
KEPT = 8  # numbers of an entry that is compared with a tolerance


def images(channels: int = 1, size: int = 12) -> Tensor:
    return torch.rand(6, channels, size, size, generator=torch.Generator().manual_seed(3))


def exact(*tensors: Tensor) -> str:
    return hash_tensors((str(i), tensor) for i, tensor in enumerate(tensors))[:16]


def near(*tensors: Tensor) -> list[float]:
    """Return size, mean, deviation and some numbers, evenly spread."""
    x = torch.cat([tensor.detach().double().flatten() for tensor in tensors])
    chosen = x[torch.linspace(0, len(x) - 1, KEPT).long()]
    numbers = [float(len(x)), float(x.mean()), float(x.std()), *chosen.tolist()]
    return [round(number, 6) for number in numbers]


def of(dataset: Any) -> tuple[Tensor, ...]:
    return dataset.x.float(), dataset.y.float()


def drawn(fresh: data.FreshDataset, n: int = 20) -> tuple[Tensor, ...]:
    x, y = fresh.draw(n, torch.Generator().manual_seed(1))
    return x, y.float()


def texts(found: text.Texts) -> tuple[Tensor, ...]:
    codes = [torch.tensor(list(" | ".join(found.texts).encode()), dtype=torch.uint8)]
    return (*codes, found.y)


def rated(found: recommendation.Ratings) -> tuple[Tensor, ...]:
    return found.user.float(), found.item.float(), found.stars.float()


LETTERS = torch.arange(12)
TABLE = text.Texts(SENTENCES, torch.tensor([0, 1, 0]), ["a", "b"], "hand-written", [])

SETS: dict[str, Callable[[], Any]] = {
    "digits": lambda: exact(*of(data.digits())),
    "digits, enlarged": lambda: near(*of(data.digits(16, 3))),
    "letters": lambda: near(*of(data.letters(40, seed=1))),
    "letters, 32 pixels": lambda: near(*of(data.letters(20, seed=2, size=32, channels=3))),
    "labels of letters": lambda: exact(data.letters(100, seed=1).y),
    "fresh letters": lambda: near(*drawn(data.fresh_letters(64))),
    "drawn letters": lambda: near(data.draw_letters(LETTERS, torch.Generator().manual_seed(0))),
    "fractals": lambda: near(*of(data.fractals(20, seed=1, classes=10))),
    "fractals, 16 pixels": lambda: near(*of(data.fractals(10, size=16, channels=3, classes=10))),
    "labels of fractals": lambda: exact(data.fractals(50, seed=1, classes=10).y),
    "drawn fractals": lambda: near(
        data.draw_fractals(torch.arange(5), torch.Generator().manual_seed(0), classes=10)
    ),
    "photos": lambda: exact(*of(data.photos(30, seed=1, dtype=torch.uint8))),
    "photos, test": lambda: exact(*of(data.photos(30, channels=1, part="test", size=16))),
    "textures": lambda: exact(*of(data.textures(30, seed=1))),
    "textures, colour": lambda: exact(*of(data.textures(30, channels=3, part="test", size=8))),
    "shapes": lambda: near(*of(data.shapes(20, seed=1))),
    "labels of shapes": lambda: exact(data.shapes(50, seed=1).y),
    "fresh shapes": lambda: near(*drawn(data.fresh_shapes(64, size=24, channels=1))),
    "scenes": lambda: near(*(s := scenes.scenes(12, seed=1), (s.x, s.boxes, s.labels, s.masks))[1]),
    "faces": lambda: exact(*of(faces.faces())),
    "faces, resized": lambda: near(*of(faces.faces(16, 3))),
    "identities": lambda: near(*of(faces.identities(range(4), 3, seed=1))),
    "fresh identities": lambda: near(*drawn(faces.fresh_identities(range(9)))),
    "tones": lambda: near(*of(speech.tones(4, seed=1, seconds=0.5))),
    "contours of tones": lambda: exact(speech.tones(30, seed=1, seconds=0.2, label="contour").y),
    "fresh tones": lambda: near(*drawn(speech.fresh_tones(seconds=0.5), 3)),
    "spectrograms": lambda: near(*of(speech.spectrograms(speech.tones(2, seed=1), mels=16))),
    "ratings": lambda: near(*rated(recommendation.ratings(20, seed=1))),
    "reviews": lambda: exact(*texts(text.reviews(30, seed=1))),
    "negated reviews": lambda: exact(*texts(text.reviews(30, seed=2, negated=0.5))),
    "vocabulary and encoding": lambda: exact(
        text.encode(TABLE, text.vocabulary(SENTENCES, 9), 8).x
    ),
    "few shots": lambda: exact(*of(data.few_shot(data.digits(), 3, seed=5))),
    "split": lambda: exact(
        *[t for part in data.split(data.digits(), (0.4, 0.1, 0.5), seed=5) for t in of(part)]
    ),
    "resized": lambda: near(*of(data.resize(data.digits(), 20))),
    "batches": lambda: exact(
        *[
            x
            for x, _ in data.batches(
                data.digits(), 100, shuffle=True, generator=torch.Generator().manual_seed(0)
            )
        ]
    ),
}

STEPS: dict[str, Callable[[Tensor], Tensor]] = {
    "rotate": augment.rotate(30),
    "scale": augment.scale(0.8, 1.2),
    "shift": augment.shift(0.2),
    "flip": augment.flip(),
    "crop": augment.crop(2),
    "brightness": augment.brightness(0.3),
    "contrast": augment.contrast(0.4),
    "noise": augment.noise(0.1),
    "compose": augment.compose(
        augment.rotate(15), augment.scale(0.9, 1.1), augment.crop(1), augment.noise(0.05)
    ),
    "small changes": pretrain.small_changes,
    "random patches": lambda x: pretrain.random_patches(x, 3, 0.5),
    "dropped pixels": pretrain.drop_pixels,
    "random tokens": lambda x: pretrain.random_tokens((9 * x[:, 0, 0]).long(), 0.3),
    "hidden tokens": lambda x: pretrain.hide_tokens(
        (9 * x[:, 0, 0]).long(), x[:, 0, 1] > 0.5, vocabulary=10
    ),
}


def lora_matrices() -> nn.Module:
    model = models.small_cnn(10)
    for parameter in model.features.parameters():
        parameter.requires_grad = False
    models.add_lora(model, rank=2, alpha=2, seed=4)
    return model


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: models.mlp(3, (1, 8, 8)),
    "small_cnn": lambda: models.small_cnn(10),
    "resnet20": lambda: models.resnet20(10),
    "narrow_resnet50": lambda: models.narrow_resnet50(10),
    "narrow_vgg16": lambda: models.narrow_vgg16(10),
    "narrow_inception": lambda: models.narrow_inception(10),
    "text_transformer": lambda: models.text_transformer(2, (8,), 50),
    "small_gru": lambda: speech.small_gru(5, (1, 16, 20)),
    "Transcriber": lambda: speech.Transcriber(speech.Recurrent(16, 8), symbols=4),
    "UNet": lambda: segmentation.UNet(models.small_cnn(10, (3, 32, 32)), 4),
    "Detector": lambda: detection.Detector(models.small_cnn(10, (3, 32, 32)), 4),
    "Generator": lambda: models.Generator((1, 8, 8)),
    "Discriminator": lambda: models.Discriminator(models.small_cnn(10)),
    "Autoencoder": lambda: models.Autoencoder(models.small_cnn(10)),
    "MaskedAutoencoder": lambda: models.MaskedAutoencoder(models.small_cnn(10)),
    "Projector": lambda: models.Projector(models.small_cnn(10)),
    "MaskedLanguageModel": lambda: models.MaskedLanguageModel(models.text_transformer(2, (8,), 50)),
    "LoRA": lora_matrices,
}


def start_of(build: Callable[[], nn.Module]) -> Any:
    """Return names, and initial weights, of a network."""
    with seeded(0):
        state = build().state_dict()
    names = torch.tensor(list("\n".join(state).encode()), dtype=torch.uint8)
    return {"names": exact(names), "tensors": len(state), "weights": near(*state.values())}


def shipped(name: str) -> Any:
    """Return the names of the tensors, and the hash, of shipped weights."""
    state = models.read_weights(models.weights.SHIPPED / f"{name}.safetensors")
    names = torch.tensor(list("\n".join(state).encode()), dtype=torch.uint8)
    return {"names": exact(names), "tensors": len(state), "sha256": models.card(name)["sha256"]}


def augmented(step: Callable[[Tensor], Tensor]) -> Any:
    with seeded(0):
        x = step(images())
    return near(x.double())


def entries() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield every entry: its name, and the function that makes it."""
    yield from SETS.items()
    for name, step in STEPS.items():
        yield f"augmentation: {name}", lambda step=step: augmented(step)
    for name, build in NETWORKS.items():
        yield f"network: {name}", lambda build=build: start_of(build)
    for name in models.shipped():
        yield f"shipped: {name}", lambda name=name: shipped(name)
