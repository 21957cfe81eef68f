"""What the answers of chapter 4 are called with when they are marked: see `kit/classroom/judging`.

Each function draws inputs for the exercise of its name; what is right, the solved answer says, or
a function `check_…` where more than one value is right. (`freeze_features` changes a network where
it stays, `add_up_parts` its gradients, and `low_rank` is a class of networks: their checks do all.)
"""

from itertools import pairwise

import torch

from transferlab import models
from transferlab.kit.classroom.values import Here

METHODS = "head", "LoRA", "adapters", "last blocks", "everything"
BRIGHTNESS = {
    "0 to 1": "lambda images: images",
    "divided by 255": "lambda images: images / 255",
    "half as bright": "lambda images: images / 2",
    "from 0.5 to 1": "lambda images: 0.5 + images / 2",
    "from 0.3 to 0.7": "lambda images: 0.3 + 0.4 * images",
}
ORDER = {
    "inverted": "lambda images: 1 - images",
    "blue and red exchanged": "lambda images: images.flip(1)",
    "mirrored": "lambda images: images.flip(3)",
}
# In training mode BatchNorm takes away how bright the images are; VGG has none.
NETWORKS = (
    (("small_cnn", "letters"), (1, 8, 8), BRIGHTNESS),
    (("narrow_vgg16", "letters_vgg16"), (3, 32, 32), BRIGHTNESS | ORDER),
)


def scale_columns(random):
    """Columns in all units; some are constant in the training rows, one in the test rows."""
    for rows, others, constant in ((20, 1, 0), (35, 12, 1), (50, 90, 3)):
        width = int(random.integers(5, 9))
        unit, zero = 10 ** random.uniform(-1.5, 2, size=width), random.uniform(-4, 4, size=width)
        train = unit * (random.normal(size=(rows, width)) + zero)
        test = unit * (random.normal(size=(others, width)) + zero + 1)
        train[:4, 0], test[:, 1] = train[0, 0], test[0, 1]
        if constant:
            train[:, -constant:] = random.uniform(-1, 1, size=constant)
            test[:, -1] = random.normal(size=others)
        places = random.permutation(width)
        yield tuple(torch.tensor(table[:, places], dtype=torch.float32) for table in (train, test))


def check_scale_columns(found, train, test):
    """The deviation may be that with N − 1 or with N."""
    scaled, scaled_test = (torch.as_tensor(table, dtype=torch.float32) for table in found)
    assert (scaled.shape, scaled_test.shape) == (train.shape, test.shape), (
        "expected are two tables, with the shapes of those that were handed over."
    )
    constant = (train == train[0]).all(dim=0)

    def right(table, rows):
        near = []
        for correction in (0, 1):
            deviation = train.std(dim=0, correction=correction).masked_fill(constant, torch.inf)
            expected = (rows - train.mean(dim=0)) / deviation
            near += [torch.allclose(table, expected, rtol=1e-3, atol=1e-4)]
        return any(near)

    assert right(scaled, train), (
        "each column of the training rows should get the mean 0 and the deviation 1; a constant "
        "one becomes 0."
    )
    assert right(scaled_test, test), (
        "the test rows should be scaled with the numbers of the training rows; where those are "
        "constant, the test rows become 0 as well."
    )


def read_rates(random):
    yield ()


def check_read_rates(found):
    """A reading with the eye is good enough."""
    assert abs(found["gain_at_small"] - (85.1 - 90.6)) <= 2, (
        "gain_at_small is read too far from the curves, or has the wrong sign."
    )
    assert abs(found["gain_fair"] - (97.2 - 95.3)) <= 0.4, (
        "gain_fair: take the highest point of each curve, wherever it lies."
    )
    assert found["most_patient"] == "head only", "most_patient: which curve is the widest?"


def best_that_fits(random):
    """Limits below all sizes, between them and above: nothing hangs on a rounding."""
    for tasks in (1, 2, 4, 25, 700):
        network = int(random.integers(10**5, 10**7))
        shares = *sorted(random.choice(range(1, 95), size=4, replace=False).tolist()), 100
        trained = [network * share // 100 for share in shares]
        accuracy = (random.choice(range(600, 990), size=5, replace=False) / 10).tolist()
        methods = {
            METHODS[n]: {"trained": trained[n], "accuracy": accuracy[n]}
            for n in random.permutation(5)
        }
        sizes = [4e-6 * (network + (tasks - 1) * n) for n in trained]
        limits = [(a + b) / 2 for a, b in pairwise(sizes) if a < b]
        for megabytes in (0.9 * sizes[0], *limits, 1.1 * sizes[-1]):
            yield methods, network, tasks, megabytes


def prepared_by(random):
    for network, shape, candidates in NETWORKS * 5:
        images = torch.tensor(random.uniform(size=(5, *shape)), dtype=torch.float32)
        names = random.permutation(list(candidates))[: random.integers(3, 6)].tolist()
        prepared = eval(candidates[str(random.choice(names))])(images)
        with torch.no_grad():
            features = models.load_backbone(*network).eval().forward_features(prepared)
        features += 1e-5 * torch.tensor(random.normal(size=features.shape))
        preparations = {name: Here(candidates[name]) for name in names}
        yield Here(f"load_backbone{network}.train()"), images, features, preparations
