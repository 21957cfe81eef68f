"""What goes in: embedded and generated sets, your own files, and real sets by name."""

from transferlab.data.dataset import (
    Batches,
    FreshDataset,
    MemoryDataset,
    batches,
    few_shot,
    in_memory,
    labels,
    resize,
    split,
    subset,
    unlabelled,
)
from transferlab.data.digits import digits
from transferlab.data.files import ImageFolder, csv_file, image_folder
from transferlab.data.letters import draw_letters, fresh_letters, letters
from transferlab.data.real import load

__all__ = [
    "Batches",
    "FreshDataset",
    "ImageFolder",
    "MemoryDataset",
    "batches",
    "csv_file",
    "digits",
    "draw_letters",
    "few_shot",
    "fresh_letters",
    "image_folder",
    "in_memory",
    "labels",
    "letters",
    "load",
    "resize",
    "split",
    "subset",
    "unlabelled",
]
