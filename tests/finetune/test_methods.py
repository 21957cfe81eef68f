"""Every way to fine-tune, side by side: each learns, leaves alone what it must, and resumes."""

import pytest
import torch
from networks import cnn, narrow

from transferlab import fit, freeze
from transferlab.checkpoint import load_checkpoint
from transferlab.finetune import (
    L1,
    L2,
    L2SP,
    gradual_unfreezing,
    layer_decay,
    lp_ft,
    mixup,
    trainable,
)
from transferlab.models import add_lora


def with_lora(model):
    part = freeze(model)
    add_lora(model, rank=4, alpha=4)
    return part


# What is done to the model beforehand; it returns what is frozen.
FROZEN = {
    "head only": freeze,
    "partial": lambda model: freeze(model, until="block5"),
    "statistics": lambda model: freeze(model, until=None),
    "LoRA": with_lora,
}
# The arguments of `fit`; the rest trains everything from the start.
OPTIONS = {
    "full": lambda model: {},
    "gradual": lambda model: {"unfreeze": gradual_unfreezing()},
    "layer decay": lambda model: {"lr": layer_decay(model, lr=1e-2, decay=0.7)},
    "L2": lambda model: {"penalty": L2(1e-3)},
    "L1": lambda model: {"penalty": L1(1e-4)},
    "L2-SP": lambda model: {"penalty": L2SP(1e-2, 1e-3)},
    "L2-SP decoupled": lambda model: {"penalty": L2SP(1e-1, 1e-3, decoupled=True)},
    "mixup": lambda model: {"loss_fn": mixup(0.2)},
    "all at once": lambda model: {
        "unfreeze": gradual_unfreezing(batch_stats="batch"),
        "lr": layer_decay(model, lr=1e-2, decay=0.7),
        "penalty": L2SP(1e-1, 1e-3, decoupled=True),
        "loss_fn": mixup(0.2),
        "schedule": "cosine",
    },
}


def run(method: str, shots, **more) -> dict[str, torch.Tensor]:
    """Train for four epochs of three steps."""
    model = narrow()
    part = FROZEN[method](model) if method in FROZEN else None
    options = OPTIONS[method](model) if method in OPTIONS else {}
    fit(model, shots, epochs=4, **{"batch_size": 16, "lr": 1e-2, **options, **more})
    if part is not None:
        part.assert_unchanged()
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("method", [*FROZEN, *OPTIONS])
def test_two_and_two_epochs_are_four_bit_for_bit(method, shots, tmp_path, interrupted):
    whole = run(method, shots)
    with interrupted(7):  # of 12 steps, in the third epoch
        run(method, shots, checkpoint=tmp_path / "run.pt")
    assert len(load_checkpoint(tmp_path / "run.pt")["history"]["loss"]) == 2
    resumed = run(method, shots, checkpoint=tmp_path / "run.pt")
    assert all(torch.equal(whole[name], tensor) for name, tensor in resumed.items())


def test_how_many_numbers_each_trains():
    found = {}
    for method, prepare in FROZEN.items():
        model = cnn()
        prepare(model)
        found[method] = trainable(model)
    assert found == {"head only": 1_290, "partial": 75_274, "statistics": 140_458, "LoRA": 9_518}


def test_lp_ft_is_one_of_them(shots):
    probing, tuning = lp_ft(cnn(), shots, probe_epochs=10, epochs=5, val=shots, batch_size=16)
    assert tuning.loss[0] < probing.loss[0]
    assert tuning.val_accuracy[-1] >= probing.val_accuracy[0]
