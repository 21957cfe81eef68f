"""Computes the vote, although it was measured.

expected: not what the formula promises
"""

import numpy as np


def what_to_buy(wrong_one, wrong_three, many, few):
    one = np.interp(wrong_one, list(many), list(many.values()))
    vote = 3 * wrong_one**2 - 2 * wrong_one**3
    three = np.interp(vote, list(few), list(few.values()))
    return "three answers" if three < one else "more images"
