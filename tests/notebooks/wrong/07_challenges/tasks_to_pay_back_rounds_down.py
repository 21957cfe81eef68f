"""Rounds down.

expected: It is not paid back yet: round up
"""

import math


def tasks_to_pay_back(pretraining, from_scratch, fine_tuning):
    saved = from_scratch - fine_tuning
    return pretraining // saved if saved > 0 else math.inf
