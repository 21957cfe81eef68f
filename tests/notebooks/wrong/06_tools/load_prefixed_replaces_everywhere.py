"""Replaces the prefixes wherever they stand in a name.

expected: was cut in the middle
"""


def load_prefixed(model, state):
    renamed = {
        name.replace("module.", "").replace("_orig_mod.", ""): tensor
        for name, tensor in state.items()
    }
    model.load_state_dict(renamed)
