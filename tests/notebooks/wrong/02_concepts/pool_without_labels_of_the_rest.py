"""Takes the test images, because the training images have labels already.

expected: test images are in the pool
"""

from transferlab import data


def pool_without_labels(dataset, train, test):
    return data.unlabelled(dataset.x[test])
