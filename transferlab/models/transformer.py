"""A small transformer for texts, to be read from the first line to the last.

A text is a row of token numbers, padded at its end. Each token becomes a vector, the blocks let
these vectors look at each other, and the mean of them is what the head sees. All is written out;
only the attention itself is torch's, which does the same in less memory. The blocks are those of
Vaswani et al., Attention Is All You Need (2017), with the normalisation before each part instead of
after it: Xiong et al., On Layer Normalization in the Transformer Architecture (2020).
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

    In each head, every token asks all tokens of its text (query Q), is asked by all (key K), and
    hands over what it has to say (value V), vectors of d = width / heads numbers:

        softmax(Q Kᵀ / √d) V

    Row i of the softmax says how much token i listens to each token; padding is not listened to.
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
        heard = F.scaled_dot_product_attention(q, k, v, attn_mask=real[:, None, None, :])
        return self.output(heard.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, real: Tensor) -> Tensor:
        """Return softmax(Q Kᵀ / √d), which `forward` does not keep. → (N, heads, L, L)"""
        q, k = self._split(self.query(x)), self._split(self.key(x))
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        return scores.masked_fill(~real[:, None, None, :], -torch.inf).softmax(dim=-1)

    def _split(self, x: Tensor) -> Tensor:
        """(N, L, width) → (N, heads, L, d)"""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """One layer: the tokens look at each other, then each thinks for itself. Shapes stay.

    Both parts only add to what was there, so that a deep network still passes the gradient on.
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
        """Return a vector for every token, which knows of its neighbours. → (N, L, width)"""
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
        shape: (length,), the longest text in tokens; shorter ones may come in.
        vocabulary: how many different tokens there are. Their numbers are below it.
        width: how many numbers stand for a token; each of the `heads` gets an equal share.
        layers: how many blocks.
        dropout: the share of numbers that each part leaves out in training.
    """
    if width % heads:
        raise InputError(f"width={width} cannot be shared by heads={heads}; expected a multiple.")
    (length,) = shape
    features = Transformer(vocabulary, length, width, heads, layers, dropout)
    return TextBackbone(features, width, num_classes, shape=shape, name="text_transformer")


class MaskedLanguageModel(nn.Module):
    """A transformer that guesses tokens. (N, L) → scores of the tokens that are asked for

    It has no numbers of its own: the table of embeddings, which turns tokens into vectors, turns
    vectors into scores as well. A token's score is high where the vector is like its own. Source:
    Press and Wolf, Using the Output Embedding to Improve Language Models (2017).
    """

    def __init__(self, backbone: TextBackbone) -> None:
        super().__init__()
        self.features = backbone.features

    def forward(self, x: Tensor, asked: Tensor) -> Tensor:
        """Score where `asked`, shape (N, L), is True. → (number of True, vocabulary)"""
        # Selected before it is scored: scores for all tokens would be most of the work of a step.
        return self.features.tokens(x)[asked] @ self.features.token.weight.T
