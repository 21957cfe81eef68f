"""Compares the best seeds.

expected: The first is luck
"""


def what_to_train(results, margin):
    scores = {name: max(r["validation"]) for name, r in results.items()}
    chosen = next(name for name, mean in scores.items() if mean >= max(scores.values()) - margin)
    return chosen, sum(results[chosen]["test"]) / len(results[chosen]["test"])
