"""Lets each row vote for itself.

expected: Ask the other rows
"""

from collections import Counter


def gives_away(rows, label="label", least=0.8):
    def score(column):
        groups = {}
        for row in rows:
            groups.setdefault(row[column], []).append(row[label])
        return sum(Counter(g).most_common(1)[0][1] for g in groups.values()) / len(rows)

    scores = {column: score(column) for column in rows[0] if column != label}
    best = max(scores, key=scores.get)
    return best if scores[best] >= least else None
