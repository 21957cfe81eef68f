"""Does not round.

expected: no part of a task
"""

import math


def tasks_to_pay_back(pretraining, from_scratch, fine_tuning):
    saved = from_scratch - fine_tuning
    if pretraining == 0:
        return 0
    return pretraining / saved if saved > 0 else math.inf
