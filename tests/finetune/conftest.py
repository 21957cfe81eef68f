"""What the tests of fine-tuning share: a few labelled digits."""

import pytest

from transferlab.data import MemoryDataset, digits, few_shot


@pytest.fixture
def shots() -> MemoryDataset:
    return few_shot(digits(), 4, seed=0)
