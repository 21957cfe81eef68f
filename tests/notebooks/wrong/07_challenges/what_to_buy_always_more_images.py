"""Believes that more images always win.

expected: The two purchases have different shares
"""


def what_to_buy(wrong_one, wrong_three, many, few):
    return "more images"
