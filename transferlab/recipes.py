"""Recipes: how the shipped checkpoints were made, so that they can be reproduced."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch

from transferlab.applications.text import docstrings, encode, unlabelled_docstrings, vocabulary
from transferlab.data import fresh_letters, letters
from transferlab.device import seeded
from transferlab.errors import InputError
from transferlab.metrics import evaluate, mean_loss
from transferlab.models import (
    Backbone,
    MaskedLanguageModel,
    load_backbone,
    narrow_inception,
    narrow_resnet50,
    narrow_vgg16,
    save_weights,
    small_cnn,
    text_transformer,
)
from transferlab.models.weights import SHIPPED, sha256
from transferlab.pretrain import guess_tokens, masked_tokens, supervised

WORDS = 2048  # in the vocabulary of "docstrings"
# What the card says about a pre-training besides the recipe's own numbers.
Facts = dict[str, Any]


def _supervised(recipe: "Recipe", options: dict[str, Any]) -> tuple[Backbone, Facts]:
    channels, size, _ = recipe.shape
    source = fresh_letters(recipe.batch_size * 100, size=size, channels=channels)
    with seeded(options["seed"]):
        model = recipe.architecture(len(source.classes), recipe.shape)
    supervised(model, source, **options)
    return model, {"classes": source.classes, "objective": "supervised, cross-entropy"}


def _on_letters(model: Backbone, facts: Facts, seed: int, device: str) -> dict[str, float]:
    channels, size, _ = model.shape
    unseen = letters(5000, seed=seed + 1_000_000, size=size, channels=channels)
    evaluation = evaluate(model, unseen, device=device)
    return {
        "accuracy on 5,000 unseen letters": round(evaluation.accuracy, 4),
        "loss": round(evaluation.loss, 4),
    }


def _masked_tokens(recipe: "Recipe", options: dict[str, Any]) -> tuple[Backbone, Facts]:
    texts = unlabelled_docstrings()
    (length,) = recipe.shape
    words = vocabulary(texts.texts, WORDS)
    with seeded(options["seed"]):
        model = recipe.architecture(1, recipe.shape, len(words))  # its head is never trained
    masked_tokens(model, encode(texts, words, length), **options)
    objective = "masked tokens, cross-entropy at the hidden ones"
    return model, {"classes": [], "objective": objective, "vocabulary": words}


def _on_docstrings(model: Backbone, facts: Facts, seed: int, device: str) -> dict[str, float]:
    (length,) = model.shape
    unseen = encode(docstrings("test"), facts["vocabulary"], length)
    with seeded(seed):
        loss = mean_loss(MaskedLanguageModel(model), unseen, guess_tokens(0.15), device=device)
    return {"loss at the hidden tokens of unseen passages": round(loss, 4)}


@dataclass(frozen=True)
class Recipe:
    """How a shipped checkpoint was made."""

    architecture: Callable[..., Backbone]
    shape: tuple[int, ...]
    steps: int
    batch_size: int
    about: str
    lr: float = 3e-3  # the peak, for Adam
    pretrain: Callable[..., tuple[Backbone, Facts]] = _supervised
    measure: Callable[..., dict[str, float]] = _on_letters


RECIPES = {
    "letters": Recipe(
        small_cnn, (1, 8, 8), 2500, 256, "generated letters of 8×8 pixels, fresh in every batch"
    ),
    "letters_resnet50": Recipe(
        narrow_resnet50, (3, 32, 32), 1500, 128, "generated letters of 32×32 pixels, fresh too"
    ),
    "letters_vgg16": Recipe(
        narrow_vgg16,
        (3, 32, 32),
        2500,
        128,
        "generated letters of 32×32 pixels, fresh too",
        lr=1e-3,  # without batch normalisation 3e-3 is too large: the accuracy stays at chance
    ),
    "letters_inception": Recipe(
        narrow_inception, (3, 32, 32), 1500, 128, "generated letters of 32×32 pixels, fresh too"
    ),
    "docstrings": Recipe(
        text_transformer,
        (32,),
        8000,
        64,
        "passages of the documentation inside the installed packages, without labels and without "
        "the modules that are for testing",
        pretrain=_masked_tokens,
        measure=_on_docstrings,
    ),
}


def make_checkpoint(
    name: str,
    folder: str | Path | None = None,
    *,
    steps: int | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> Path:
    """Pre-train one of the shipped networks and write it with its card.

    Args:
        name: one of `RECIPES`.
        folder: where to write; by default the package's own folder of weights.
        steps: fewer gradient steps than the recipe's, for a trial.
        seed: fixes the network's initialisation and the letters that it sees.
        device: the shipped files were made on a CPU; other devices round differently.
    """
    if name not in RECIPES:
        raise InputError(f"recipe {name!r} is unknown; expected one of {', '.join(RECIPES)}.")
    recipe = RECIPES[name]
    steps = recipe.steps if steps is None else steps
    options = {"steps": steps, "batch_size": recipe.batch_size, "lr": recipe.lr}
    model, facts = recipe.pretrain(recipe, options | {"seed": seed, "device": device})

    folder = SHIPPED if folder is None else Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    save_weights(model, path, dtype=torch.float16)
    rounded = load_backbone(model.name, path)  # the card describes the rounded weights in the file
    command = f"transferlab pretrain {name}"
    if (steps, seed) != (recipe.steps, 0):
        command += f" --steps {steps} --seed {seed} --to FOLDER"
    card = {
        "name": name,
        "architecture": model.name,
        "shape": list(recipe.shape),
        "classes": facts["classes"],
        "parameters": sum(p.numel() for p in model.parameters()),
        "data": recipe.about,
        "objective": facts["objective"],
        "command": command,
        "seed": seed,
        "steps": steps,
        "batch_size": recipe.batch_size,
        "lr": recipe.lr,
        "metrics": recipe.measure(rounded, facts, seed, device),
        "precision": "float16",
        "torch": torch.__version__,
        "date": date.today().isoformat(),
        "license": "Apache-2.0",
        "sha256": sha256(path),
    }
    if "vocabulary" in facts:  # last, because it is long
        card["vocabulary"] = facts["vocabulary"]
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    path.with_suffix(".json").write_text(text, encoding="utf-8")
    return path
