"""TransferLab: pre-training, transfer learning and fine-tuning, measured."""

import importlib
from typing import TYPE_CHECKING

from transferlab.errors import InputError

if TYPE_CHECKING:
    from transferlab import data, models
    from transferlab.finetune import freeze
    from transferlab.metrics import evaluate
    from transferlab.models import load_backbone
    from transferlab.predictions import predict
    from transferlab.select import rank_models
    from transferlab.train import fit

__all__ = [
    "InputError",
    "data",
    "evaluate",
    "fit",
    "freeze",
    "load_backbone",
    "models",
    "predict",
    "rank_models",
]
HOMES = {
    "evaluate": "metrics",
    "fit": "train",
    "freeze": "finetune",
    "load_backbone": "models",
    "predict": "predictions",
    "rank_models": "select",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: torch takes seconds, the command line needs none.

    Source: PEP 562, Module __getattr__ and __dir__ (2017).
    """
    if name in ("data", "models"):
        return importlib.import_module(f"transferlab.{name}")
    if name not in HOMES:
        raise AttributeError(f"module 'transferlab' has no attribute {name!r}")
    globals()[name] = getattr(importlib.import_module(f"transferlab.{HOMES[name]}"), name)
    return globals()[name]


def __dir__() -> list[str]:
    return __all__
