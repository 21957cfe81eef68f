"""Does not ask whether anything is saved.

expected: Nothing is saved, so it is never paid back
"""

import math


def tasks_to_pay_back(pretraining, from_scratch, fine_tuning):
    return math.ceil(pretraining / (from_scratch - fine_tuning))
