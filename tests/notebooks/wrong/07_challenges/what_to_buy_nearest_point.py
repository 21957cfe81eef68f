"""Takes the nearest point that was measured.

expected: The nearest point
"""


def what_to_buy(wrong_one, wrong_three, many, few):
    one = many[min(many, key=lambda share: abs(share - wrong_one))]
    three = few[min(few, key=lambda share: abs(share - wrong_three))]
    return "three answers" if three < one else "more images"
