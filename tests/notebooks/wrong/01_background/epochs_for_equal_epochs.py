"""Takes an epoch for a step, so that every set gets the same number of epochs.

expected: Equal epochs are not an equal budget: count the steps
"""


def epochs_for(samples, batch_size, steps):
    return steps
