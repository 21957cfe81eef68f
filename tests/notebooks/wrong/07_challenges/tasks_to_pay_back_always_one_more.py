"""Rounds down and adds one task, also when it comes out even.

expected: both ways have cost the same
"""

import math


def tasks_to_pay_back(pretraining, from_scratch, fine_tuning):
    saved = from_scratch - fine_tuning
    return math.floor(pretraining / saved) + 1 if saved > 0 else math.inf
