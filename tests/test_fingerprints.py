"""Fingerprints: equal for equal data, different as soon as anything differs."""

import hashlib

import pytest
import torch

from transferlab.data import MemoryDataset
from transferlab.files import hash_tensors, tensor_bytes
from transferlab.fingerprints import fingerprint


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
