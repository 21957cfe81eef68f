"""What goes in: embedded and generated sets, your own files, and real sets by name."""

from transferlab.data import augment
from transferlab.data.carried import licences
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
from transferlab.data.docstrings import (
    Texts,
    docstrings,
    encode,
    unlabelled_docstrings,
    vocabulary,
)
from transferlab.data.faces import faces
from transferlab.data.files import ImageFolder, csv_file, image_folder
from transferlab.data.fractals import draw_fractals, fractals, fresh_fractals
from transferlab.data.identities import draw_identities, fresh_identities, identities
from transferlab.data.letters import draw_letters, fresh_letters, letters
from transferlab.data.patches import fresh_photos, fresh_textures, photos, textures
from transferlab.data.ratings import STARS, Ratings, movielens, ratings
from transferlab.data.real import SPEAKERS, load, spoken_digits
from transferlab.data.reviews import reviews
from transferlab.data.shapes import Scenes, fresh_shapes, scenes, shapes
from transferlab.data.tones import fresh_tones, log_mel, speak, spectrograms, tones

__all__ = [
    "SPEAKERS",
    "STARS",
    "Batches",
    "FreshDataset",
    "ImageFolder",
    "MemoryDataset",
    "Ratings",
    "Scenes",
    "Texts",
    "augment",
    "batches",
    "csv_file",
    "digits",
    "docstrings",
    "draw_fractals",
    "draw_identities",
    "draw_letters",
    "encode",
    "faces",
    "few_shot",
    "fractals",
    "fresh_fractals",
    "fresh_identities",
    "fresh_letters",
    "fresh_photos",
    "fresh_shapes",
    "fresh_textures",
    "fresh_tones",
    "identities",
    "image_folder",
    "in_memory",
    "labels",
    "letters",
    "licences",
    "load",
    "log_mel",
    "movielens",
    "photos",
    "ratings",
    "resize",
    "reviews",
    "scenes",
    "shapes",
    "speak",
    "spectrograms",
    "split",
    "spoken_digits",
    "subset",
    "textures",
    "tones",
    "unlabelled",
    "unlabelled_docstrings",
    "vocabulary",
]
