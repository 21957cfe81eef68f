"""Takes equal epochs for equal training.

expected: Equal epochs are not equal training
"""


def confounds(one, other, studied):
    names = (set(one) | set(other)) - {studied}
    return {name for name in names if one.get(name) != other.get(name)}
