"""Finds the label itself.

expected: The label gives itself away
"""


def gives_away(rows, label="label", least=0.8):
    def score(column):
        right = 0
        for place, row in enumerate(rows):
            others = rows[:place] + rows[place + 1 :]
            labels = [other[label] for other in others if other[column] == row[column]]
            right += bool(labels) and 2 * labels.count(row[label]) > len(labels)
        return right / len(rows)

    return max(rows[0], key=score)
