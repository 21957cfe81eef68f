"""Looking inside a network: what each layer knows, how alike layers are, where a network looks."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from transferlab.data import batches
from transferlab.data.dataset import as_float
from transferlab.device import choose_device
from transferlab.errors import InputError
from transferlab.evaluate import evaluation_mode

# torchvision keeps the stages of its networks inside modules of these names.
HOLDERS = ("features", "encoder", "layers", "blocks", "trunk_output")
ACTIVATIONS = (nn.ELU, nn.GELU, nn.Hardswish, nn.LeakyReLU, nn.ReLU, nn.ReLU6, nn.SiLU, nn.Tanh)


# ---- Which layers, and what comes out of them ----------------------------------------------------


def stages(model: nn.Module) -> list[str]:
    """Return the names of the layers worth looking at, from the input to the features.

    These are the top-level blocks of `model.features` (inside torchvision's networks their
    stages), and each activation function that stands alone between such blocks.

    >>> stages(load_backbone("small_cnn", num_classes=10))
    ['block1', 'block2', 'block3', 'block4', 'block5']
    """
    found = _stages_inside(getattr(model, "features", model))
    if not found:
        raise InputError(
            f"{type(model).__name__} has no blocks that can be told apart; name its layers."
        )
    return found


def _stages_inside(module: nn.Module, prefix: str = "") -> list[str]:
    found = []
    for name, child in module.named_children():
        is_composite = len(list(child.children())) > 0
        learns = len(list(child.parameters())) > 0
        if is_composite and name in HOLDERS:
            found += _stages_inside(child, f"{prefix}{name}.")
        elif (is_composite and learns) or isinstance(child, ACTIVATIONS):
            found.append(prefix + name)
    return found


def _find(model: nn.Module, name: str) -> nn.Module:
    modules = dict(model.named_modules())
    for full_name in (name, f"features.{name}"):
        if full_name in modules:
            return modules[full_name]
    raise InputError(
        f"the model has no layer {name!r}; expected one of model.named_modules(), such as "
        f"{list(modules)[-1]!r}."
    )


@contextlib.contextmanager
def _recorded(
    model: nn.Module, layers: Sequence[str], reduce: Callable[[Tensor], Tensor]
) -> Iterator[dict[str, Tensor]]:
    """Inside: each forward pass writes `reduce(output)` of every layer into the dictionary.

    The output is reduced at once, inside the hook. Kept as it is, it could still be changed by the
    layer that follows: torchvision's ReLUs write into their input.
    """
    outputs: dict[str, Tensor] = {}

    def hook_for(name: str):
        def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            if not isinstance(output, Tensor) or output.ndim < 2:
                raise InputError(
                    f"layer {name!r} returns {type(output).__name__}; "
                    "expected a tensor of shape (N, …)."
                )
            outputs[name] = reduce(output.detach())

        return hook

    modules = {name: _find(model, name) for name in layers}
    with contextlib.ExitStack() as hooks:  # removes them all, also after an error
        for name, module in modules.items():
            hooks.enter_context(module.register_forward_hook(hook_for(name)))
        yield outputs


def _puts_channels_last(model: nn.Module) -> bool:
    """Return whether feature maps are (N, H, W, C), as in torchvision's Swin transformers."""
    return getattr(model, "name", "").startswith("swin")


# ---- Linear probe by depth -----------------------------------------------------------------------


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
    probe sees C numbers per image: what there is in the image, not where. Tokens (N, T, D) are
    averaged over T. All layers are recorded in one pass over the data.

    The classifier is scikit-learn's logistic regression with its usual penalty, C = 1, on features
    that are standardised with the mean and deviation of `train` alone.

    Source: Alain and Bengio, Understanding Intermediate Layers Using Linear Classifier Probes
    (2016).

    Args:
        train: what the probes learn from.
        held_out: what their accuracy is measured on.
        layers: names as in `model.named_modules()`, with or without "features." in front; by
            default `stages(model)`.
    """
    names = stages(model) if layers is None else list(layers)
    x, y = _layer_features(model, train, names, batch_size, device)
    x_held_out, y_held_out = _layer_features(model, held_out, names, batch_size, device)
    if len(y.unique()) < 2:
        raise InputError("the training data holds one class only; a probe needs at least two.")
    return [(name, _probe(x[name], y, x_held_out[name], y_held_out)) for name in names]


def _probe(x: Tensor, y: Tensor, x_held_out: Tensor, y_held_out: Tensor) -> float:
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(x.double().numpy(), y.numpy())
    return float(classifier.score(x_held_out.double().numpy(), y_held_out.numpy()))


@torch.no_grad()
def _layer_features(
    model: nn.Module, dataset: Dataset, names: list[str], batch_size: int, device: str
) -> tuple[dict[str, Tensor], Tensor]:
    """Return the averaged features of each layer, name → (N, width), and the labels (N,)."""
    where = choose_device(device)
    positions = (1, 2) if _puts_channels_last(model) else (2, 3)

    def average(output: Tensor) -> Tensor:
        if output.ndim == 4:
            output = output.mean(positions)
        elif output.ndim == 3:
            output = output.mean(1)
        return output.flatten(1).float().cpu().clone()

    x: dict[str, list[Tensor]] = {name: [] for name in names}
    y: list[Tensor] = []
    with evaluation_mode(model.to(where)), _recorded(model, names, average) as outputs:
        for x_batch, y_batch in batches(dataset, batch_size, device=where):
            model(x_batch)
            for name in names:
                x[name].append(_output(outputs, name))
            y.append(y_batch.cpu())
    return {name: torch.cat(parts) for name, parts in x.items()}, torch.cat(y)


def _output(outputs: dict[str, Tensor], name: str) -> Tensor:
    if name not in outputs:
        raise InputError(f"layer {name!r} was not used in the forward pass; name another one.")
    return outputs[name]


# ---- Similarity of representations ---------------------------------------------------------------


def cka(x: Tensor, y: Tensor) -> float:
    """Return the linear CKA of two representations of the same N samples, from 0 to 1.

    With centred X (N, D1) and Y (N, D2):  CKA = ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖), Frobenius norms.
    It is the same after a rotation of either space and after scaling it. The norms are those of
    N×N or of D×D matrices, whichever are smaller.

    With few samples and many features this estimate is far too high: two independent random
    representations of N samples have a CKA near 1 when D is much larger than N. See
    `minibatch_cka`.

    Source: Kornblith, Norouzi, Lee and Hinton, Similarity of Neural Network Representations
    Revisited (2019).
    """
    x, y = _as_pair(x, y)
    x, y = x - x.mean(0), y - y.mean(0)
    if len(x) < max(x.shape[1], y.shape[1]):
        gram_x, gram_y = x @ x.T, y @ y.T
        cross, self_x, self_y = (gram_x * gram_y).sum(), gram_x.norm() ** 2, gram_y.norm() ** 2
    else:
        cross, self_x, self_y = (y.T @ x).norm() ** 2, (x.T @ x).norm() ** 2, (y.T @ y).norm() ** 2
    return _ratio(cross, self_x, self_y).item()


def minibatch_cka(x: Tensor, y: Tensor, batch_size: int = 256, seed: int = 0) -> float:
    """Return the linear CKA of (N, D1) and (N, D2) from unbiased estimates on random batches.

    Independent representations get a value near 0, however many features they have; it can be a
    little below. Batches can be small, because the expected value of `unbiased_hsic` does not
    depend on their size; it needs at least 4 samples.

    Source: Nguyen, Raghu and Kornblith, Do Wide and Deep Networks Learn the Same Things? (2021).

    Args:
        seed: fixes which samples share a batch. They are drawn at random: in data sorted by class
            a batch would hold one class, and the differences between classes would not count.
    """
    x, y = _as_pair(x, y)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    pairs = ((_gram(x[rows])[None], _gram(y[rows])[None]) for rows in order.split(batch_size))
    return _averaged_cka(pairs).item()


def unbiased_hsic(grams_x: Tensor, grams_y: Tensor) -> Tensor:
    """Return HSIC₁ of each of A Gram matrices with each of B: (A, n, n), (B, n, n) → (A, B).

    With K̃ and L̃ for K and L without their diagonals:
    HSIC₁ = [tr(K̃L̃) + 1ᵀK̃1 · 1ᵀL̃1 / ((n−1)(n−2)) − 2/(n−2) · 1ᵀK̃L̃1] / (n(n−3)).

    Source: Song, Smola, Gretton, Bedo and Borgwardt, Feature Selection via Dependence Maximization
    (2012), eq. 5.
    """
    n = grams_x.shape[-1]
    diagonal = torch.eye(n, dtype=torch.bool, device=grams_x.device)
    grams_x, grams_y = grams_x.masked_fill(diagonal, 0), grams_y.masked_fill(diagonal, 0)
    rows_x, rows_y = grams_x.sum(2), grams_y.sum(2)  # K̃1 and L̃1
    trace = grams_x.flatten(1) @ grams_y.flatten(1).T
    sums = torch.outer(rows_x.sum(1), rows_y.sum(1)) / ((n - 1) * (n - 2))
    mixed = 2 / (n - 2) * rows_x @ rows_y.T
    return (trace + sums - mixed) / (n * (n - 3))


def compare_layers(
    model_a: nn.Module,
    model_b: nn.Module,
    dataset: Dataset,
    layers: Sequence[str] | None = None,
    *,
    batch_size: int = 256,
    seed: int = 0,
    device: str = "auto",
) -> Tensor:
    """Return the debiased CKA of every layer of one network with every layer of another.

    Both networks run once over the data, in random batches as in `minibatch_cka`, and only the
    n×n Gram matrices of a batch are kept.

    >>> before = copy.deepcopy(model)
    >>> fit(model, train, epochs=10)
    >>> similarity = compare_layers(before, model, test)
    >>> plots.matrix(similarity, stages(before), stages(model), …)

    Args:
        layers: names for both networks; by default `stages(model_a)` and `stages(model_b)`.

    Returns:
        Shape (layers of a, layers of b), float64.
    """
    where = choose_device(device)
    names_a = stages(model_a) if layers is None else list(layers)
    names_b = stages(model_b) if layers is None else list(layers)
    order = torch.Generator().manual_seed(seed)
    loader = batches(dataset, batch_size, shuffle=True, generator=order, device=where)
    with (
        torch.no_grad(),
        evaluation_mode(model_a.to(where)),
        evaluation_mode(model_b.to(where)),
        _recorded(model_a, names_a, _gram) as outputs_a,
        _recorded(model_b, names_b, _gram) as outputs_b,
    ):

        def grams() -> Iterator[tuple[Tensor, Tensor]]:
            for x, _ in loader:
                model_a(x)
                model_b(x)
                yield (
                    torch.stack([_output(outputs_a, name) for name in names_a]),
                    torch.stack([_output(outputs_b, name) for name in names_b]),
                )

        return _averaged_cka(grams())


def _as_pair(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    if x.ndim < 2 or y.ndim < 2 or len(x) != len(y) or len(x) < 2:
        raise InputError(
            f"CKA compares two representations of the same samples; found shapes {tuple(x.shape)} "
            f"and {tuple(y.shape)}, expected (N, D1) and (N, D2) with N of at least 2."
        )
    x, y = (part.detach().cpu().double().flatten(1) for part in (x, y))
    return x, y


def _gram(features: Tensor) -> Tensor:
    """Return the inner products of all pairs of samples: (n, …) → (n, n), float64, on the CPU."""
    features = features.flatten(1)
    # HSIC₁ is the same without the mean; sums of smaller numbers are more exact.
    features = features - features.mean(0)
    return (features @ features.T).cpu().double()


def _averaged_cka(pairs: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Average the three HSIC₁ over batches, then divide: pairs of (A, n, n), (B, n, n) → (A, B)."""
    weighted = [
        (
            len(x[0]) * unbiased_hsic(x, y),
            len(x[0]) * unbiased_hsic(x, x).diagonal(),
            len(x[0]) * unbiased_hsic(y, y).diagonal(),
        )
        for x, y in pairs
        if len(x[0]) >= 4  # the last batch can be too small for HSIC₁
    ]
    if not weighted:
        raise InputError("no batch has 4 samples, which the unbiased estimate of HSIC needs.")
    cross, self_x, self_y = (torch.stack(part).sum(0) for part in zip(*weighted, strict=True))
    return _ratio(cross, self_x[:, None], self_y[None])


def _ratio(cross: Tensor, self_x: Tensor, self_y: Tensor) -> Tensor:
    if not (self_x > 0).all() or not (self_y > 0).all():
        raise InputError(
            "a representation is the same for all samples, or nearly; CKA is undefined for it."
        )
    return cross / (self_x * self_y).sqrt()


# ---- Where a network looks -----------------------------------------------------------------------


def grad_cam(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    layer: str | None = None,
    *,
    device: str = "auto",
) -> Tensor:
    """Return where in each image a network finds the evidence for a class, (N, H, W), values ≥ 0.

    With feature maps A_k of one layer and the score s of the class:
    α_k = mean over positions of ∂s/∂A_k,   map = ReLU(Σ_k α_k A_k), enlarged to the image.

    The gradient is that of the activations, not of the parameters, so the backbone may be frozen.

    Source: Selvaraju, Cogswell, Das, Vedantam, Parikh and Batra, Grad-CAM: Visual Explanations from
    Deep Networks via Gradient-based Localization (2017).

    Args:
        x: images, shape (N, C, H, W), uint8 or in 0..1.
        target: the class to explain, one number or a tensor of shape (N,); by default the class
            that the model says for each image.
        layer: whose feature maps; by default the last of `stages(model)` that has such maps.
    """
    where = choose_device(device)
    x = as_float(x).to(where)
    with evaluation_mode(model.to(where)):
        layer = _last_with_maps(model, x) if layer is None else layer
        with torch.enable_grad(), _cut_at(model, layer) as activations:
            scores = model(x)
            targets = _targets(target, scores)
            chosen = scores.gather(1, targets[:, None]).sum()
            [gradients] = torch.autograd.grad(chosen, activations)
    maps = activations[0].detach()
    if _puts_channels_last(model):
        maps, gradients = maps.permute(0, 3, 1, 2), gradients.permute(0, 3, 1, 2)
    alpha = gradients.mean((2, 3), keepdim=True)
    heat = (alpha * maps).sum(1, keepdim=True).relu()
    return F.interpolate(heat, x.shape[2:], mode="bilinear", align_corners=False)[:, 0].cpu()


@contextlib.contextmanager
def _cut_at(model: nn.Module, layer: str) -> Iterator[list[Tensor]]:
    """Inside: the layer's output starts a new graph, and is the one element of the list.

    Everything before the cut needs no gradient, which is why frozen layers are no obstacle. What
    follows gets a copy, because it may write into its input.
    """
    activations: list[Tensor] = []

    def hook(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        if not isinstance(output, Tensor) or output.ndim != 4:
            raise InputError(
                f"layer {layer!r} returns no feature maps; expected shape (N, C, H, W), found "
                f"{tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__}."
            )
        activations[:] = [output.detach().requires_grad_()]
        return activations[0].clone()

    with _find(model, layer).register_forward_hook(hook):
        yield activations


@torch.no_grad()
def _last_with_maps(model: nn.Module, x: Tensor) -> str:
    with _recorded(model, stages(model), lambda output: torch.tensor(output.shape)) as shapes:
        model(x)
    with_maps = [name for name, shape in shapes.items() if len(shape) == 4]
    if not with_maps:
        raise InputError(
            f"{type(model).__name__} has no stage with feature maps of shape (N, C, H, W); "
            "name a layer."
        )
    return with_maps[-1]


def _targets(target: int | Tensor | None, scores: Tensor) -> Tensor:
    if target is None:
        return scores.argmax(1)
    targets = torch.as_tensor(target, device=scores.device).expand(len(scores))
    if int(targets.min()) < 0 or int(targets.max()) >= scores.shape[1]:
        raise InputError(
            f"target={target}: the model has {scores.shape[1]} outputs; "
            f"expected classes 0 to {scores.shape[1] - 1}."
        )
    return targets
