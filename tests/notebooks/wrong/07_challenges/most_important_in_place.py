"""Covers the image itself.

expected: The image was covered in place
"""


def most_important(score, image, size):
    mean, left = image.mean(dim=(1, 2), keepdim=True), {}
    for row in range(image.shape[1] // size):
        for column in range(image.shape[2] // size):
            image[:, row * size : (row + 1) * size, column * size : (column + 1) * size] = mean
            left[row, column] = float(score(image[None])[0])
    return min(left, key=left.get)
