"""TransferLab: pre-training, transfer learning and fine-tuning, measured."""

from transferlab import data, models
from transferlab.errors import InputError
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
