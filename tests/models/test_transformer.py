"""The transformer: attention by its formula, torch's own encoder layer, padding, and its errors."""

import math

import pytest
import torch
from torch import nn

from transferlab import InputError, fit, freeze, load_backbone
from transferlab.applications.text import PADDING
from transferlab.data import MemoryDataset
from transferlab.device import seeded
from transferlab.features import extract_features
from transferlab.models import MaskedLanguageModel, save_weights, text_transformer
from transferlab.models.transformer import Attention, Block, masked_mean


def tiny(**options):
    with seeded(0):
        return text_transformer(**{"num_classes": 3, "shape": (6,), "vocabulary": 20, **options})


def texts(n: int = 4, length: int = 6, seed: int = 0) -> torch.Tensor:
    """Return texts of different lengths: text i has its last i tokens cut off."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(3, 20, (n, length), generator=generator)
    for i in range(n):
        x[i, length - i :] = PADDING
    return x


def test_attention_by_hand():
    """One head and d = 2; two real tokens and a padding. Identity layers: Q = K = V = x."""
    attention = Attention(width=2, heads=1)
    for layer in (attention.query, attention.key, attention.value, attention.output):
        nn.init.eye_(layer.weight)
        nn.init.zeros_(layer.bias)
    x = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [9.0, 9.0]]])
    real = torch.tensor([[True, True, False]])
    root = math.sqrt(2)
    e = math.exp(1 / root)  # token 1 with itself: 1 / √2, with token 2: 0
    f = math.exp(4 / root)  # token 2 with itself: 4 / √2
    shares = torch.tensor([[e / (e + 1), 1 / (e + 1)], [1 / (1 + f), f / (1 + f)]])
    found = attention.weights(x, real)
    torch.testing.assert_close(found[0, 0, :2, :2], shares)
    assert not found[..., 2].any()
    torch.testing.assert_close(attention(x, real)[0, :2], shares @ x[0, :2])


def test_the_shares_are_those_that_forward_uses():
    with seeded(0):
        attention, x = Attention(8, heads=2), torch.randn(3, 5, 8)
    real = texts(3, 5) != PADDING
    shares = attention.weights(x, real)
    torch.testing.assert_close(shares.sum(dim=-1), torch.ones(3, 2, 5))
    v = attention.value(x).view(3, 5, 2, 4).transpose(1, 2)
    mixed = attention.output((shares @ v).transpose(1, 2).reshape(3, 5, 8))
    torch.testing.assert_close(attention(x, real), mixed)


def test_a_block_is_torchs_encoder_layer():
    width, heads = 16, 4
    with seeded(0):
        ours = Block(width, heads, dropout=0.0)
        theirs = nn.TransformerEncoderLayer(
            width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        x = torch.randn(3, 6, width)
    attention = ours.attention
    parts = (attention.query, attention.key, attention.value)
    theirs.load_state_dict(
        {
            "self_attn.in_proj_weight": torch.cat([part.weight for part in parts]),
            "self_attn.in_proj_bias": torch.cat([part.bias for part in parts]),
            "self_attn.out_proj.weight": attention.output.weight,
            "self_attn.out_proj.bias": attention.output.bias,
            "linear1.weight": ours.mlp[0].weight,
            "linear1.bias": ours.mlp[0].bias,
            "linear2.weight": ours.mlp[2].weight,
            "linear2.bias": ours.mlp[2].bias,
            "norm1.weight": ours.norm1.weight,
            "norm1.bias": ours.norm1.bias,
            "norm2.weight": ours.norm2.weight,
            "norm2.bias": ours.norm2.bias,
        }
    )
    real = texts(3) != PADDING
    found, expected = ours(x, real), theirs(x, src_key_padding_mask=~real)
    torch.testing.assert_close(found[real], expected[real], rtol=1e-4, atol=1e-5)


def test_padding_changes_nothing():
    model = tiny().eval()
    x = texts()[3:, :3]  # three real tokens
    longer = torch.cat([x, torch.full((1, 3), PADDING)], dim=1)
    torch.testing.assert_close(model(x), model(longer), rtol=1e-5, atol=1e-6)


def test_the_mean_is_over_real_tokens_and_an_empty_text_is_zero():
    h = torch.tensor([[[2.0], [4.0], [99.0]], [[5.0], [7.0], [9.0]]])
    real = torch.tensor([[True, True, False], [False, False, False]])
    assert masked_mean(h, real).tolist() == [[3.0], [0.0]]


def test_an_empty_text_gives_finite_numbers_and_gradients():
    """`fit` sends one through the network where a process has no sample left."""
    model = tiny()
    model(torch.zeros(1, 6, dtype=torch.int64)).sum().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients and all(g.isfinite().all() for g in gradients)


def test_a_text_does_not_depend_on_the_others_of_its_batch():
    model, x = tiny().eval(), texts()
    torch.testing.assert_close(model(x)[1:2], model(x[1:2]), rtol=1e-5, atol=1e-6)


def test_the_order_of_words_counts():
    model = tiny().eval()
    x = torch.tensor([[5, 6, 7]])
    assert not torch.allclose(model.forward_features(x), model.forward_features(x.flip(1)))
    with torch.no_grad():
        model.features.position.weight.zero_()
    same = model.forward_features(x), model.forward_features(x.flip(1))
    torch.testing.assert_close(*same)  # without positions it is a bag of words


def test_the_numbers_are_counted():
    """Embeddings, and per block 12 width² + 13 width: attention 4, the small network 8."""
    width, vocabulary, length, layers = 16, 20, 6, 2
    model = tiny(width=width, layers=layers)
    block = 12 * width**2 + 13 * width
    expected = (vocabulary + length) * width + layers * block + 2 * width
    assert sum(p.numel() for p in model.features.parameters()) == expected


def test_scores_of_hidden_tokens_come_from_the_table_of_embeddings():
    model, x = tiny().eval(), texts()
    asked = torch.zeros_like(x, dtype=torch.bool)
    asked[0, 2] = asked[2, 1] = True
    network = MaskedLanguageModel(model)
    scores = network(x, asked)
    tokens, table = model.features.tokens(x), model.features.token.weight
    torch.testing.assert_close(scores[0], table @ tokens[0, 2])
    torch.testing.assert_close(scores[1], table @ tokens[2, 1])
    own = {id(p) for p in network.parameters()}
    assert own == {id(p) for p in model.features.parameters()}  # not a copy, and nothing besides


def test_it_trains_freezes_and_gives_features_like_any_backbone():
    with seeded(0):
        x = torch.randint(3, 20, (40, 6))
    data = MemoryDataset(x, (x[:, 0] > 10).long(), ["small", "large"])
    model = tiny(num_classes=2)
    history = fit(model, data, steps=60, lr=1e-2, batch_size=20, device="cpu")
    assert history.loss[-1] < history.loss[0]
    frozen = freeze(model)
    features = extract_features(model, data, device="cpu").x
    assert features.shape == (40, model.width)
    torch.testing.assert_close(features, model.eval().forward_features(x))
    frozen.assert_unchanged()


def test_weights_are_written_and_read(tmp_path):
    with seeded(0):
        model = text_transformer(2)
    save_weights(model, tmp_path / "text.safetensors")
    read = load_backbone("text_transformer", tmp_path / "text.safetensors").eval()
    x = texts(2)
    torch.testing.assert_close(read(x), model.eval()(x))


def test_wrong_input_is_told():
    model = tiny()
    with pytest.raises(InputError, match=r"integers of shape \(N, 6\) or shorter.*\(2, 7\)"):
        model(torch.zeros(2, 7, dtype=torch.int64))
    with pytest.raises(InputError, match=r"found torch.float32"):
        model(torch.zeros(2, 6))
    with pytest.raises(InputError, match=r"width=10 is not a multiple of heads=4"):
        tiny(width=10)
    with pytest.raises(InputError, match=r"size=8 is for images"):
        load_backbone("text_transformer", num_classes=2, size=8)
