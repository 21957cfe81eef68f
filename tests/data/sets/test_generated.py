"""What generated sets share: pools of a fixed size, and colours that can be told apart."""

import pytest
import torch

from transferlab import InputError
from transferlab.data.sets.generated import colours, pool


def draw(n: int, generator: torch.Generator):
    return torch.rand(n, 2, generator=generator), torch.zeros(n, dtype=torch.int64)


def test_a_pool_is_drawn_in_chunks_from_one_generator():
    data = pool(draw, 10, seed=5, classes=["a"], name="points", chunk=4)
    generator = torch.Generator().manual_seed(5)
    expected = torch.cat([draw(n, generator)[0] for n in (4, 4, 2)])
    assert torch.equal(data.x, expected)
    assert (data.name, data.classes) == ("points", ["a"])


def test_a_pool_without_samples_is_refused():
    with pytest.raises(InputError, match="points: n=0; expected at least 1"):
        pool(draw, 0, seed=0, classes=["a"], name="points")


@pytest.mark.parametrize("count", [2, 4])
def test_colours_of_an_image_differ_in_every_channel(count):
    found = colours(500, count, 3, torch.Generator().manual_seed(0))
    assert found.shape == (500, count, 3, 1, 1)
    assert found.min() >= 0 and found.max() <= 1
    for i in range(count):
        for j in range(i):
            assert (found[:, i] - found[:, j]).abs().min() > 0.5 / count - 1e-5
    assert found[:, 0].mean() == pytest.approx(0.5, abs=0.05)  # no colour is always the brighter


def test_the_generator_decides():
    torch.manual_seed(1)
    first = colours(5, 2, 3, torch.Generator().manual_seed(7))
    torch.manual_seed(2)
    assert torch.equal(first, colours(5, 2, 3, torch.Generator().manual_seed(7)))
