"""Believes that everybody prepares images as the course does.

expected: taken for those of
"""


def prepared_by(model, images, features, preparations):
    return "0 to 1"
