"""`rank_models`: every score for every model, beside noise, cost and real fine-tuning."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from transferlab.data import MemoryDataset, labels
from transferlab.data.dataset import class_names, names_of
from transferlab.device import seeded
from transferlab.errors import InputError
from transferlab.features import extract_features
from transferlab.finetune import freeze, unfreeze
from transferlab.metrics import evaluate
from transferlab.models import Backbone, card, shipped
from transferlab.models.torchvision_models import torchvision_names
from transferlab.run import QUIET_SECONDS
from transferlab.select.costs import cost
from transferlab.select.report import Ranking
from transferlab.select.scores import h_score, knn, leep, linear_probe, logme, nce
from transferlab.train import fit

SCORES: dict[str, Callable[[Tensor, Tensor], float]] = {
    "logme": logme,
    "h_score": h_score,
    "leep": leep,
    "nce": nce,
    "knn": knn,
    "linear_probe": linear_probe,
}


def rank_models(
    models: Mapping[str, Backbone],
    train: Dataset,
    *,
    scores: Sequence[str] = tuple(SCORES),
    fine_tuned: Mapping[str, Sequence[float]] | Callable[[Backbone, int], float] | None = None,
    seeds: Iterable[int] = range(5),
    source_accuracy: Mapping[str, float] | None = None,
    shuffles: int = 5,
    cache: str | Path | None = None,
    device: str = "auto",
    seed: int = 0,
) -> Ranking:
    """Score pre-trained models for a task, beside a noise control and what they cost.

    >>> models = {"letters": load_backbone("small_cnn", "letters"), ...}
    >>> rank_models(models, train)

    >>> def accuracy(model, seed):
    ...     return fine_tuned_accuracy(model, train, val, steps=300, seed=seed)
    >>> rank_models(models, train, fine_tuned=accuracy)

    The features are computed once per model, with everything frozen; the models themselves are not
    changed. Keep the heads of pre-training: LEEP and NCE need the model's predictions of its source
    classes, which a new head cannot make.

    Model selection is part of training: give the training data, or training and validation data
    together, but never the test data, which would make the chosen model's test accuracy
    optimistic.

    Args:
        models: name → backbone.
        train: labelled data of the new task.
        scores: some of `SCORES`.
        fine_tuned: real accuracies to compare the scores with. Either name → accuracies, 0..1, one
            per run; or `fine_tuned(model, seed) -> accuracy`, which is called for each of `seeds`.
        seeds: for `fine_tuned`, when it is a function.
        source_accuracy: name → accuracy on the source's own data, 0..1, for models whose card
            does not state it.
        shuffles: how often the labels are shuffled for the noise control.
        cache: a folder for the features, as in `extract_features`.
        seed: fixes the shuffles.
    """
    _check(models, scores, shuffles, fine_tuned, source_accuracy or {})
    _check_heads(models, train)
    n = len(labels(train))
    generator = torch.Generator().manual_seed(seed)
    shuffled = [torch.randperm(n, generator=generator) for _ in range(shuffles)]
    seeds = list(seeds)
    values, noise, costs, accuracies = {}, {}, {}, {}
    for name, model in tqdm(models.items(), "models", leave=False, delay=QUIET_SECONDS):
        frozen = copy.deepcopy(model)
        freeze(frozen)
        features = extract_features(frozen, train, device=device, cache=cache)
        inputs, y = _inputs(frozen, features, scores), features.y.cpu()
        values[name] = {s: SCORES[s](inputs[s], y) for s in scores}
        noise[name] = {s: [SCORES[s](inputs[s], y[order]) for order in shuffled] for s in scores}
        costs[name] = cost(model, device=device)
        if callable(fine_tuned):
            accuracies[name] = [fine_tuned(model, s) for s in seeds]
        elif fine_tuned is not None:
            accuracies[name] = [float(a) for a in fine_tuned[name]]
    cards = {name: _card_accuracy(model) for name, model in models.items()}
    known = {name: accuracy for name, accuracy in cards.items() if accuracy is not None}
    about = f"{getattr(train, 'name', 'data')}: {n:,} samples, {len(y.unique())} classes"
    return Ranking(about, values, noise, costs, {**known, **(source_accuracy or {})}, accuracies)


def fine_tuned_accuracy(
    model: Backbone,
    train: Dataset,
    held_out: Dataset,
    *,
    steps: int,
    batch_size: int = 64,
    lr: float = 1e-3,
    seed: int = 0,
    device: str = "auto",
) -> float:
    """Fine-tune a copy of a model with a new head; return its accuracy on held-out data, 0..1.

    Args:
        held_out: validation data; the test data is for the model that is chosen in the end.
        seed: fixes the new head and the order of the data.
    """
    twin = copy.deepcopy(model)
    unfreeze(twin)
    with seeded(seed):
        twin.replace_head(len(class_names(train, labels(train))))
    fit(
        twin,
        train,
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        seed=seed,
        device=device,
    )
    return evaluate(twin, held_out, device=device).accuracy


def _inputs(model: Backbone, features: MemoryDataset, scores: Sequence[str]) -> dict[str, Tensor]:
    """Return the input of each score: features, or what the source's head predicts from them."""
    with torch.no_grad():
        head = model.head.cpu()
        probabilities = head(features.x.cpu()).double().softmax(1)
    special = {"leep": probabilities, "nce": probabilities.argmax(1)}
    return {score: special.get(score, features.x) for score in scores}


def _card_accuracy(model: Backbone) -> float | None:
    """Return the accuracy on the source's own data, where the card of the weights states it."""
    if model.name in torchvision_names():
        from torchvision import models

        versions = models.get_model_weights(model.name).__members__
        if model.weights not in versions:
            return None
        metrics = versions[model.weights].meta.get("_metrics", {}).get("ImageNet-1K", {})
        return metrics["acc@1"] / 100 if "acc@1" in metrics else None
    if model.weights not in shipped():
        return None
    metrics = card(model.weights)["metrics"]
    return next((value for key, value in metrics.items() if key.startswith("accuracy")), None)


def _check_heads(models: Mapping[str, Backbone], train: Dataset) -> None:
    """Refuse heads that were trained on the very data: LEEP and NCE would praise themselves."""
    task = (getattr(train, "name", "data"), names_of(train, "classes"))
    for name, model in models.items():
        if model.trained_on is not None and (model.trained_on, model.classes) == task:
            raise InputError(
                f"{name!r} has a head that was trained on {task[0]}, the data to rank models for; "
                "expected the head of pre-training. Load the model again."
            )


def _check(
    models: Mapping[str, Backbone],
    scores: Sequence[str],
    shuffles: int,
    fine_tuned: object,
    source_accuracy: Mapping[str, float],
) -> None:
    if not models or not scores:
        raise InputError(f"found {len(models)} models and {len(scores)} scores; expected some.")
    if unknown := [score for score in scores if score not in SCORES]:
        raise InputError(f"score {unknown[0]!r} is unknown; expected some of {', '.join(SCORES)}.")
    if shuffles < 1:
        raise InputError(f"shuffles={shuffles}: expected 1 or more; noise is part of the table.")
    if unknown := [name for name in source_accuracy if name not in models]:
        raise InputError(f"source_accuracy names {unknown[0]!r}, which is not among the models.")
    if fine_tuned is None or callable(fine_tuned):
        return
    if set(fine_tuned) != set(models):
        name = sorted(set(fine_tuned) ^ set(models))[0]
        raise InputError(
            f"fine_tuned and models must have the same names; {name!r} is in only one of them."
        )
    for name, runs in fine_tuned.items():
        if not len(runs) or not all(0 <= accuracy <= 1 for accuracy in runs):
            raise InputError(
                f"fine_tuned[{name!r}] must be accuracies in 0..1, one per run; found {runs}."
            )
