"""Subtracts the ends of one side's interval from the other's.

expected: The sides are not paired
"""

from transferlab.metrics import interval


def paired_gap(tuned, scratch):
    one, other = interval(tuned), interval(scratch)
    return one.low - other.high, one.high - other.low
