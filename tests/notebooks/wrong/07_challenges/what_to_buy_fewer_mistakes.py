"""Takes the purchase with fewer wrong labels.

expected: Wrong labels are not what you pay for
"""


def what_to_buy(wrong_one, wrong_three, many, few):
    return "three answers" if wrong_three < wrong_one else "more images"
