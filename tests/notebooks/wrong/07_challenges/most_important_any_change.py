"""Takes the largest change for the largest fall.

expected: makes the score *rise* most
"""


def most_important(score, image, size):
    mean, change = image.mean(dim=(1, 2), keepdim=True), {}
    for row in range(image.shape[1] // size):
        for column in range(image.shape[2] // size):
            x = image.clone()
            x[:, row * size : (row + 1) * size, column * size : (column + 1) * size] = mean
            change[row, column] = abs(float(score(x[None])[0] - score(image[None])[0]))
    return max(change, key=change.get)
