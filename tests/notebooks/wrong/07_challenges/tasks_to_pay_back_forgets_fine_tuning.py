"""Takes a fine-tuned task for free.

expected: a fine-tuned task is not
"""

import math


def tasks_to_pay_back(pretraining, from_scratch, fine_tuning):
    return math.ceil(pretraining / from_scratch)
