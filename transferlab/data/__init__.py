"""Data: embedded and generated sets, your own files, and real sets by name."""

from transferlab.data import augment
from transferlab.data.copies import near_copies
from transferlab.data.dataset import (
    Batch,
    FreshDataset,
    MemoryDataset,
    labels,
    resize,
    subset,
    unlabelled,
)
from transferlab.data.folders import ImageFiles, image_folder
from transferlab.data.loader import Batches, batches, in_memory
from transferlab.data.sets.cards import licences
from transferlab.data.sets.digits import digits
from transferlab.data.sets.fractals import draw_fractals, fractals
from transferlab.data.sets.letters import draw_letters, fresh_letters, letters
from transferlab.data.sets.mnist import mnist_small
from transferlab.data.sets.patches import photo_patches, textures
from transferlab.data.sets.photos import photos
from transferlab.data.sets.real import load
from transferlab.data.sets.shapes import fresh_shapes, shapes
from transferlab.data.sets.solar import solar_cells, solar_modules
from transferlab.data.splits import few_shot, split
from transferlab.data.tables import csv_file

__all__ = [
    "Batch",
    "Batches",
    "FreshDataset",
    "ImageFiles",
    "MemoryDataset",
    "augment",
    "batches",
    "csv_file",
    "digits",
    "draw_fractals",
    "draw_letters",
    "few_shot",
    "fractals",
    "fresh_letters",
    "fresh_shapes",
    "image_folder",
    "in_memory",
    "labels",
    "letters",
    "licences",
    "load",
    "mnist_small",
    "near_copies",
    "photo_patches",
    "photos",
    "resize",
    "shapes",
    "solar_cells",
    "solar_modules",
    "split",
    "subset",
    "textures",
    "unlabelled",
]
