"""Splits, draws and batches: every sample once, the same for every kind of data set."""

import itertools
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, Subset

from transferlab import InputError
from transferlab.data import (
    FreshDataset,
    MemoryDataset,
    batches,
    digits,
    few_shot,
    fresh_letters,
    in_memory,
    labels,
    loader,
    split,
    subset,
)


class Items(Dataset):
    """A torch data set read item by item; sample i holds the number i."""

    def __init__(self, n: int, targets: list[int] | None = None) -> None:
        self.targets = [i % 3 for i in range(n)] if targets is None else targets
        self.classes, self.name = ["a", "b", "c"], "items"

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int):
        return torch.tensor([float(index)]), self.targets[index]


class NumpyNoise(Items):
    def __getitem__(self, index: int):
        return torch.tensor([np.random.rand()]), 0


def numbers(n: int = 10) -> MemoryDataset:
    """Sample i holds the number i."""
    return in_memory(Items(n), workers=0)


def seen(data: Dataset) -> list[float]:
    return [x.item() for x, _ in (data[i] for i in range(len(data)))]


KINDS = {"memory": numbers, "items": Items, "subset": lambda n: Subset(Items(n), range(n))}


@pytest.fixture(params=KINDS)
def make(request):
    return KINDS[request.param]


# ---- split and few_shot --------------------------------------------------------------------------


def test_split_is_disjoint_and_complete(make):
    parts = split(make(300), (0.5, 0.2, 0.3), seed=0)
    assert [len(part) for part in parts] == [150, 60, 90]
    assert sorted(x for part in parts for x in seen(part)) == list(range(300))


def test_split_keeps_the_mix_of_classes():
    targets = [0] * 600 + [1] * 300 + [2] * 100
    for part in split(Items(1000, targets), (0.4, 0.1, 0.5), seed=1):
        counts = labels(part).bincount()
        assert counts.tolist() == [0.6 * len(part), 0.3 * len(part), 0.1 * len(part)]


def test_split_of_digits_is_stratified_to_one_sample():
    data = digits()
    whole = data.y.bincount()
    train, validation, test = split(data, (0.4, 0.1, 0.5), seed=0)
    for part, share in ((train, 0.4), (validation, 0.1), (test, 0.5)):
        assert ((part.y.bincount() - share * whole).abs() <= 1).all()
    assert len(train) + len(validation) + len(test) == 1797


def test_split_is_decided_by_its_seed_alone(make):
    torch.manual_seed(1)
    first = [seen(part) for part in split(make(60), (0.5, 0.5), seed=4)]
    torch.manual_seed(2)
    assert [seen(part) for part in split(make(60), (0.5, 0.5), seed=4)] == first
    assert [seen(part) for part in split(make(60), (0.5, 0.5), seed=5)] != first


def test_the_rest_can_be_left_out():
    [part] = split(numbers(30), (0.5,), seed=0)
    assert len(part) == 15


@pytest.mark.parametrize("fractions", [(), (0.5, 0.6), (0.0, 0.5), (1.2,), (-0.1, 0.5)])
def test_bad_fractions_are_refused(fractions):
    with pytest.raises(InputError, match=r"fractions=.*add up to at most 1"):
        split(numbers(), fractions)


def test_few_shot_draws_are_nested_and_exact(make):
    draws = {k: set(seen(few_shot(make(90), k, seed=2))) for k in (1, 2, 5, 20)}
    assert [len(draw) for draw in draws.values()] == [3, 6, 15, 60]
    assert draws[1] < draws[2] < draws[5] < draws[20]
    assert labels(few_shot(make(90), 5, seed=2)).bincount().tolist() == [5, 5, 5]


def test_few_shot_differs_between_seeds_and_repeats_within():
    draws = [tuple(seen(few_shot(numbers(90), 2, seed=s))) for s in (0, 0, 1, 2)]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3


def test_few_shot_refuses_what_is_not_there():
    with pytest.raises(InputError, match=r"items: class 1 has 3 samples; per_class=4"):
        few_shot(numbers(10), 4)
    with pytest.raises(InputError, match="per_class=0: expected at least 1"):
        few_shot(numbers(10), 0)


def test_a_part_of_a_part_keeps_its_names():
    for data in (numbers(30), Items(30)):
        part = subset(subset(data, torch.arange(10, 20)), torch.tensor([0, 5]))
        assert seen(part) == [10, 15]
        assert (part.classes, part.name) == (["a", "b", "c"], "items")
        assert labels(part).tolist() == [1, 0]


def test_labels_are_read_without_reading_the_inputs():
    class Expensive(Items):
        def __getitem__(self, index):
            raise AssertionError

    assert labels(Expensive(4)).tolist() == [0, 1, 2, 0]
    pair = torch.utils.data.TensorDataset(torch.zeros(2), torch.tensor([1, 0]))
    assert labels(pair).tolist() == [1, 0]
    with pytest.raises(InputError, match=r"found no labels in TensorDataset; .*targets"):
        labels(torch.utils.data.TensorDataset(torch.zeros(3)))


# ---- batches -------------------------------------------------------------------------------------


def epoch(loader) -> list[list[float]]:
    return [x.flatten().tolist() for x, _ in loader]


def flat(batches: list[list[float]]) -> list[float]:
    return list(itertools.chain(*batches))


@pytest.mark.parametrize("workers", [0, 2])
def test_every_sample_comes_once_an_epoch(make, workers):
    loader = batches(make(23), 5, shuffle=True, workers=workers)
    for _ in range(2):
        found = epoch(loader)
        assert [len(batch) for batch in found] == [5, 5, 5, 5, 3]
        assert sorted(flat(found)) == list(range(23))
    assert len(loader) == 5


def test_without_shuffling_the_order_is_that_of_the_data(make):
    assert flat(epoch(batches(make(11), 4, workers=0))) == list(range(11))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_order_depends_on_the_generator_alone_for_every_kind(workers):
    found = []
    for make in KINDS.values():
        torch.manual_seed(len(found))
        generator = torch.Generator().manual_seed(7)
        loader = batches(make(23), 5, shuffle=True, generator=generator, workers=workers)
        found.append(([epoch(loader) for _ in range(3)], generator.get_state().tolist()))
    assert found[0] == found[1] == found[2]
    first, second, third = found[0][0]
    assert first != second != third


def test_labels_travel_with_their_inputs(make):
    for x, y in batches(make(23), 5, shuffle=True, workers=0):
        assert (x.flatten().long() % 3).tolist() == y.tolist()
        assert y.dtype == torch.int64


def test_the_chunked_gather_equals_the_plain_one(monkeypatch):
    data = digits()

    def plain():
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(3))
        for rows in order.split(32):
            yield data.x[rows], data.y[rows]

    for size in (1, 3 * 32 * 256, 64 * 2**20):  # a batch at once, three batches, everything
        monkeypatch.setattr(loader, "CHUNK_BYTES", size)
        generator = torch.Generator().manual_seed(3)
        found = list(batches(data, 32, shuffle=True, generator=generator))
        assert len(found) == 57
        for (x, y), (x_plain, y_plain) in zip(found, plain(), strict=True):
            assert torch.equal(x, x_plain) and torch.equal(y, y_plain)


def test_bytes_become_floats_in_0_to_1(make):
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8)[:, None]
    data = MemoryDataset(pixels, torch.zeros(3, dtype=torch.int64), ["a"])
    [(x, _)] = batches(data, 3)
    assert x.dtype == torch.float32
    assert x.flatten().tolist() == pytest.approx([0, 0.2, 1], abs=1e-7)
    assert data.x.dtype == torch.uint8
    whole = MemoryDataset(torch.tensor([[0.0, 300.0]]), torch.tensor([0]), ["a"])
    [(x, _)] = batches(whole, 1)
    assert x.tolist() == [[0.0, 300.0]]  # floats are left as they are


def test_data_goes_to_the_device_once(each_device):
    data = digits().to(each_device)
    assert data.to(data.x.device) is data
    for x, y in batches(data, 512, shuffle=True, device=each_device):
        assert x.device.type == y.device.type == each_device
    assert torch.equal(labels(data), digits().y)
    assert len(few_shot(data, 2)) == 20


def test_one_seed_is_one_order_on_every_device(each_device):
    def order(device):
        generator = torch.Generator().manual_seed(1)
        return epoch(batches(numbers(50), 8, shuffle=True, generator=generator, device=device))

    assert order(each_device) == order("cpu")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"batch_size": 0}, "batch_size=0: expected at least 1"),
    ],
)
def test_bad_batches_are_refused(make, options, sentence):
    with pytest.raises(InputError, match=sentence):
        batches(make(10), **options)


def test_an_empty_data_set_is_refused():
    with pytest.raises(InputError, match="the data set is empty"):
        batches(Items(0, []), 4)


class Samples(Items):
    """A data set whose samples are all the same object."""

    def __init__(self, sample: object) -> None:
        super().__init__(4)
        self.sample = sample

    def __getitem__(self, index: int):
        return self.sample


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        yield torch.zeros(1), 0


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (torch.utils.data.DataLoader(Items(3)), "found a DataLoader.*loader.dataset"),
        ((torch.zeros(3, 1), torch.zeros(3)), r"found a tuple; .*MemoryDataset\(x, y, classes\)"),
        ([(torch.zeros(1), 0)], "found a list; expected a data set"),
        ({"x": torch.zeros(3)}, "found a dict; expected a data set"),
        (torch.zeros(3, 1), "found a Tensor; expected a data set"),
        (np.zeros((3, 1)), "found a ndarray; expected a data set"),
        (Stream(), "a Stream has no length"),
        (
            Samples({"image": 1, "label": 0}),
            r"a sample of the data set is a dict; expected \(input",
        ),
        (Samples((torch.zeros(1), 0, 1)), r"a sample of the data set is a tuple; expected \(input"),
        (Samples((Image.new("L", (4, 4)), 0)), "returns pictures; give it a transform"),
    ],
)
def test_what_is_no_data_set_gets_one_sentence(given, sentence):
    for call in (lambda: list(batches(given, 2, workers=0)), lambda: in_memory(given, workers=0)):
        with pytest.raises(InputError, match=sentence) as caught:
            call()
        assert "\n" not in str(caught.value)


SPAWN = """
import sys, torch
from transferlab.data import batches
torch.multiprocessing.set_start_method("spawn", force=True)

class Items(torch.utils.data.Dataset):
    def __init__(self, change):
        self.targets, self.change = [0, 1], change
    def __len__(self):
        return 2
    def __getitem__(self, index):
        return self.change(torch.tensor([float(index)])), index

def double(x):
    return 2 * x
"""


@pytest.mark.parametrize(
    ("calls", "output", "error"),
    [
        # Right, with a warning that the workers are not used.
        ("if __name__ == '__main__':\n    data = Items(lambda x: 2 * x)\n", "[0, 2]", "a lambda"),
        ("if __name__ == '__main__':\n    data = Items(double)\n", "[0, 2]", ""),
        ("if True:\n    data = Items(double)\n", "", "InputError: a worker process .*__main__"),
    ],
)
def test_workers_that_start_afresh(tmp_path, calls, output, error):
    """As on Windows and macOS: the data set is sent to them, and the script is imported again."""
    lines = "    [(x, _)] = batches(data, 2, workers=1)\n    print(x.flatten().int().tolist())\n"
    (tmp_path / "script.py").write_text(SPAWN + calls + lines)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == output
    assert re.search(error, done.stderr) if error else not done.stderr


def test_workers_do_not_share_numpys_random_numbers():
    x = torch.cat([x for x, _ in batches(NumpyNoise(40), 5, workers=2)]).flatten()
    assert len(x.unique()) == 40


# ---- MemoryDataset -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        (torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), r"pets: the data set is empty"),
        (torch.zeros(3, 2), torch.tensor([0, 1]), r"shape \(3,\); found labels of shape \(2,\)"),
        (torch.zeros(2, 2), torch.tensor([[0], [1]]), r"found labels of shape \(2, 1\)"),
        (torch.zeros(2, 2), torch.tensor([0.0, 1.0]), r"labels must be integers; found torch\.f"),
        (torch.zeros(3, 2), torch.tensor([0, 1, 2]), r"label 2 at sample 2.*0 to 1 for 2 classes"),
        (torch.zeros(3, 2), torch.tensor([0, -1, 1]), r"label -1 at sample 1 is out of range"),
        (torch.tensor([[0.0], [float("nan")]]), torch.tensor([0, 1]), r"sample 1 holds NaN"),
        (
            torch.tensor([[0.0], [float("-inf")]]),
            torch.tensor([0, 1]),
            r"sample 1 holds NaN or inf",
        ),
        (torch.tensor([float("nan"), 1.0]), torch.tensor([0, 1]), r"sample 0 holds NaN"),
        (torch.zeros(2, 2), ["cat", "dog"], r"y holds values such as 'cat'; .*number the classes"),
        (torch.zeros(2, 2), np.array(["cat", "dog"], object), r"y holds values such as 'cat'"),
        (torch.zeros(2, 2), [None, 1], r"y holds values such as None"),
        (torch.zeros(2, 2), [[1, 0], [0]], r"y holds values such as .*an array of numbers"),
        ([[1.0, 2.0], [3.0]], [0, 1], r"x holds values such as \[1\.0, 2\.0\]"),
        (torch.zeros(2, 2), torch.eye(2), r"found labels of shape \(2, 2\)"),
        (torch.zeros(()), [0], r"x is a single number"),
    ],
)
def test_broken_data_gets_one_sentence(x, y, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        MemoryDataset(x, y, ["cat", "dog"], "pets")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "x", [np.eye(2)[::-1], np.eye(2, dtype=np.float32), [[0, 1], [1, 0]], np.eye(2, dtype=">f4")]
)
def test_arrays_of_every_order_become_tensors(x):
    data = MemoryDataset(x, np.array([0, 1], np.uint8), ["cat", "dog"])
    assert data.x.tolist() == np.asarray(x).tolist() and data.y.dtype == torch.int64


def test_columns_travel_with_their_numbers():
    data = MemoryDataset(torch.zeros(8, 2), torch.arange(8) % 2, ["a", "b"], columns=["m", "kg"])
    assert [part.columns for part in split(data, (0.5, 0.5))] == [["m", "kg"]] * 2
    assert few_shot(data, 1).columns == ["m", "kg"]
    assert data.to("cpu").columns == ["m", "kg"]


def test_finite_numbers_whose_sum_overflows_are_accepted():
    x = torch.full((4, 2), 60_000.0, dtype=torch.float16)
    assert len(MemoryDataset(x, torch.zeros(4, dtype=torch.int64), ["a"])) == 4


def test_it_says_what_it_is():
    assert repr(digits()) == "digits: 1,797 samples of 1×8×8, 10 classes"


# ---- FreshDataset --------------------------------------------------------------------------------


def fresh(samples: int = 20) -> FreshDataset:
    def draw(n, generator):
        return torch.rand(n, 2, generator=generator), torch.zeros(n, dtype=torch.int64)

    return FreshDataset(draw, samples, ["a"], "noise")


def test_fresh_data_never_repeats_and_is_reproducible():
    def two_epochs():
        loader = batches(fresh(), 8, generator=torch.Generator().manual_seed(1))
        return [torch.cat([x for x, _ in loader]) for _ in range(2)]

    first, second = two_epochs()
    assert first.shape == second.shape == (20, 2)
    assert len(torch.cat([first, second]).unique()) == 80
    assert all(torch.equal(a, b) for a, b in zip(two_epochs(), (first, second), strict=True))


def test_fresh_data_without_a_generator_goes_on_too():
    loader = batches(fresh(), 8)
    one, two = (torch.cat([x for x, _ in loader]) for _ in range(2))
    assert not torch.equal(one, two)
    assert [len(y) for _, y in loader] == [8, 8, 4]


def test_fresh_data_counts_samples():
    assert len(batches(fresh(20), 8)) == 3
    with pytest.raises(InputError, match="samples=0; expected at least 1"):
        fresh(0)


def test_split_refuses_an_empty_part():
    data = MemoryDataset(torch.rand(16, 2), torch.arange(16) % 2, ["a", "b"])
    with pytest.raises(InputError, match=r"the part of 0.05 gets no sample"):
        split(data, (0.7, 0.05, 0.25))


def test_fresh_data_cannot_be_kept_in_memory():
    with pytest.raises(InputError, match="drawn anew for every batch"):
        in_memory(fresh_letters(10))
