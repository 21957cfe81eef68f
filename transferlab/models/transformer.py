"""A small transformer for texts, written to be read from the first line to the last.

A text is a sequence of token numbers, padded at its end. Each token becomes a vector, the blocks
let these vectors attend to each other, and the head gets their mean. Everything is written out;
only the attention itself is torch's, which computes the same in less memory. The blocks are those
of Vaswani et al., Attention Is All You Need (2017), with the normalisation before each part instead
of after it: Xiong et al., On Layer Normalization in the Transformer Architecture (2020).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferlab.errors import InputError
from transferlab.models.backbone import Backbone

PADDING, UNKNOWN, MASK = 0, 1, 2  # the numbers of the special tokens
SPECIAL = ("<padding>", "<unknown>", "<mask>")


class Attention(nn.Module):
    """Multi-head self-attention. (N, L, width) → (N, L, width)

    In each head, every token has a query Q, a key K and a value V, vectors of d = width / heads
    numbers. Its query is compared with the keys of all tokens of its text, and it gets the mean of
    their values, weighted by how well they match:

        softmax(Q Kᵀ / √d) V

    Row i of the softmax says how much token i attends to each token; padding is masked out.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """Args: x: the tokens. real: shape (N, L), False where there is only padding."""
        q, k, v = (self._split(part(x)) for part in (self.query, self.key, self.value))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=real[:, None, None, :])
        return self.output(attended.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, real: Tensor) -> Tensor:
        """Return softmax(Q Kᵀ / √d), which `forward` does not keep. → (N, heads, L, L)"""
        q, k = self._split(self.query(x)), self._split(self.key(x))
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        return scores.masked_fill(~real[:, None, None, :], -torch.inf).softmax(dim=-1)

    def _split(self, x: Tensor) -> Tensor:
        """(N, L, width) → (N, heads, L, d)"""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """One layer: attention among the tokens, then an MLP for each token. Shapes stay.

    Both parts are residual: they add to their input, so gradients reach the first layers of a deep
    network.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x), real))
        return x + self.dropout(self.mlp(self.norm2(x)))


class Transformer(nn.Module):
    """Token numbers → one vector per text, or one per token. (N, L) → (N, width)"""

    def __init__(
        self, vocabulary: int, length: int, width: int, heads: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(length, width)  # without it, a text is a bag of words
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        for embedding in (self.token, self.position):
            nn.init.normal_(embedding.weight, std=0.1)

    def tokens(self, x: Tensor) -> Tensor:
        """Return a vector for every token in its context. → (N, L, width)"""
        real = x != PADDING
        places = torch.arange(x.shape[1], device=x.device)
        h = self.dropout(self.token(x) + self.position(places))
        for block in self.blocks:
            h = block(h, real)
        return self.norm(h)

    def forward(self, x: Tensor) -> Tensor:
        return masked_mean(self.tokens(x), x != PADDING)


def masked_mean(h: Tensor, real: Tensor) -> Tensor:
    """Return the mean over the real tokens. h: (N, L, width), real: (N, L) → (N, width)"""
    weight = real.to(h.dtype)[:, :, None]
    return (h * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)  # a text may be empty


class TextBackbone(Backbone):
    """A transformer and a head. (N, L) token numbers → (N, width) → (N, num_classes)"""

    def _check(self, x: Tensor) -> None:
        (length,) = self.shape
        if x.ndim != 2 or x.shape[1] > length or x.is_floating_point():
            raise InputError(
                f"{self.name} expects token numbers, integers of shape (N, {length}) or shorter; "
                f"found {x.dtype} of shape {tuple(x.shape)}. `applications.text.encode` makes them."
            )


def text_transformer(
    num_classes: int = 2,
    shape: tuple[int] = (32,),
    vocabulary: int = 2048,
    width: int = 64,
    heads: int = 4,
    layers: int = 2,
    dropout: float = 0.1,
) -> TextBackbone:
    """Return a small transformer encoder for token numbers, as `applications.text.encode` makes.

    Args:
        shape: (length,), the longest text in tokens; shorter ones are allowed.
        vocabulary: how many different tokens there are. Their numbers are below it.
        width: size of the embedding of a token; each of the `heads` gets an equal share.
        layers: how many blocks.
        dropout: the probability of dropout after each part in training.
    """
    if width % heads:
        raise InputError(f"width={width} is not a multiple of heads={heads}; expected one.")
    (length,) = shape
    features = Transformer(vocabulary, length, width, heads, layers, dropout)
    return TextBackbone(features, width, num_classes, shape=shape, name="text_transformer")


class MaskedLanguageModel(nn.Module):
    """A transformer that predicts masked tokens. (N, L) → scores at the masked positions

    It has no parameters of its own: the embedding matrix, which turns tokens into vectors, turns
    vectors into scores as well (weight tying). A token's score is high where the vector is like
    its own. Source:
    Press and Wolf, Using the Output Embedding to Improve Language Models (2017).
    """

    def __init__(self, backbone: TextBackbone) -> None:
        super().__init__()
        self.features = backbone.features

    def forward(self, x: Tensor, asked: Tensor) -> Tensor:
        """Score where `asked`, shape (N, L), is True. → (number of True, vocabulary)"""
        # Select first, then score: scores at all positions would be most of the work of a step.
        return self.features.tokens(x)[asked] @ self.features.token.weight.T
