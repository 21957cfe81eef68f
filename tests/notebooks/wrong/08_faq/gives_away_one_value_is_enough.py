"""Takes one value that always has the same label for the whole column.

expected: Count all rows
"""


def gives_away(rows, label="label", least=0.8):
    def score(column):
        purest = 0
        for value in {row[column] for row in rows}:
            labels = [row[label] for row in rows if row[column] == value]
            if len(labels) > 1:
                purest = max(purest, max(labels.count(name) for name in labels) / len(labels))
        return purest

    scores = {column: score(column) for column in rows[0] if column != label}
    best = max(scores, key=scores.get)
    return best if scores[best] >= least else None
