"""Compares both with the mistakes of a single answer.

expected: The two purchases have different shares
"""

import numpy as np


def what_to_buy(wrong_one, wrong_three, many, few):
    one, three = (np.interp(wrong_one, list(m), list(m.values())) for m in (many, few))
    return "three answers" if three < one else "more images"
