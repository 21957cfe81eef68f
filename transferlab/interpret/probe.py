"""Linear probes by depth: what each layer knows."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from transferlab.data import batches
from transferlab.device import choose_device
from transferlab.errors import InputError
from transferlab.metrics import evaluation_mode
from transferlab.models.layers import output_of, puts_channels_last, recorded, stages


def probe_by_depth(
    model: nn.Module,
    train: Dataset,
    held_out: Dataset,
    layers: Sequence[str] | None = None,
    *,
    batch_size: int = 128,
    device: str = "auto",
) -> list[tuple[str, float]]:
    """Return how well a linear classifier reads the labels off each layer: (layer, accuracy 0..1).

    The network is not trained. Feature maps (N, C, H, W) are averaged over their positions, so a
    probe sees C numbers per image: what is in the image, not where. Tokens (N, T, D) are
    averaged over T. All layers are recorded in one pass over the data.

    The classifier is scikit-learn's logistic regression with its usual penalty, C = 1, on features
    that are standardised with the mean and deviation of `train` alone.

    Source: Alain and Bengio, Understanding Intermediate Layers Using Linear Classifier Probes
    (2016).

    Args:
        train: the data that the probes are trained on.
        held_out: the data that their accuracy is measured on.
        layers: names as in `model.named_modules()`, with or without "features." in front; by
            default `stages(model)`.
    """
    names = stages(model) if layers is None else list(layers)
    x, y = layer_features(model, train, names, batch_size, device)
    x_held_out, y_held_out = layer_features(model, held_out, names, batch_size, device)
    if len(y.unique()) < 2:
        raise InputError("the training data holds one class only; a probe needs at least two.")
    return [(name, _probe(x[name], y, x_held_out[name], y_held_out)) for name in names]


def _probe(x: Tensor, y: Tensor, x_held_out: Tensor, y_held_out: Tensor) -> float:
    from sklearn.linear_model import LogisticRegression  # here: they take long to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(x.double().numpy(), y.numpy())
    return float(classifier.score(x_held_out.double().numpy(), y_held_out.numpy()))


@torch.no_grad()
def layer_features(
    model: nn.Module, dataset: Dataset, names: list[str], batch_size: int, device: str
) -> tuple[dict[str, Tensor], Tensor]:
    """Return the averaged features of each layer, name → (N, width), and the labels (N,)."""
    where = choose_device(device)
    positions = (1, 2) if puts_channels_last(model) else (2, 3)

    def average(output: Tensor) -> Tensor:
        if output.ndim == 4:
            output = output.mean(positions)
        elif output.ndim == 3:
            output = output.mean(1)
        return output.flatten(1).float().cpu().clone()

    x: dict[str, list[Tensor]] = {name: [] for name in names}
    y: list[Tensor] = []
    with evaluation_mode(model.to(where)), recorded(model, names, average) as outputs:
        for x_batch, y_batch in batches(dataset, batch_size, device=where):
            model(x_batch)
            for name in names:
                x[name].append(output_of(outputs, name))
            y.append(y_batch.cpu())
    return {name: torch.cat(parts) for name, parts in x.items()}, torch.cat(y)
