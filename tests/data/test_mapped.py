"""Tensors on the disk: what was written is read, by us and by others, or nothing is."""

import numpy as np
import pytest
import torch

from transferlab.data.mapped import read_mapped, write_batches

Y = torch.tensor([0, 1, 1, 0, 2])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3,), (2, 1, 3)])
def test_what_was_written_is_read(tmp_path, dtype, shape):
    x = torch.randn(5, *shape).to(dtype)
    file = tmp_path / "folder" / "x"
    write_batches(file, zip(x.split(2), Y.split(2), strict=True), 5, {"of": [1, "é"]})
    found_x, found_y = read_mapped(file, {"of": [1, "é"]})
    assert torch.equal(found_x, x) and torch.equal(found_y, Y)
    assert found_x.dtype == dtype
    theirs = np.load(tmp_path / "folder" / "x.x.npy")
    if dtype != torch.bfloat16:  # NumPy has no such type: there the bits are those of integers
        assert theirs.dtype == x.numpy().dtype
        assert np.array_equal(theirs, x.numpy())
    assert np.array_equal(np.load(tmp_path / "folder" / "x.y.npy"), Y.numpy())


def test_a_new_file_changes_nothing_in_what_was_read_before(tmp_path):
    file = tmp_path / "x"
    for value in (1.0, 2.0):
        write_batches(file, [(torch.full((5, 3), value), Y)], 5, "note")
        if value == 1.0:
            before, _ = read_mapped(file, "note")
    assert (before == 1).all()
    assert (read_mapped(file, "note")[0] == 2).all()


def test_what_is_not_there_is_none(tmp_path):
    assert read_mapped(tmp_path / "x", "note") is None


def test_an_error_while_the_batches_are_made_leaves_the_old_file(tmp_path):
    file = tmp_path / "x"
    write_batches(file, [(torch.ones(5, 3), Y)], 5, "note")

    def broken():
        yield torch.zeros(2, 3), Y[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_batches(file, broken(), 5, "note")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.json", "x.x.npy", "x.y.npy"]
    assert (read_mapped(file, "note")[0] == 1).all()
