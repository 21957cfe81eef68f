"""A net under refactorings: no random draw and no shipped weight changes unnoticed.

Every number of the course rests on its draws. Whoever moves code must not change one, and would not
see it: other letters look as good as these. So each entry below is made anew from a fixed seed and
compared with what `frozen.json` keeps of it:

- a hash of all bytes where every processor gives the same ones: integers, uniform numbers, copies;
- a few numbers, compared with a tolerance, where the last digits depend on the processor: normal
  numbers, sines, sums, matrix products, convolutions, interpolation, Fourier transforms.

Whoever changes a draw on purpose writes the file anew. This prints which entries changed:

    python tests/test_frozen.py

Passages of `docstrings` are not kept, since they depend on the versions of other packages; nor are
the real sets of `load`, `spoken_digits` and `movielens`, which are files outside this repository.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import transferlab
from transferlab.applications.detection import Detector
from transferlab.applications.faces import draw_identities, faces, fresh_identities, identities
from transferlab.applications.recommendation import Ratings, ratings
from transferlab.applications.scenes import Scenes, scenes
from transferlab.applications.segmentation import UNet
from transferlab.applications.speech import (
    Recurrent,
    Transcriber,
    fresh_tones,
    log_mel,
    small_gru,
    speak,
    spectrograms,
    tones,
)
from transferlab.applications.text import Texts, encode, passages_of, reviews, vocabulary
from transferlab.data import (
    FreshDataset,
    MemoryDataset,
    batches,
    digits,
    draw_fractals,
    draw_letters,
    few_shot,
    fractals,
    fresh_letters,
    fresh_shapes,
    letters,
    photo_patches,
    resize,
    shapes,
    split,
    subset,
    textures,
)
from transferlab.data.augment import (
    brightness,
    compose,
    contrast,
    crop,
    flip,
    noise,
    rotate,
    scale,
    shift,
)
from transferlab.device import seeded
from transferlab.finetune import freeze, mixup
from transferlab.interpret import minibatch_cka
from transferlab.models import (
    GAN,
    Autoencoder,
    Discriminator,
    Generator,
    MaskedAutoencoder,
    MaskedLanguageModel,
    Projector,
    add_lora,
    load_backbone,
    mlp,
    narrow_inception,
    narrow_resnet50,
    narrow_vgg16,
    read_weights,
    resnet20,
    small_cnn,
    text_transformer,
)
from transferlab.pretrain import (
    autoencoder,
    contrastive,
    denoising,
    drop_pixels,
    gan,
    hide_tokens,
    masked,
    masked_tokens,
    random_patches,
    random_tokens,
    small_changes,
    supervised,
)
from transferlab.privacy import fit_private, membership_inference
from transferlab.select import rank_correlation, rank_models
from transferlab.train import fit

FILE = Path(__file__).with_name("frozen.json")
WEIGHTS = Path(transferlab.__file__).parent / "weights"
TOLERANCE = 1e-4
KEPT = 8  # elements of a tensor that is compared with a tolerance


# ---- what is kept of a result --------------------------------------------------------------------


def exact(*parts: Tensor | Sequence[str]) -> str:
    """Return a hash of tensors (type, shape and numbers) and of lists of words."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(f"{part.dtype} {tuple(part.shape)}\n".encode())
            digest.update(part.detach().contiguous().numpy().tobytes())
        else:
            digest.update(json.dumps(list(part)).encode())
    return digest.hexdigest()[:16]


def near(x: Tensor) -> dict[str, Any]:
    """Return type, shape, mean, deviation and some elements.

    The weighted mean notices what the others do not: rows in another order, a few other numbers.
    """
    flat = x.detach().double().flatten()
    chosen = torch.randint(len(flat), (KEPT,), generator=generator())
    return {
        "type": str(x.dtype),
        "shape": list(x.shape),
        "mean": rounded(flat.mean()),
        "std": rounded(flat.std(correction=0)),
        "weighted": rounded((flat * spread(flat)).mean()),
        "elements": [rounded(number) for number in flat[chosen]],
    }


def state(model: nn.Module) -> dict[str, Any]:
    """Return the names in a state dict, with types and shapes, and what is near its numbers."""
    tensors = model.state_dict()
    flat = torch.cat([tensor.double().flatten() for tensor in tensors.values()])
    # Not the mean: among 400,000 weights a small layer must count too.
    weighted = rounded((flat * spread(flat)).sum() / len(flat) ** 0.5)
    return {**names(tensors), **near(flat), "weighted": weighted}


def names(tensors: dict[str, Tensor]) -> dict[str, Any]:
    described = [f"{name} {t.dtype} {tuple(t.shape)}" for name, t in tensors.items()]
    return {"tensors": len(tensors), "names": exact(described)}


def spread(x: Tensor) -> Tensor:
    """Return weights in 0..1 that differ from element to element."""
    return torch.rand(len(x), dtype=torch.float64, generator=generator())


def rounded(number: float | Tensor) -> float:
    return round(float(number), 6)


def differences(kept: Any, found: Any, where: str = "") -> list[str]:
    """Return a sentence for each part of a result that is not what was kept."""
    if isinstance(kept, dict) and isinstance(found, dict) and kept.keys() == found.keys():
        return [line for key in kept for line in differences(kept[key], found[key], f"{key}: ")]
    if isinstance(kept, float) and isinstance(found, float):
        same = abs(kept - found) <= TOLERANCE
    elif isinstance(kept, list) and isinstance(found, list) and len(kept) == len(found):
        same = not any(map(differences, kept, found))
    else:
        same = kept == found
    return [] if same else [f"{where}kept {kept}, found {found}"]


# ---- what all entries share ----------------------------------------------------------------------


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=generator(seed))


IMAGES = uniform(6, 3, 8, 12)  # not square: height and width must not be mixed up
TOKENS = torch.tensor([[5, 3, 9, 4, 7, 6, 8, 3], [4, 4, 8, 5, 3, 0, 0, 0], [9] + 7 * [0]])
SENTENCES = [
    "The mean of a row is a number.",
    "A row of zeros, which has no mean; what then?",
    "Zeros are numbers too: the rows of a table hold them.",
]
MODULE = '''
def mean(row):
    """Return the mean of all the numbers that stand in a row.

    A row without any number has no mean at all, and so it is an error here.

    >>> mean([1, 2])
    """
'''
NUMBERED = MemoryDataset(torch.arange(60), torch.arange(60) % 4, list("abcd"))  # x says which
BLOBS = MemoryDataset(uniform(40, 1, 8, 8), torch.arange(40) % 3, list("abc"), "blobs")


def sample(data: MemoryDataset) -> dict[str, Any]:
    """Return exact labels and classes, and what is near the inputs."""
    return {"y": exact(data.y, data.classes), "x": near(data.x)}


def exact_sample(data: MemoryDataset) -> dict[str, Any]:
    return {"y": exact(data.y, data.classes), "x": exact(data.x)}


def drawn(data: FreshDataset) -> MemoryDataset:
    """Return an epoch of fresh data in two batches, from the generator that is there by default."""
    x, y = zip(*batches(data, 4), strict=True)
    return MemoryDataset(torch.cat(x), torch.cat(y), data.classes)


def scene(found: Scenes) -> dict[str, Any]:
    return {
        "x": near(found.x),
        "boxes": near(found.boxes),
        "labels": exact(found.labels),
        "masks": near(found.masks),
    }


def columns(found: Ratings) -> str:
    return exact(found.user, found.item, found.stars)


def words(found: Texts) -> str:
    return exact(found.texts, found.y, found.classes)


def encoded(size: int, length: int) -> MemoryDataset:
    texts = Texts(SENTENCES, torch.tensor([0, 1, 1]), ["row", "zeros"], "sentences", [])
    return encode(texts, vocabulary(SENTENCES, size), length)


def mean_byte(x: Tensor) -> list[Any]:
    """Return type, shape and mean: each byte by itself may be rounded up or down."""
    return [str(x.dtype), list(x.shape), rounded(x.double().mean() / 255)]


def rows(parts: Iterable[Any]) -> str:
    """Return which rows of `NUMBERED` each part holds, in which order."""
    return exact(*(part.x for part in parts))


# ---- generated and embedded data sets ------------------------------------------------------------

SETS: dict[str, Callable[[], Any]] = {
    "digits": lambda: exact_sample(digits()),
    "digits enlarged": lambda: sample(digits(12, channels=3)),
    "faces": lambda: exact_sample(faces()),
    "faces resized": lambda: sample(faces(12, channels=3)),
    "letters": lambda: sample(letters(30, seed=1)),
    "letters, 32 pixels": lambda: sample(letters(8, seed=2, size=32, channels=3)),
    "letters, 40 pixels": lambda: sample(letters(8, seed=3, size=40)),
    "draw_letters": lambda: near(draw_letters(torch.arange(37), generator(), 16)),
    "fresh_letters": lambda: sample(drawn(fresh_letters(8))),
    "fractals": lambda: sample(fractals(16, seed=1)),
    "fractals in colour": lambda: sample(fractals(4, seed=2, size=40, channels=3, classes=5)),
    "draw_fractals": lambda: near(draw_fractals(torch.arange(5), generator(), 16, classes=5)),
    "identities": lambda: sample(identities([0, 7, 9_999], each=2, seed=1)),
    "draw_identities": lambda: near(draw_identities(torch.tensor([3, 3, 500]), generator(), 16)),
    "fresh_identities": lambda: sample(drawn(fresh_identities(range(10, 20), 8))),
    "photos": lambda: exact_sample(photo_patches(20, seed=1)),
    "photos as bytes": lambda: exact_sample(photo_patches(20, seed=1, dtype=torch.uint8)),
    "photos in grey, test": lambda: exact_sample(
        photo_patches(20, size=16, channels=1, part="test")
    ),
    "textures": lambda: exact_sample(textures(20, seed=1)),
    "textures in three channels, test": lambda: exact_sample(
        textures(20, size=16, channels=3, part="test")
    ),
    "shapes": lambda: sample(shapes(12, seed=1)),
    "shapes in grey": lambda: sample(shapes(12, seed=2, size=16, channels=1)),
    "fresh_shapes": lambda: sample(drawn(fresh_shapes(8))),
    "scenes": lambda: scene(scenes(12, seed=1)),
    "scenes of five objects": lambda: scene(scenes(6, seed=2, size=40, channels=1, objects=5)),
    "speak": lambda: near(speak(["ama", "izu so"], generator(), 0.3, torch.tensor([1, 3]))),
    "tones": lambda: sample(tones(4, seed=1, seconds=0.3)),
    "tones by contour": lambda: sample(tones(4, seed=1, seconds=0.3, label="contour")),
    "fresh_tones": lambda: sample(drawn(fresh_tones(8, seconds=0.2))),
    "log_mel": lambda: near(log_mel(uniform(2, 2000))),
    "spectrograms": lambda: sample(spectrograms(tones(4, seed=1), mels=24, hop=256)),
    "fresh spectrograms": lambda: sample(drawn(spectrograms(fresh_tones(8, seconds=0.2)))),
    "ratings": lambda: columns(ratings(12, 50, seed=1)),
    "ratings of another world": lambda: columns(
        ratings(6, 20, seed=2, tastes=2, per_user=5, noise=0.1, world=3)
    ),
    "ratings of some users, shuffled": lambda: exact(
        (found := ratings(6, 20, per_user=5).of(torch.tensor([4, 1])).shuffled_within_users(7))[1],
        found[0].item,
    ),
    "reviews": lambda: words(reviews(20, seed=1)),
    "reviews with negations": lambda: words(reviews(20, seed=2, negated=0.7)),
    "passages_of": lambda: exact(list(passages_of(MODULE))),
    "vocabulary": lambda: exact(vocabulary(SENTENCES), vocabulary(SENTENCES, 8)),
    "encode": lambda: [exact_sample(encoded(size, 12)) for size in (8, 4096)],
}

# ---- which samples, in which order ---------------------------------------------------------------

CHOICES: dict[str, Callable[[], Any]] = {
    "few_shot": lambda: rows(few_shot(NUMBERED, shots, seed=5) for shots in (1, 3)),
    "few_shot of digits": lambda: exact_sample(few_shot(digits(), 2)),
    "split": lambda: rows(split(NUMBERED, (0.5, 0.2, 0.3), seed=5)),
    "split of digits": lambda: exact(*(part.y for part in split(digits(), (0.4, 0.1, 0.5)))),
    "subset": lambda: rows([subset(NUMBERED, torch.tensor([9, 2, 30]))]),
    "batches": lambda: exact(
        *(x for x, _ in batches(NUMBERED, 16, shuffle=True, generator=generator(2)))
    ),
    "batches of a share": lambda: exact(
        *(x for x, _ in batches(NUMBERED, 16, shuffle=True, generator=generator(2), share=(1, 3)))
    ),
    "resize": lambda: near(resize(digits(), 11).x),
    "resize of bytes": lambda: mean_byte(resize(photo_patches(4, dtype=torch.uint8), 20).x),
}

# ---- augmentation, and what pre-training hides ---------------------------------------------------

CHANGES: dict[str, Callable[[], Any]] = {
    "rotate": lambda: near(rotate(30)(IMAGES)),
    "rotate one way": lambda: near(rotate(10, 20)(IMAGES)),
    "scale": lambda: near(scale(0.7, 1.4)(IMAGES)),
    "shift": lambda: near(shift(0.25)(IMAGES)),
    "flip": lambda: exact(flip()(IMAGES)),
    "crop": lambda: exact(crop(2)(IMAGES)),
    "brightness": lambda: exact(brightness(0.3)(IMAGES)),
    "contrast": lambda: near(contrast(0.4)(IMAGES)),
    "noise": lambda: near(noise(0.1)(IMAGES)),
    "compose": lambda: near(
        compose(crop(1), rotate(15), scale(0.9, 1.1), shift(0.1), flip(), brightness(0.2))(IMAGES)
    ),
    "small_changes": lambda: near(small_changes(IMAGES)),
    "random_patches": lambda: exact(random_patches(IMAGES, 3, 0.6)),
    "drop_pixels": lambda: exact(drop_pixels(IMAGES)),
    "random_tokens": lambda: exact(random_tokens(TOKENS, 0.4)),
    "hide_tokens": lambda: exact(hide_tokens(TOKENS.repeat(9, 1), TOKENS.repeat(9, 1) > 3, 10)),
}

# ---- initial weights: each network is built after every generator was set to seed 0 --------------


def with_lora() -> nn.Module:
    model = small_cnn()
    freeze(model)
    add_lora(model, rank=2, alpha=4, seed=3)
    return model


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "mlp": mlp,
    "small_cnn": small_cnn,
    "resnet20": resnet20,
    "narrow_resnet50": narrow_resnet50,
    "narrow_vgg16": narrow_vgg16,
    "narrow_inception": narrow_inception,
    "text_transformer": text_transformer,
    "small_gru": small_gru,
    "UNet": lambda: UNet(small_cnn(), 8),
    "Detector": lambda: Detector(small_cnn(), 7),
    "Generator": lambda: Generator((1, 8, 8)),
    "Discriminator": lambda: Discriminator(small_cnn()),
    "GAN": lambda: GAN(small_cnn(), Generator((1, 8, 8))),
    "Autoencoder": lambda: Autoencoder(small_cnn()),
    "MaskedAutoencoder": lambda: MaskedAutoencoder(small_cnn()),
    "Projector": lambda: Projector(small_cnn()),
    "Transcriber": lambda: Transcriber(Recurrent(16), 5),
    "MaskedLanguageModel": lambda: MaskedLanguageModel(text_transformer()),
    "LoRA": with_lora,
    "load_backbone, random": lambda: load_backbone("small_cnn", num_classes=3, seed=5),
    "load_backbone, torchvision's": lambda: load_backbone("squeezenet1_1", num_classes=3, seed=5),
    "letters with a new head": lambda: load_backbone("small_cnn", "letters", 3, seed=5),
    "letters_resnet50 with a new head": lambda: load_backbone(
        "narrow_resnet50", "letters_resnet50", 3, seed=5
    ),
    "letters_vgg16 with a new head": lambda: load_backbone(
        "narrow_vgg16", "letters_vgg16", 3, seed=5
    ),
    "letters_inception with a new head": lambda: load_backbone(
        "narrow_inception", "letters_inception", 3, seed=5
    ),
    "docstrings with a new head": lambda: load_backbone(
        "text_transformer", "docstrings", 3, seed=5
    ),
}


# ---- what is drawn during a run ------------------------------------------------------------------


def net() -> nn.Module:
    return mlp(3, (1, 8, 8), widths=(16,))


def losses(train: Callable[..., Any], model: nn.Module, data: MemoryDataset, **options: Any) -> Any:
    """Return the losses of the two epochs of a short run, and the weights at its end."""
    history = train(model, data, batch_size=16, device="cpu", seed=4, **options)
    return {"loss": [rounded(loss) for loss in history.loss], **state(model)}


def pretrained(objective: Callable[..., Any]) -> Any:
    # Small steps: Adam turns rounding errors of tiny gradients into whole steps.
    return losses(objective, net(), BLOBS, steps=5, lr=1e-4)


def mixed() -> list[float]:
    """Return the losses of three mixtures; the inputs are large, so that each λ is felt."""
    model, loss_fn = net(), mixup(0.4)
    with torch.no_grad():
        return [rounded(loss_fn(model, (20 * BLOBS.x, BLOBS.y))) for _ in range(3)]


def attacked() -> list[float]:
    halves = [subset(BLOBS, torch.arange(20)), subset(BLOBS, torch.arange(20, 40))]
    found = membership_inference(net(), *halves, seed=3, device="cpu")
    parts = (found.auc, found.advantage, found.tpr_at_low_fpr)
    return [rounded(n) for part in parts for n in (part.mean, part.low, part.high)]


def shuffled_scores() -> list[float]:
    ranking = rank_models({"net": net()}, BLOBS, scores=["nce"], shuffles=4, device="cpu", seed=3)
    return [rounded(score) for score in ranking.noise["net"]["nce"]]


RUNS: dict[str, Callable[[], Any]] = {
    "fit": lambda: losses(fit, net(), BLOBS, epochs=2),
    "fit with augmentation": lambda: losses(fit, net(), BLOBS, epochs=2, augment=crop(1)),
    "fit with dropout": lambda: losses(
        fit, text_transformer(2, (12,), 50, width=8), encoded(50, 12), epochs=2, lr=1e-4
    ),
    "mixup": mixed,
    "fit with mixup": lambda: losses(fit, net(), BLOBS, epochs=2, loss_fn=mixup(0.4)),
    "supervised": lambda: pretrained(supervised),
    "autoencoder": lambda: pretrained(autoencoder),
    "denoising": lambda: pretrained(denoising),
    "masked": lambda: pretrained(masked),
    "contrastive": lambda: pretrained(contrastive),
    "gan": lambda: pretrained(gan),
    "masked_tokens": lambda: losses(
        masked_tokens, text_transformer(2, (12,), 50, width=8), encoded(50, 12), steps=2, lr=1e-4
    ),
    "images of a generator": lambda: near(Generator((1, 8, 8)).sample(4, seed=3)),
    "fit_private": lambda: losses(fit_private, net(), BLOBS, epochs=2, noise=1.0),
    "membership_inference": attacked,
    "minibatch_cka": lambda: rounded(minibatch_cka(uniform(30, 5), uniform(30, 6), 8, seed=3)),
    "rank_models": shuffled_scores,
    "rank_correlation": lambda: rounded(
        rank_correlation(range(9), [0, 2, 1, 4, 8, 3, 5, 6, 7]).p  # from 9 on, orders are drawn
    ),
}


# ---- the shipped weights -------------------------------------------------------------------------


def shipped_file(file: Path) -> dict[str, Any]:
    return {
        **names(dict(sorted(read_weights(file).items()))),
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }


# ---- the net -------------------------------------------------------------------------------------

ENTRIES: dict[str, Callable[[], Any]] = {
    **{f"data: {name}": make for name, make in {**SETS, **CHOICES}.items()},
    **{f"change: {name}": make for name, make in CHANGES.items()},
    **{f"start: {name}": lambda build=build: state(build()) for name, build in NETWORKS.items()},
    "start: A of LoRA": lambda: [
        near(t) for n, t in with_lora().named_parameters() if n[-1] == "A"
    ],
    **{f"run: {name}": make for name, make in RUNS.items()},
    **{
        f"file: {file.stem}": lambda file=file: shipped_file(file)
        for file in sorted(WEIGHTS.glob("*.safetensors"))
    },
}


def made(name: str) -> Any:
    with seeded(0):
        return ENTRIES[name]()


def kept() -> dict[str, Any]:
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}


@pytest.mark.parametrize("name", ENTRIES)
def test_frozen(name: str) -> None:
    assert name in kept(), f"{name!r} is not in {FILE.name}; python {__file__} writes it"
    changed = differences(kept()[name], made(name))
    assert not changed, f"{name!r} changed: " + "; ".join(changed)


def test_nothing_frozen_is_gone() -> None:
    gone = [name for name in kept() if name not in ENTRIES]
    assert not gone, f"{FILE.name} keeps what is not made any more: {gone}"


def main() -> None:
    """Write the file anew; what is the same but for its last digits stays as it was kept."""
    old, new = kept(), {}
    for name in ENTRIES:
        found = made(name)
        changed = differences(old[name], found) if name in old else ["new"]
        new[name] = found if changed else old[name]
        if changed:
            print(f"{name}: {'; '.join(changed)}")
    for name in old.keys() - new.keys():
        print(f"{name}: gone")
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in new.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{FILE.name} keeps {len(new)} entries")


if __name__ == "__main__":
    main()
