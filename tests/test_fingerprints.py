"""Fingerprints: equal for equal data, different as soon as anything differs."""

import functools
import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from transferlab import InputError
from transferlab.data import MemoryDataset, fresh_letters
from transferlab.files import hash_tensors, tensor_bytes
from transferlab.fingerprints import describe, describe_data, fingerprint


def test_the_hash_is_sha256_of_names_types_shapes_and_numbers():
    x = torch.tensor([[1.0, 2.0]])
    by_hand = hashlib.sha256(b"w torch.float32 (1, 2)\n" + x.numpy().tobytes()).hexdigest()
    assert hash_tensors([("w", x)]) == by_hand


def test_everything_that_tells_tensors_apart_counts():
    x = torch.arange(6, dtype=torch.int32)
    tensors = [("x", x), ("y", x)]
    others = [
        [("y", x), ("x", x)],
        [("x", x)],
        [("x", x.view(2, 3)), ("y", x)],
        [("x", x.view(torch.float32)), ("y", x)],  # the same bytes
        [("x", x.flip(0)), ("y", x)],
    ]
    found = {hash_tensors(named) for named in [tensors, *others]}
    assert len(found) == 6


def test_how_the_numbers_lie_in_memory_does_not_count():
    x = torch.rand(4, 3, 5, 5)
    assert hash_tensors([("x", x.contiguous(memory_format=torch.channels_last))]) == hash_tensors(
        [("x", x)]
    )
    assert hash_tensors([("x", x[::2])]) == hash_tensors([("x", x[::2].clone())])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.bool, torch.int64])
def test_bytes_of_every_type(dtype):
    x = torch.tensor([[0, 1], [1, 1]], dtype=dtype)
    assert torch.equal(torch.frombuffer(bytearray(tensor_bytes(x)), dtype=dtype), x.flatten())
    assert len(tensor_bytes(torch.tensor(1, dtype=dtype))) == dtype.itemsize
    assert len(tensor_bytes(torch.zeros(0, dtype=dtype))) == 0


def test_a_data_set_may_have_a_fingerprint_of_its_own():
    class Own(MemoryDataset):
        def fingerprint(self):
            return "mine, version 2"

    assert fingerprint(Own(torch.zeros(1, 2), torch.tensor([0]), ["a"])) == "mine, version 2"


# ---- functions and settings ----------------------------------------------------------------------


def make(factor):
    def inner(x):
        return factor * x

    return inner


class Callable:
    def __init__(self, by):
        self.by = by

    def __call__(self, x):
        return x + self.by


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (make(1.0), make(1.0), make(2.0)),
        (lambda x: x + 1, lambda x: x + 1, lambda x: x + 2),
        (lambda x, n=1: x, lambda x, n=1: x, lambda x, n=2: x),
        (functools.partial(max, 1), functools.partial(max, 1), functools.partial(max, 2)),
        (Callable(1), Callable(1), Callable(2)),
        (Callable([1, make(3)]), Callable([1, make(3)]), Callable([1, make(4)])),
        (torch.ones(3), torch.ones(3), torch.ones(4)),
        (make(torch.ones(3)), make(torch.ones(3)), make(torch.zeros(3))),
        (nn.CrossEntropyLoss(), nn.CrossEntropyLoss(), nn.CrossEntropyLoss(torch.ones(3))),
        ({1, "b"}, {"b", 1}, {1}),
        (Callable(1).__call__, Callable(1).__call__, Callable(2).__call__),
    ],
)  # fmt: skip
def test_equal_things_have_equal_words_and_others_have_others(one, same, other):
    assert describe(one, "it") == describe(same, "it") != describe(other, "it")


def test_words_name_what_a_person_would_look_for():
    text = describe(make(0.25), "it")
    assert "make.<locals>.inner" in text and "factor=0.25" in text
    assert describe(torch.relu, "it").endswith("relu")
    assert describe(None, "it") == "None"


def test_a_network_that_learns_is_told_by_its_form_a_fixed_one_by_its_weights():
    torch.manual_seed(0)
    one, two = nn.Linear(2, 2), nn.Linear(2, 2)
    assert describe(one, "it") == describe(two, "it")
    for network in (one, two):
        network.requires_grad_(False)
    assert describe(one, "it") != describe(two, "it")


@pytest.mark.parametrize("odd", [torch.Generator(), np.random.default_rng(0), object()])
def test_what_cannot_be_told_is_refused_with_its_kind(odd):
    with pytest.raises(InputError, match=rf"augment holds a {type(odd).__name__}, which does not"):
        describe(make(odd), "augment")


def test_something_that_holds_itself_ends():
    loop = [1]
    loop.append(loop)
    assert describe(loop, "it") == "[1, …]"
    thing = Callable(1)
    thing.me = thing
    assert "…" in describe(thing, "it")


def test_data_are_told_by_labels_names_and_inputs():
    x, y = torch.rand(40, 3), torch.arange(40) % 2
    base = describe_data(MemoryDataset(x, y, ["a", "b"]))
    assert base == describe_data(MemoryDataset(x.clone(), y, ["a", "b"], "another name"))
    for other in (
        MemoryDataset(x.flip(0), y, ["a", "b"]),
        MemoryDataset(x, 1 - y, ["a", "b"]),
        MemoryDataset(x, y, ["b", "a"]),
        MemoryDataset(x[:39], y[:39], ["a", "b"]),
    ):
        assert describe_data(other) != base
    one, two = (describe_data(fresh_letters(64, size=size)) for size in (8, 12))
    assert one["samples"] == 64 and one["inputs"] != two["inputs"]
