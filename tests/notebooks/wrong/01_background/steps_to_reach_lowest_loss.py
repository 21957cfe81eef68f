"""Returns where the loss is lowest.

expected: That is where the loss is lowest
"""

import numpy as np


def steps_to_reach(losses, target):
    return int(np.argmin(losses)) + 1 if min(losses) <= target else None
