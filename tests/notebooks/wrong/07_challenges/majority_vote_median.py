"""Takes the median of the class numbers.

expected: Class numbers are names
"""


def majority_vote(votes, num_classes):
    return votes.median(dim=1).values
