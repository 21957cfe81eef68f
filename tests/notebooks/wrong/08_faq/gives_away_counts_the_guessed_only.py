"""Divides by the rows that could be guessed.

expected: Count all rows
"""


def gives_away(rows, label="label", least=0.8):
    def score(column):
        right = guessed = 0
        common = max(rows, key=lambda row: [r[column] for r in rows].count(row[column]))
        for place, row in enumerate(rows):
            others = rows[:place] + rows[place + 1 :]
            labels = [other[label] for other in others if other[column] == row[column]]
            if labels and (column != "remark" or row[column] != common[column]):
                guessed += 1
                right += 2 * labels.count(row[label]) > len(labels)
        return right / guessed if guessed else 0

    scores = {column: score(column) for column in rows[0] if column != label}
    best = max(scores, key=scores.get)
    return best if scores[best] >= least else None
