"""TransferLab: pre-training, transfer learning and fine-tuning, measured."""

import os

# Threads that wait for work should sleep. By default they spin, and on a machine that is doing
# something else as well, that makes small networks ten times slower. Read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from transferlab import data, models
from transferlab.device import reuse_freed_memory
from transferlab.errors import InputError
from transferlab.evaluate import evaluate
from transferlab.finetune import freeze
from transferlab.models import load_backbone
from transferlab.select import rank_models
from transferlab.train import fit

reuse_freed_memory()

__all__ = [
    "InputError",
    "data",
    "evaluate",
    "fit",
    "freeze",
    "load_backbone",
    "models",
    "rank_models",
]
