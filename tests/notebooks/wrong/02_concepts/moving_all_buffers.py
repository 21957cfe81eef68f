"""Names every buffer, without looking.

expected: do not name all that there are
"""


def moving(model, images):
    return {name for name, _ in model.named_buffers()}
