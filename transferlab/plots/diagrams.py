"""Drawings of ideas, from real networks and real numbers; `sketches/*.svg` says what stands where.

>>> network(load_backbone("small_cnn", num_classes=10))  # after freeze(…) with locks
>>> head_swap(load_backbone("resnet20", num_classes=1000), num_classes=2)
>>> computation_graph(w=0.5, x=2, b=1, y=3)
>>> autoencoder(Autoencoder(small_cnn(shape=(1, 28, 28))))
>>> gan(GAN(small_cnn(), Generator((1, 8, 8))))
>>> contrastive(Projector(small_cnn()))
>>> unet(UNet(small_cnn(), num_classes=4))
>>> attention(["the", "cat", "it"], [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.6, 0.3]], word=2)
>>> lora(rows=64, columns=576, rank=4)
>>> detection_grid(Detector(small_cnn(), num_classes=3), size=32, box=(5, 7, 24, 22))
>>> gru(nn.GRU(24, 48))
>>> ctc_lattice("meo", frames=9)
>>> two_towers(["cat", "cup"], ["a cat", "a cup"], [[0.31, 0.12], [0.05, 0.29]])
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from transferlab.applications.detection import Detector, assign
from transferlab.applications.segmentation import UNet
from transferlab.errors import InputError
from transferlab.metrics import evaluation_mode
from transferlab.models import GAN, Autoencoder, Backbone, Projector, TextBackbone
from transferlab.models.layers import blocks, output_of, recorded
from transferlab.plots.drawing import Drawing, sketch


def network(model: nn.Module, shape: Sequence[int] | None = None) -> Drawing:
    """Draw a network's blocks with their outputs and parameters; what is frozen has a lock.

    The blocks have the names that `freeze` takes as `until`. Where some are frozen, an arrow shows
    how far back the gradient comes. A box is as wide as what it returns: the logarithm of a side.

    Args:
        shape: of one input; None when the model has a `shape` of its own.
    """
    shape = getattr(model, "shape", None) if shape is None else shape
    if shape is None:
        raise InputError(f"{type(model).__name__} does not know its inputs' shape; give shape=.")
    rows = [{"name": "input", "shape": tuple(shape), "count": 0, "learning": 0}]
    rows += _rows(model, shape)
    sides = [row["shape"][-2] if len(row["shape"]) > 1 else 1 for row in rows]
    sides[0] = max(sides)  # a text has a length, but no second side
    for row, side in zip(rows, sides, strict=True):
        row["width"] = 160 + 150 * math.log(side) / math.log(max(2, *sides))
    total, learning = (sum(row[what] for row in rows) for what in ("count", "learning"))
    first = next((number for number, row in enumerate(rows) if row["learning"]), None)
    name = getattr(model, "name", type(model).__name__)
    return sketch("network", name=name, rows=rows, total=total, learning=learning, first=first)


def _rows(model: nn.Module, shape: Sequence[int]) -> list[dict[str, Any]]:
    """Run one input through the network and return what there is to say of each block."""
    found = blocks(model)
    if not found:
        raise InputError(f"{type(model).__name__} has no parameters; expected a network.")
    like = next(model.parameters())
    kind = torch.int64 if isinstance(model, TextBackbone) else like.dtype
    with torch.no_grad(), evaluation_mode(model), recorded(model, list(found), torch.clone) as seen:
        model(torch.zeros(1, *shape, device=like.device, dtype=kind))
    sizes = [output_of(seen, name).shape for name in found]
    return [
        {
            "name": name.removeprefix("features."),
            "shape": tuple(size[1:] if size[0] == 1 else size),  # an embedding has no batch
            "count": sum(p.numel() for p in parameters),
            "learning": sum(p.numel() for p in parameters if p.requires_grad),
        }
        for (name, parameters), size in zip(found.items(), sizes, strict=True)
    ]


def head_swap(model: Backbone, num_classes: int) -> Drawing:
    """Draw what `model.replace_head(num_classes)` does."""
    if num_classes < 1:
        raise InputError(f"num_classes={num_classes}: expected at least 1.")
    new = nn.Linear(_expected(model, Backbone).width, num_classes, device="meta")
    return sketch("head_swap", model=model, new=new)


def computation_graph(w: float, x: float, b: float, y: float) -> Drawing:
    """Draw the loss (w·x + b − y)²: numbers flow forward, gradients backward."""
    return sketch("computation_graph", w=w, x=x, b=b, y=y)


def autoencoder(model: Autoencoder) -> Drawing:
    """Draw encoder, features and decoder; the heights say how many numbers there are."""
    return sketch("autoencoder", model=_expected(model, Autoencoder))


def gan(model: GAN) -> Drawing:
    """Draw the two players of a GAN, and the gradient that the generator learns from."""
    return sketch("gan", model=_expected(model, GAN))


def contrastive(model: Projector) -> Drawing:
    """Draw how a contrastive loss pulls two views of one image together and pushes others away."""
    return sketch("contrastive", model=_expected(model, Projector))


def unet(model: UNet) -> Drawing:
    """Draw the encoder's maps, the decoder's, and the bridges between maps of one size."""
    encoder = _expected(model, UNet).encoder
    maps = list(zip(encoder.widths, encoder.strides, strict=True))
    if not 2 <= len(maps) <= 5:
        raise InputError(f"unet: the encoder makes maps of {len(maps)} sizes; expected 2 to 5.")
    return sketch("unet", maps=maps, classes=model.head.out_channels)


def attention(words: Sequence[str], weights: Tensor | Sequence, word: int) -> Drawing:
    """Draw how much one word attends to each, as lines of that width.

    Args:
        weights: shape (words, words); row i says how word i attends, and sums to 1.
        word: the number of the word that asks.
    """
    weights, n = torch.as_tensor(weights).detach().double(), len(words)
    if weights.shape != (n, n) or not 2 <= n <= 8 or not 0 <= word < n:
        raise InputError(
            f"attention: found {n} words, weights {tuple(weights.shape)} and word={word}; expected "
            "2 to 8 words, a row and a column of weights for each, and one of the words' numbers."
        )
    row = weights[word].tolist()
    if min(row) < 0 or abs(sum(row) - 1) > 0.01:
        raise InputError(f"attention: row {word} sums to {sum(row):.3g}; expected shares of 1.")
    return sketch("attention", words=words, row=row, word=word)


def lora(rows: int, columns: int, rank: int) -> Drawing:
    """Draw a frozen weight of rows × columns, and the two small matrices that LoRA trains."""
    if not 1 <= rank <= min(rows, columns):
        raise InputError(f"lora: rank={rank}; expected 1 to {min(rows, columns)}.")
    return sketch("lora", rows=rows, columns=columns, rank=rank)


def detection_grid(model: Detector, size: int, box: Sequence[float]) -> Drawing:
    """Draw which cells answer for an object in a square image, and what each cell answers.

    Args:
        size: of the image in pixels.
        box: the object's edges x1, y1, x2, y2 in pixels.
    """
    (x1, y1, x2, y2), cells = box, size // _expected(model, Detector).stride
    inside = 0 <= x1 < x2 <= size and 0 <= y1 < y2 <= size
    if not (inside and 1 <= cells <= 12 and size % model.stride == 0):
        raise InputError(
            f"detection_grid: found size={size} and box={tuple(box)}; expected 1 to 12 cells of "
            f"{model.stride} pixels, and left < right, top < bottom inside the image."
        )
    objects, labels = torch.tensor([[box]], dtype=torch.float32), torch.zeros(1, 1)
    owners = (assign(objects, labels, cells, cells, model.stride)[0] >= 0).nonzero().tolist()
    return sketch("detection_grid", model=model, size=size, cells=cells, object=box, owners=owners)


def gru(layer: nn.GRU) -> Drawing:
    """Draw how a gated recurrent unit makes its new state of an input and its old state."""
    return sketch("gru", layer=_expected(layer, nn.GRU))


def ctc_lattice(text: str, frames: int) -> Drawing:
    """Draw all the ways in which CTC can spell a text in so many frames, one of them bold."""
    symbols = "–" + "".join(f"{symbol}–" for symbol in text)
    last = len(symbols) - 1
    kept = {s for s in range(2, last, 2) if symbols[s - 1] == symbols[s + 1]}  # between equal ones
    needed = len(text) + len(kept)
    if not (1 <= len(text) <= 6 and needed <= frames <= 12):
        raise InputError(
            f"ctc_lattice: found {len(text)} symbols and {frames} frames; expected 1 to 6 symbols, "
            f"and for this text {needed} to 12 frames."
        )
    moves = {(s, s + jump) for s in range(last + 1) for jump in (0, 1) if s + jump <= last}
    moves |= {(s - 1, s + 1) for s in range(2, last, 2) if s not in kept}
    alive = [{0, 1}]  # the states that can be reached, frame by frame
    for _ in range(frames - 1):
        alive.append({after for s, after in moves if s in alive[-1]})
    alive[-1] &= {last - 1, last}
    for t in reversed(range(frames - 1)):  # and of these, those that can reach the end
        alive[t] &= {s for s, after in moves if after in alive[t + 1]}
    order = range(last + 1) if frames > last else sorted({*range(1, last, 2), *kept})
    path = [order[t * len(order) // frames] for t in range(frames)]
    known = {"target": text, "symbols": symbols, "frames": frames, "path": path}
    return sketch("ctc_lattice", alive=alive, moves=sorted(moves), **known)


def two_towers(images: Sequence[str], texts: Sequence[str], similarity: Tensor) -> Drawing:
    """Draw an encoder for images, one for texts, and their similarities, (images, texts)."""
    values, shape = torch.as_tensor(similarity).detach().double(), (len(images), len(texts))
    if values.shape != shape or not 1 <= min(shape) <= max(shape) <= 6:
        raise InputError(
            f"two_towers: found {shape[0]} images, {shape[1]} texts and similarities "
            f"{tuple(values.shape)}; expected 1 to 6 of each, and one number for each pair."
        )
    return sketch("two_towers", images=images, texts=texts, similarity=values.tolist())


def _expected(model: nn.Module, kind: type[nn.Module]) -> Any:
    if not isinstance(model, kind):
        raise InputError(f"found {type(model).__name__}; expected {kind.__name__}, to draw it.")
    return model
