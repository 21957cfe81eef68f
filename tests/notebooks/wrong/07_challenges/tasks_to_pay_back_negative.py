"""Asks only whether the difference is zero.

expected: adds to the bill
"""

import math


def tasks_to_pay_back(pretraining, from_scratch, fine_tuning):
    saved = from_scratch - fine_tuning
    return math.ceil(pretraining / saved) if saved != 0 else math.inf
