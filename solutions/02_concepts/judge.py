"""What the answers of chapter 2 are called with when they are marked: see `kit/classroom/judging`.

Each function draws inputs for the exercise of its name; what is right, the solved answer says.
(`snapshot` is about memory that is shared or not, which no value shows: its check does all.)
"""

import torch

from transferlab.kit.classroom.values import Here

NETWORKS = Here("letters_network().eval()"), Here("letters_network().train()")
FROZEN = Here("(lambda network: (network, freeze(network))[0])(letters_network())")


def all_features(random):
    for model, batch_size in zip(NETWORKS, (4, 7), strict=True):
        x = torch.tensor(random.uniform(size=(10, 1, 8, 8)), dtype=torch.float32)
        yield model, x, batch_size


def read_runs(random):
    yield ()


def check_read_runs(found):
    """A reading with the eye is good enough."""
    assert found["scratch"] == "B", "scratch: which run begins with the loss of knowing nothing?"
    assert abs(found["knows_nothing"] - 2.303) < 0.15, "knows_nothing is too far from ln 10."
    assert found["lower_loss"] == "head only", "lower_loss: look at the right end."
    assert found["higher_accuracy"] == "fine-tuned", "higher_accuracy: look at the right end."


def without_copies(random):
    """Some test images are training images, a little brighter or darker, anywhere."""
    for copies in (0, 1, 7):
        train = torch.tensor(random.uniform(0.1, 0.9, size=(20, 1, 8, 8)))
        train[:10] = train[10].clone()  # the same image eleven times
        test = torch.tensor(random.uniform(0.1, 0.9, size=(12, 1, 8, 8)))
        for place in random.choice(12, size=copies, replace=False):
            shift = float(random.choice([-0.04, 0.04]))
            test[place] = train[int(random.integers(20))] + shift
        near = int(random.integers(12))  # no copy: one pixel is another
        test[near] = train[19]
        test[near, 0, 3, 4] = 1 - train[19, 0, 3, 4].round()
        yield train, test, torch.tensor(random.random(12) < 0.6)


def what_to_train(random):
    """Two of the three are nearly level in validation; the test says something else."""
    for margin in (0.0, 0.5, 1.0, 2.0, 30.0):
        results = {}
        for name, level in (("head", 78), ("last block", 90), ("everything", 90.8)):
            validation = random.normal(level, 1, size=5).round(1).tolist()
            test = random.normal(90, 2, size=5).round(1).tolist()
            results[name] = {"validation": validation, "test": test}
        yield results, margin


def moving(random):
    for model in (*NETWORKS, FROZEN):
        yield model, torch.tensor(random.uniform(size=(16, 1, 8, 8)), dtype=torch.float32)
