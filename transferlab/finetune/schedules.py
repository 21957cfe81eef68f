"""Schedules of unfreezing: from the head downwards, or the head first and then everything."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import Dataset

from transferlab.errors import InputError
from transferlab.finetune.freezing import freeze, unfreeze
from transferlab.history import History
from transferlab.models.layers import blocks, find_layer
from transferlab.train import fit


def gradual_unfreezing(
    order: Sequence[str] | None = None, *, every: int = 1, batch_stats: str = "frozen"
) -> Callable[[nn.Module, int], None]:
    """Return what `fit(unfreeze=…)` calls before each epoch: unfreeze one more block, from the top.

    >>> fit(model, train, epochs=10, unfreeze=gradual_unfreezing())

    At first only the head learns, then the block below it too, and so on. What is trainable depends
    on the epoch alone, so a resumed run continues at the right stage.

    Source: Howard and Ruder, Universal Language Model Fine-tuning for Text Classification (2018).

    Args:
        order: the layers to unfreeze after the head, from the top downwards, such as
            ["layer4", "layer3"]; everything below the last one stays frozen. None: all blocks.
        every: epochs between one block and the next.
        batch_stats: what BatchNorm does in the part that is still frozen, as in `freeze`.
    """
    if every < 1:
        raise InputError(f"every={every}: expected at least 1 epoch.")

    def unfreeze_until_epoch(model: nn.Module, epoch: int) -> None:
        head, *below = reversed(blocks(model))
        for name in order or ():  # a wrong name fails now, not many epochs later
            find_layer(model, name)
        stages = [head, *(below if order is None else order)]
        stage = min(epoch // every, len(stages) - 1)
        if order is None and stage == len(below):  # all blocks
            unfreeze(model)
        else:
            freeze(model, until=stages[stage], batch_stats=batch_stats)

    return unfreeze_until_epoch


def lp_ft(
    model: nn.Module,
    train: Dataset,
    *,
    probe_epochs: int | None = None,
    probe_steps: int | None = None,
    probe_lr: float = 1e-2,
    epochs: int | None = None,
    steps: int | None = None,
    lr: float = 1e-3,
    checkpoint: str | Path | None = None,
    **both: Any,
) -> tuple[History, History]:
    """Train the head on frozen features, then everything; return the histories of both stages.

    >>> probing, tuning = lp_ft(model, train, probe_epochs=20, epochs=10, batch_size=16)

    A new head is random, and its first gradients would distort the pre-trained features.
    After linear probing (LP) the head fits them, and fine-tuning (FT) starts from there.

    Source: Kumar, Raghunathan, Jones, Ma and Liang, Fine-Tuning can Distort Pretrained Features
    and Underperform Out-of-Distribution (2022).

    Args:
        probe_epochs, probe_steps: how long the head is trained; give one of them.
        epochs, steps: how long everything is trained after that; give one of them.
        checkpoint: the file of the second stage. The first one has its own beside it, with
            "-probe" after the name. The same call with the same file resumes where it stopped.
        both: arguments of `fit` for both stages, such as `batch_size` and `val`.
    """
    probe_checkpoint = None
    if checkpoint is not None:
        path = Path(checkpoint)
        probe_checkpoint = path.with_stem(f"{path.stem}-probe")
    freeze(model)
    probing = fit(
        model,
        train,
        epochs=probe_epochs,
        steps=probe_steps,
        lr=probe_lr,
        checkpoint=probe_checkpoint,
        **both,
    )
    unfreeze(model)
    tuning = fit(model, train, epochs=epochs, steps=steps, lr=lr, checkpoint=checkpoint, **both)
    return probing, tuning
