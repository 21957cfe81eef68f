"""Lets the test images choose.

expected: the second must not choose
"""


def what_to_train(results, margin):
    scores = {name: sum(r["test"]) / len(r["test"]) for name, r in results.items()}
    chosen = next(name for name, mean in scores.items() if mean >= max(scores.values()) - margin)
    return chosen, sum(results[chosen]["test"]) / len(results[chosen]["test"])
