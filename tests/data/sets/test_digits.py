"""The digits are scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from transferlab import InputError
from transferlab.data import digits


def test_the_numbers_are_scikit_learns():
    raw, data = load_digits(), digits()
    assert np.array_equal(data.x[:, 0].numpy() * 16, raw.images)
    assert np.array_equal(data.y.numpy(), raw.target)
    assert data.classes == [str(i) for i in range(10)]
    assert (data.x.min(), data.x.max()) == (0, 1)


@pytest.mark.parametrize(("size", "channels"), [(8, 3), (28, 1), (32, 3)])
def test_other_sizes_and_colours(size, channels):
    data = digits(size, channels)
    assert data.x.shape == (1797, channels, size, size)
    assert data.x.dtype == torch.float32 and data.x.is_contiguous()
    assert data.x.min() >= 0 and data.x.max() <= 1
    assert all(torch.equal(data.x[:, 0], data.x[:, c]) for c in range(channels))
    small = torch.nn.functional.adaptive_avg_pool2d(data.x[:, :1], 8)
    together = torch.corrcoef(torch.stack([small.flatten(), digits().x.flatten()]))[0, 1]
    assert together > 0.95  # still the same pictures, not mirrored or turned


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="size=7 is too small; expected 8 or more"):
        digits(7)
    with pytest.raises(InputError, match=r"channels=2; expected 1 \(grey\) or 3"):
        digits(channels=2)
