"""A real sentence encoder: all-MiniLM-L6-v2, a small BERT, through the library transformers.

A sentence is cut into tokens; BERT gives each token a vector that depends on all the others; their
mean, scaled to length 1, is the vector of the sentence. Sources: Reimers and Gurevych,
Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks (2019); Wang et al., MiniLM: Deep
Self-Attention Distillation for Task-Agnostic Compression of Pre-Trained Transformers (2020).
"""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from transferlab.applications.text import Texts
from transferlab.data import MemoryDataset
from transferlab.data.mapped import read_mapped, write_batches
from transferlab.errors import InputError
from transferlab.files import hash_text, real_path
from transferlab.models.packaged import packaged_cards, packaged_file
from transferlab.run import QUIET_SECONDS

LONGEST = 256  # tokens; what follows is cut off, as in sentence-transformers
AT_ONCE = 32  # texts in a batch
NAMES = ("minilm",)


class SentenceEncoder(nn.Module):
    """Texts → vectors of length 1; similar meanings have a large inner product.

    Attributes:
        network: the BERT of the library transformers, to be frozen or fine-tuned.
        width: numbers in a vector.
        weights: the SHA-256 of the weights.
    """

    def __init__(self, network: nn.Module, tokenizer: Any, weights: str) -> None:
        super().__init__()
        self.network, self.tokenizer, self.weights = network, tokenizer, weights
        self.width = network.config.hidden_size

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return one vector per text. Numbers of tokens and mask (N, L) → (N, width)

        Args:
            mask: 1 for a token, 0 for padding.
        """
        vectors = self.network(input_ids=tokens, attention_mask=mask).last_hidden_state
        mean = (vectors * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        return F.normalize(mean, dim=1)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return the vectors of texts, shape (N, width). The longest come first, so that a batch
        holds texts of nearly one length and little padding."""
        found = self.tokenizer.encode_batch(list(texts))
        order = sorted(range(len(found)), key=lambda i: -len(found[i].ids))
        vectors = torch.empty(len(found), self.width)
        device = next(self.parameters()).device
        starts = range(0, len(order), AT_ONCE)
        for start in tqdm(starts, "sentences", unit="batch", leave=False, delay=QUIET_SECONDS):
            chosen = order[start : start + AT_ONCE]
            rows = [torch.tensor(found[i].ids) for i in chosen]
            tokens = nn.utils.rnn.pad_sequence(rows, batch_first=True)
            mask = nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], True)
            vectors[chosen] = self(tokens.to(device), mask.to(device)).cpu()
        return vectors

    def features(self, texts: Texts, cache: str | Path | None = None) -> MemoryDataset:
        """Return the vectors of texts with their labels, as `extract_features` does for images.

        Args:
            cache: a folder that keeps them, such as `cache_folder()`.
        """
        name = f"{texts.name}, features of minilm"
        if cache is None:
            return MemoryDataset(self.encode(texts.texts), texts.y, texts.classes, name)
        note = {"weights": self.weights, "texts": hash_text(json.dumps(list(texts.texts)))}
        note["labels"] = texts.y.tolist()
        path = real_path(cache) / f"sentences-{hash_text(json.dumps(note))[:16]}"
        if (kept := read_mapped(path, note)) is None:
            write_batches(path, [(self.encode(texts.texts), texts.y)], len(texts), note)
            kept = read_mapped(path, note)
        return MemoryDataset(*kept, texts.classes, name)


def load_encoder(name: str = "minilm") -> SentenceEncoder:
    """Return a pre-trained sentence encoder in evaluation mode; `models.card(name)` says of what.

    Its weights come with a package; nothing is asked of the network.
    """
    if name not in NAMES:
        raise InputError(f"encoder {name!r} is unknown; expected {', '.join(NAMES)}.")
    weights = packaged_file(name)
    for package in ("transformers", "tokenizers"):
        if importlib.util.find_spec(package) is None:
            raise InputError(
                f"{name} needs {package}, which is missing. Type: pip install {package}"
            )
    # Here, because transformers takes seconds to import.
    from tokenizers import Tokenizer
    from transformers.models.bert.modeling_bert import BertModel

    tokenizer = Tokenizer.from_file(str(weights.with_name("tokenizer.json")))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    network = BertModel.from_pretrained(weights.parent, local_files_only=True)
    return SentenceEncoder(network, tokenizer, packaged_cards()[name]["sha256"]).eval()
