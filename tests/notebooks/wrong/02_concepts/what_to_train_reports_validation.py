"""Reports the number that it has chosen by.

expected: Report what nobody has chosen by
"""


def what_to_train(results, margin):
    scores = {name: sum(r["validation"]) / len(r["validation"]) for name, r in results.items()}
    chosen = next(name for name, mean in scores.items() if mean >= max(scores.values()) - margin)
    return chosen, scores[chosen]
